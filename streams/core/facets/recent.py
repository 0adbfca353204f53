"""Which events have been applied: each id once a customer and topic within `max_lateness`.

Entries (schemas/entries.py) are kept sorted and cut at the customer's own newest event, never at the
clock, so that the order of arrival leaves no trace. What the cut forgets is older than `max_lateness`
behind the clock too, and is refused for that.
"""

from enum import Enum
from typing import Final

from mypy_extensions import i64

from schemas.customer import Recent
from schemas.entries import EVENT_SIZE, INSTANT_SIZE, hash_at, instant_at

CAPACITY: Final = 256


class Refusal(Enum):
    """Why an event is not folded."""

    DUPLICATE = "duplicate"
    TOO_LATE = "too_late"


DUPLICATE: Final = Refusal.DUPLICATE
TOO_LATE: Final = Refusal.TOO_LATE
"""Each access to a member of an enumeration is a call in Python 3.11."""


def admit(
    recent: Recent, entry: bytes, at: i64, *, now: i64, max_lateness: i64, accept_late: bool = False
) -> Recent | Refusal:
    """`recent` with the event in it, or why it is refused. at: its instant, ms."""
    width: i64 = len(entry)
    if _stands(recent, hash_at(entry, INSTANT_SIZE), width, INSTANT_SIZE):
        return DUPLICATE
    if at <= recent.horizon:
        return TOO_LATE
    if at >= now - max_lateness:
        return _insert(recent, entry, at, max_lateness)
    if accept_late and len(recent.late) < CAPACITY * (width - INSTANT_SIZE):
        # Remembered for good: replaying it twice must change nothing.
        return Recent(recent.entries, recent.horizon, recent.late + entry[INSTANT_SIZE:])
    return TOO_LATE


def has_order(recent: Recent, entry: bytes) -> bool:
    """Whether an event that speaks of the entry's order has been applied."""
    return _stands(recent, hash_at(entry, EVENT_SIZE), len(entry), EVENT_SIZE)


def _stands(recent: Recent, wanted: i64, width: i64, place: i64) -> bool:
    """Whether an entry of this width has the hash at `place`; one without its instant, at so much less."""
    entries, late = recent.entries, recent.late
    size: i64 = len(entries)
    at = place
    while at < size:
        if hash_at(entries, at) == wanted:
            return True
        at += width
    size = len(late)
    at = place - INSTANT_SIZE
    while at < size:
        if hash_at(late, at) == wanted:
            return True
        at += width - INSTANT_SIZE
    return False


def _insert(recent: Recent, entry: bytes, at: i64, max_lateness: i64) -> Recent:
    """`recent` with the entry at its place, and without what is to be forgotten: the oldest."""
    entries = recent.entries
    width: i64 = len(entry)
    place: i64 = len(entries)
    newest = at
    if place:
        newest = instant_at(entries, place - width)
    if at > newest or not place:
        newest = at
        entries += entry
    else:
        while place and entry < entries[place - width : place]:
            place -= width
        entries = entries[:place] + entry + entries[place:]
    horizon = recent.horizon
    oldest = newest - max_lateness
    cut: i64 = 0
    while instant_at(entries, cut) < oldest:
        cut += width
    excess: i64 = len(entries) - CAPACITY * width
    if excess > cut:
        cut = excess
        horizon = max(horizon, instant_at(entries, cut - width))
    return Recent(entries[cut:] if cut else entries, horizon, recent.late)
