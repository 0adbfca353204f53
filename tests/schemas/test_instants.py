"""Instants as numbers and as datetimes."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.instants import instant, since_epoch

BEGIN = -62_135_596_800_000
END = 253_402_300_799_999
"""The first and last millisecond of the calendar, of years 1 and 9999."""


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (0, datetime(1970, 1, 1, tzinfo=UTC)),
        (-1, datetime(1969, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)),
        (1_709_210_096_789, datetime(2024, 2, 29, 12, 34, 56, 789_000, tzinfo=UTC)),
        (BEGIN, datetime(1, 1, 1, tzinfo=UTC)),
        (END, datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)),
    ],
)
def test_number_and_datetime_say_the_same(at: int, expected: datetime) -> None:
    """At the epoch and on both sides of it, on a leap day, at the ends of the calendar."""
    assert expected == instant(at)
    assert at == since_epoch(expected)


@given(st.integers(BEGIN, END))
def test_an_instant_is_so_many_milliseconds_after_the_epoch(at: int) -> None:
    """Exactly, wherever in the calendar."""
    assert datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at) == instant(at)
    assert at == since_epoch(instant(at))


def test_what_is_finer_than_a_millisecond_is_cut_off() -> None:
    """Downwards, before 1970 too; and a zone is only another way to write the same instant."""
    zone = timezone(timedelta(hours=5, minutes=30))
    assert 1 == since_epoch(datetime(1970, 1, 1, 5, 30, 0, 1999, tzinfo=zone))
    assert -1 == since_epoch(datetime(1969, 12, 31, 23, 59, 59, 999_001, tzinfo=UTC))


@pytest.mark.parametrize("at", [BEGIN - 1, END + 1])
def test_there_is_no_datetime_beyond_the_calendar(at: int) -> None:
    """An error, not another instant."""
    with pytest.raises(OverflowError):
        instant(at)
