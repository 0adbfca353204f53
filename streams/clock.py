"""The only place that reads time; everything else is told what time it is."""

import time


def wall_ms() -> int:
    """The wall clock: milliseconds since the epoch, UTC."""
    return time.time_ns() // 1_000_000


def monotonic() -> float:
    """Seconds from an unknown start, never going back: for durations and time-outs alone."""
    return time.monotonic()
