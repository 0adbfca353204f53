"""What a measurement comes with, made up."""

from typing import Any, Final

MADE: Final[dict[str, Any]] = {
    "note": "",
    "commit": "abc1234",
    "made_at": "2026-11-22T12:00:00+00:00",
    "machine": "Some Processor, 2 cores",
    "load": 0.25,
    "python": "3.11.7",
    "compiled": True,
}
