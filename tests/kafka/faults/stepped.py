"""A worker whose wall clock can be stepped, as an administrator or a time server does it.

    python -m tests.kafka.faults.stepped FILE worker ...

FILE holds the seconds by which this process is ahead of its machine; without it there are none. The
interpreter's own `time.time` and `time.time_ns` are replaced in this process before anything of
Winback is loaded; the engine, which reads time in streams/clock.py alone, knows nothing of it.
"""

import sys
import time
from pathlib import Path
from typing import Final

LOOK_SECONDS: Final = 0.05

_true_time_ns = time.time_ns


class _Steps:
    """The seconds in a file, looked up now and then."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._looked_at = 0.0
        self._nanoseconds = 0

    def time_ns(self) -> int:
        now = time.monotonic()
        if now - self._looked_at > LOOK_SECONDS:
            self._looked_at = now
            self._nanoseconds = round(seconds_in(self._file) * 1e9)
        return _true_time_ns() + self._nanoseconds

    def time(self) -> float:
        return self.time_ns() / 1e9


def seconds_in(file: Path) -> float:
    """What a file says, 0 where there is none or it is just being written."""
    try:
        return float(file.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0.0


def main(file: str, words: list[str]) -> int:
    """Run `winback` with these words on the clock that the file sets."""
    steps = _Steps(Path(file))
    time.time_ns = steps.time_ns
    time.time = steps.time
    from agents.cli import main as winback

    return winback(words)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
