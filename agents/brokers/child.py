"""A server as a child process that cannot outlive us."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from agents.brokers import guard

_END_SECONDS: Final = 60.0
"""How long the end of a child is waited for: it is killed at once, but removing what a broker leaves,
tens of thousands of files, takes a busy disk ten seconds and more."""


class Child:
    """A running server. Its output goes into `log`."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self._process = process
        self._log = log

    @property
    def ended(self) -> bool:
        """Whether it has ended by itself."""
        return self._process.poll() is not None

    def log_tail(self, lines: int = 15) -> str:
        """The last lines of what it wrote."""
        text = self._log.read_text(encoding="utf-8", errors="replace")
        return "\n".join(text.splitlines()[-lines:]) or "(it wrote nothing)"


@contextmanager
def child(
    command: Sequence[str], log: Path, directory: Path, *, grace_seconds: float = 0.0
) -> Iterator[Child]:
    """Run `command` in the temporary `directory` until the block ends; then end it, and remove that.

    It is killed, unless there are grace_seconds to ask it first: its data is thrown away anyway. It
    runs in a session of its own, so that Ctrl-C reaches us alone and workers can still commit; and
    under a guard (guard.py), so that it ends too where this process is killed.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", guard.__file__, str(directory), str(grace_seconds), *command],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=directory,
            start_new_session=True,
        )
    try:
        yield Child(process, log)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        # The guard needs nobody to bring to its end what it does then.
        with suppress(subprocess.TimeoutExpired):
            process.wait(grace_seconds + _END_SECONDS)
