"""Runs a command for as long as its own standard input stays open, then ends it and clears up.

    python guard.py DIRECTORY GRACE COMMAND...

A process that is killed outright cannot clean up behind itself, but its pipes close with it. So the
guard waits on its input; when that ends it ends the command and removes DIRECTORY with what the
command wrote. GRACE: seconds between asking the command to end and killing it; 0 kills it at once.
Run as a file: it needs nothing of this package and starts in 30 ms.
"""

import shutil
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import BinaryIO


def run_while_open(command: Sequence[str], pipe: BinaryIO, *, directory: str, grace: float) -> int:
    """The command's exit code. Where it ends by itself the directory stays: its log is in there."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    closed = threading.Event()

    def end_with_pipe() -> None:
        pipe.read()
        closed.set()
        _end(process, grace)

    threading.Thread(target=end_with_pipe, daemon=True).start()
    code = process.wait()
    if closed.is_set():
        shutil.rmtree(directory, ignore_errors=True)
    return code


def _end(process: "subprocess.Popen[bytes]", grace: float) -> None:
    if grace:
        process.terminate()
        try:
            process.wait(grace)
        except subprocess.TimeoutExpired:
            pass
        else:
            return
    process.kill()


if __name__ == "__main__":
    where, seconds, *words = sys.argv[1:]
    sys.exit(run_while_open(words, sys.stdin.buffer, directory=where, grace=float(seconds)))
