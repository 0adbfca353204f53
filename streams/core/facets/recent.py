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
    hashes = recent.hashes
    if event in hashes or event in recent.late_hashes:
        return Refusal.DUPLICATE
    if at <= recent.horizon:
        return Refusal.TOO_LATE
    if at < now - max_lateness:
        return _admit_late(recent, event) if accept_late else Refusal.TOO_LATE
    instants = recent.instants
    if not instants or at > instants[-1]:
        hashes += (event,)
        instants += (at,)
    else:
        place = bisect_left(instants, at)
        while place < len(instants) and instants[place] == at and hashes[place] < event:
            place += 1
        hashes = (*hashes[:place], event, *hashes[place:])
        instants = (*instants[:place], at, *instants[place:])
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


def _admit_late(recent: Recent, event: int) -> Recent | Refusal:
    """Remember what was accepted by hand for good: replaying it twice must change nothing."""
    if len(recent.late_hashes) >= CAPACITY:
        return Refusal.TOO_LATE
    return replace(recent, late_hashes=(*recent.late_hashes, event))
