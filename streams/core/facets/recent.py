"""Which events have been applied: each id once a customer and topic within `max_lateness`.

Kept sorted by (instant, hash) and cut at the customer's own newest event, never at the clock, so
that the order of arrival leaves no trace. What the cut forgets is older than `max_lateness` behind
the clock too, and is refused for that.
"""

from bisect import bisect_left
from enum import Enum

from msgspec.structs import replace

from schemas.customer import Recent

CAPACITY = 256


class Refusal(Enum):
    """Why an event is not folded."""

    DUPLICATE = "duplicate"
    TOO_LATE = "too_late"


def admit(
    recent: Recent, event: int, at: int, *, now: int, max_lateness: int, accept_late: bool = False
) -> Recent | Refusal:
    """`recent` with the event in it, or why it is refused. Instants in ms, `event` a 64-bit hash."""
    refusal = refused(recent, event, at, now=now, max_lateness=max_lateness, accept_late=accept_late)
    if refusal is not None:
        return refusal
    if at < now - max_lateness:
        return with_late(recent, event)
    return insert(recent, event, at, place_of(recent, event, at), max_lateness)


def refused(
    recent: Recent, event: int, at: int, *, now: int, max_lateness: int, accept_late: bool = False
) -> Refusal | None:
    """Why the event is refused, if it is."""
    if event in recent.hashes or event in recent.late_hashes:
        return Refusal.DUPLICATE
    if at <= recent.horizon:
        return Refusal.TOO_LATE
    if at < now - max_lateness and not (accept_late and len(recent.late_hashes) < CAPACITY):
        return Refusal.TOO_LATE
    return None


def place_of(recent: Recent, event: int, at: int) -> int:
    """Where the event belongs among `hashes` and `instants`."""
    hashes, instants = recent.hashes, recent.instants
    if not instants or at > instants[-1]:
        return len(instants)
    place = bisect_left(instants, at)
    while place < len(instants) and instants[place] == at and hashes[place] < event:
        place += 1
    return place


def insert(recent: Recent, event: int, at: int, place: int, max_lateness: int) -> Recent:
    """`recent` with the event at its place, and without what is to be forgotten: the oldest."""
    hashes = with_one(recent.hashes, place, event)
    instants = with_one(recent.instants, place, at)
    horizon = recent.horizon
    oldest = instants[-1] - max_lateness
    cut = bisect_left(instants, oldest) if instants[0] < oldest else 0
    if len(instants) - cut > CAPACITY:
        cut = len(instants) - CAPACITY
        horizon = max(horizon, instants[cut - 1])
    if cut:
        hashes = hashes[cut:]
        instants = instants[cut:]
    return Recent(hashes, instants, horizon, recent.late_hashes)


def with_one(numbers: tuple[int, ...], place: int, number: int) -> tuple[int, ...]:
    """`numbers` with one more at `place`."""
    if place == len(numbers):
        return (*numbers, number)
    return (*numbers[:place], number, *numbers[place:])


def with_late(recent: Recent, event: int) -> Recent:
    """Remember what was accepted by hand for good: replaying it twice must change nothing."""
    return replace(recent, late_hashes=(*recent.late_hashes, event))
