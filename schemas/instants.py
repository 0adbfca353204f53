"""Instants: milliseconds since the epoch, UTC, where something is decided; datetimes on the wire."""

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final

from mypy_extensions import i64

DAY_MS: Final = 86_400_000

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_DAY: Final = _EPOCH.date()
# Compiled, a name that is not final is looked up each time.
_UTC: Final = UTC


def instant(at: i64) -> datetime:
    """The instant `at`, in UTC. Raises OverflowError beyond the calendar, which ends with the year 9999."""
    day = at // DAY_MS
    left = at - day * DAY_MS
    year, month, day_of_month = _date(day)
    # By its parts: a sum of a datetime and a timedelta takes three times as long.
    return datetime(
        year,
        month,
        day_of_month,
        int(left // 3_600_000),
        int(left // 60_000 % 60),
        int(left // 1000 % 60),
        int(left % 1000 * 1000),
        _UTC,
    )


def since_epoch(moment: datetime) -> i64:
    """The inverse of `instant`: milliseconds, what is finer cut off. The moment has a zone, any."""
    since = moment - _EPOCH
    days: i64 = since.days
    seconds: i64 = since.seconds
    microseconds: i64 = since.microseconds
    return days * DAY_MS + seconds * 1000 + microseconds // 1000


# What happens at one time happens on a few days.
@lru_cache(maxsize=4096)
def _date(day: int) -> tuple[int, int, int]:
    found: date = _FIRST_DAY + timedelta(day)
    return found.year, found.month, found.day
