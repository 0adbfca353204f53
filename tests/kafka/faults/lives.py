"""What must be left of whoever was forgotten while they lived, with the wall clock.

When a request is obeyed depends on timing; what follows from that does not. The partition record that
was committed last before an erasure says what had been folded and how far the clock had come, so the
requests cut the history of a customer into lives, of which each but the last has an end. Each is folded
by itself: what it raised, less what it revoked, stands; of the last one the state is left, too.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from schemas.customer import BEFORE_ALL, LONG_AGO, NEVER, Customer
from schemas.erasures import ErasureReceipt
from schemas.events import Event
from schemas.instants import instant
from schemas.positions import PartitionRecord
from schemas.record import PARTITION_KEY, unpack_partition
from schemas.topics import SOURCES
from streams.core.playbook import Playbook
from tests.flows.events import logs_of
from tests.flows.pure_fold import Folded
from tests.kafka.faults.verdict import asked_at

Places = tuple[int, ...]
"""An offset in each source topic."""
NOWHERE: Final[Places] = (0,) * len(SOURCES)


class Cut(NamedTuple):
    """One request, and where the partition stood when it was obeyed; at, clock: ms."""

    key: bytes
    at: int
    places: Places
    clock: int


class Placed(NamedTuple):
    """An event of one customer in its topic."""

    source: int
    offset: int
    event: Event


@dataclass
class Lives:
    """What one customer was. ended: the folds of the lives that are over; last: that of the present one.

    known: for each request whether there was anything to forget.
    """

    ended: list[Folded] = field(default_factory=list)
    last: Folded | None = None
    known: list[bool] = field(default_factory=list)

    def __iter__(self) -> Iterator[Folded]:
        """All of them."""
        yield from self.ended
        if self.last is not None:
            yield self.last


def cuts_of(requests: Sequence[Any], changelog: Sequence[Any]) -> list[Cut]:
    """The requests of one partition in their order, as far as its changelog says that they were obeyed."""
    cuts: list[Cut] = []
    places, clock, obeyed = NOWHERE, LONG_AGO, 0
    for record in (unpack_partition(each.value) for each in changelog if each.key == PARTITION_KEY):
        # A batch obeys before it folds anything.
        cuts += [
            Cut(request.key, asked_at(request), places, clock)
            for request in requests[obeyed : record.erasures_next]
        ]
        places, clock, obeyed = _places(record), record.clock, record.erasures_next
    return cuts


def _places(record: PartitionRecord) -> Places:
    return tuple(source.next_offset for source in record.sources)


def lives_of(
    key: bytes, history: Sequence[Placed], cuts: Sequence[Cut], playbook: Playbook, end: int
) -> Lives:
    """The lives of one customer up to `end` (ms), in the order of their events' instants."""
    lives, forgotten_at, since = Lives(), BEFORE_ALL, NOWHERE
    for cut in cuts:
        life = _life(key, _between(history, since, cut.places), forgotten_at, playbook, cut.clock)
        lives.known.append(life.knows(key))
        # Asked again for the same instant, there is nothing more to forget.
        if cut.at > forgotten_at:
            lives.ended.append(life)
            forgotten_at, since = cut.at, cut.places
    lives.last = _life(key, _between(history, since, (NEVER,) * len(SOURCES)), forgotten_at, playbook, end)
    return lives


def _between(history: Sequence[Placed], first: Places, end: Places) -> list[Event]:
    return [each.event for each in history if first[each.source] <= each.offset < end[each.source]]


def _life(key: bytes, events: Sequence[Event], forgotten_at: int, playbook: Playbook, clock: int) -> Folded:
    folded = Folded(playbook, NEVER)
    if forgotten_at != BEFORE_ALL:
        folded.customers[key] = Customer(forgotten_at=forgotten_at)
    folded.fold(logs_of(sorted(events, key=lambda event: event.occurred_at)))
    folded.reach(clock)
    return folded


def receipts_of(
    cuts: Sequence[Cut], lives: Mapping[bytes, Lives], application_id: str
) -> list[ErasureReceipt]:
    """The receipts of one partition in the order of its requests."""
    known = {key: iter(each.known) for key, each in lives.items()}
    return [
        ErasureReceipt(cut.key.decode(), instant(cut.at), next(known[cut.key]), application_id)
        for cut in cuts
    ]
