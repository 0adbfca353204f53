"""Runs a command for as long as its own standard input stays open: `python guard.py COMMAND...`

A process that is killed outright cannot clean up behind itself, but its pipes close with it. So the
guard waits on its input, and when that ends it kills the command. Run as a file: it needs nothing
of this package and starts in 20 ms.
"""

import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import BinaryIO


def run_while_open(command: Sequence[str], pipe: BinaryIO) -> int:
    """The command's exit code, whether it ended by itself or because `pipe` was closed."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)

    def kill_at_end_of_pipe() -> None:
        pipe.read()
        process.kill()

    threading.Thread(target=kill_at_end_of_pipe, daemon=True).start()
    return process.wait()


if __name__ == "__main__":
    sys.exit(run_while_open(sys.argv[1:], sys.stdin.buffer))
