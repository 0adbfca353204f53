"""Waiting for a condition, never for a time."""

import time
from collections.abc import Callable


def eventually(condition: Callable[[], bool], within: float = 60.0) -> None:
    """Wait until the condition holds; AssertionError after so many seconds."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.02)
