"""Which events have been applied: each id once a customer and topic within `max_lateness`.

Entries (schemas/entries.py) are kept sorted and cut at the customer's own newest event, never at the
clock, so that the order of arrival leaves no trace. What the cut forgets is older than `max_lateness`
behind the clock too, and is refused for that.
"""

from enum import Enum
from typing import Final

from schemas.customer import Recent
from schemas.entries import EVENT_SIZE, INSTANT_SIZE, instant_at

CAPACITY: Final = 256


class Refusal(Enum):
    """Why an event is not folded."""

    DUPLICATE = "duplicate"
    TOO_LATE = "too_late"


def admit(
    recent: Recent, entry: bytes, at: int, *, now: int, max_lateness: int, accept_late: bool = False
) -> Recent | Refusal:
    """`recent` with the event in it, or why it is refused. at: its instant, ms."""
    width = len(entry)
    event = entry[INSTANT_SIZE:EVENT_SIZE]
    late = recent.late
    if _stands(event, recent.entries, width, INSTANT_SIZE) or (
        late and _stands(event, late, width - INSTANT_SIZE, 0)
    ):
        return Refusal.DUPLICATE
    if at <= recent.horizon:
        return Refusal.TOO_LATE
    if at >= now - max_lateness:
        return _insert(recent, entry, at, max_lateness)
    if accept_late and len(late) < CAPACITY * (width - INSTANT_SIZE):
        # Remembered for good: replaying it twice must change nothing.
        return Recent(recent.entries, recent.horizon, late + entry[INSTANT_SIZE:])
    return Refusal.TOO_LATE


def has_order(recent: Recent, entry: bytes) -> bool:
    """Whether an event that speaks of the entry's order has been applied."""
    order, width = entry[EVENT_SIZE:], len(entry)
    return _stands(order, recent.entries, width, EVENT_SIZE) or _stands(
        order, recent.late, width - INSTANT_SIZE, EVENT_SIZE - INSTANT_SIZE
    )


def _stands(wanted: bytes, entries: bytes, width: int, place: int) -> bool:
    """Whether an entry has these bytes at `place`; across two entries they mean nothing."""
    at = entries.find(wanted)
    while at >= 0:
        if at % width == place:
            return True
        at = entries.find(wanted, at + 1)
    return False


def _insert(recent: Recent, entry: bytes, at: int, max_lateness: int) -> Recent:
    """`recent` with the entry at its place, and without what is to be forgotten: the oldest."""
    entries, width, newest = recent.entries, len(entry), at
    place = len(entries)
    if place and entry < entries[place - width :]:
        newest = instant_at(entries, place - width)
        while place and entry < entries[place - width : place]:
            place -= width
        entries = entries[:place] + entry + entries[place:]
    else:
        entries += entry
    horizon = recent.horizon
    oldest = newest - max_lateness
    cut = 0
    while instant_at(entries, cut) < oldest:
        cut += width
    if len(entries) - cut > CAPACITY * width:
        cut = len(entries) - CAPACITY * width
        horizon = max(horizon, instant_at(entries, cut - width))
    return Recent(entries[cut:] if cut else entries, horizon, recent.late)
