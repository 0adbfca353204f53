"""The default population of `winback simulate` as a worker holds it, in any number, and how it goes on.

A sample of its lives is folded by the engine's own core up to the population's end; what is left of
each is its state record. A crowd of N customers is copies of the sample, each under a name of its own.
It goes on as it was: what a life did in its last FUTURE_DAYS it does once more after the end, each copy
with a delay of its own of up to an hour. So a crowd of any size buys, signs in and asks at the same rate
a customer, and has as many deadlines a customer.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from msgspec.structs import replace

from agents.population import DAYS, SEED, lives
from schemas.codec import encode_event
from schemas.customer import LONG_AGO, Customer, wake_of
from schemas.events import Event, Purchase, SupportTicket
from schemas.instants import DAY_MS, instant, since_epoch
from schemas.positions import PartitionRecord, SourcePosition
from schemas.record import PARTITION_KEY, Fingerprint, pack, pack_partition
from schemas.topics import CHANGELOG, SOURCES
from streams.changes import Changes, Record
from streams.checked import CheckedIn, SourceRecord
from streams.commit import Committer
from streams.core.advance import advance
from streams.core.playbook import Playbook
from streams.core.stimuli import Elapsed
from streams.intake import CHECK_IN
from streams.partitioner import partition_of
from streams.settings import Settings

SAMPLE: Final = 5000
"""Lives that are really told; the others are copies of them."""
FUTURE_DAYS: Final = 60
_DELAY_MS: Final = 3_600_000

Told = tuple[int, int, Event]
"""Instant in ms since the epoch, place of the topic in SOURCES, event."""


@dataclass(frozen=True, slots=True)
class Member:
    """One life of the sample: its state record at the end, and what it does afterwards, ascending."""

    state: bytes
    future: Sequence[Told]


def sample(playbook: Playbook, end: int, size: int = SAMPLE, days: int = DAYS) -> list[Member]:
    """Lives of the default population, which ends at `end` (ms since the epoch, a midnight UTC)."""
    start = date(1970, 1, 1) + timedelta(days=end // DAY_MS - days)
    fingerprint = Fingerprint(playbook.fingerprint_model, playbook.fingerprint_playbook)
    members = []
    for life in lives(SEED, size, start, days):
        by_topic: tuple[Sequence[Event], ...] = (life.purchases, life.logins, life.tickets)
        told = sorted(
            [
                (since_epoch(event.occurred_at), place, event)
                for place, events in enumerate(by_topic)
                for event in events
            ],
            key=lambda each: each[:2],
        )
        customer = folded(life.truth.customer_id, told, end, playbook)
        again = FUTURE_DAYS * DAY_MS
        future = [(at + again, place, event) for at, place, event in told if at + again >= end]
        members.append(Member(pack(customer, fingerprint), future))
    return members


def folded(name: str, told: Sequence[Told], end: int, playbook: Playbook) -> Customer:
    """What the engine knows of a customer at `end`, all deadlines before it settled."""
    customer: Customer | None = None
    for at, place, event in told:
        record = SourceRecord(SOURCES[place].name, 0, 0, at, name.encode(), encode_event(event), ())
        checked = CHECK_IN[SOURCES[place].name](record, playbook)
        assert isinstance(checked, CheckedIn), checked
        customer = _settled(name, customer, at, playbook)
        customer = advance(name, customer, checked.stimulus, now=at, playbook=playbook).customer
    settled = _settled(name, customer, end, playbook)
    assert settled is not None, name
    return settled


def _settled(name: str, customer: Customer | None, at: int, playbook: Playbook) -> Customer | None:
    """With every deadline before `at` fired, each just after its instant, as a worker does."""
    while customer is not None and (wake_at := wake_of(customer)) < at:
        customer = advance(name, customer, Elapsed(), now=wake_at + 1, playbook=playbook).customer
    return customer


def name_of(number: int) -> str:
    """What customer `number` of a crowd is called: as in the population, and as long."""
    return f"s{SEED}-{number:07d}"


def goes_on(members: Sequence[Member], customers: int, events: int) -> Iterator[tuple[int, bytes, bytes]]:
    """The first `events` of a crowd after its end, or all there are: place of topic, key, value.

    They come in the order of time.
    """
    size = len(members)
    first = sorted(
        (at, index, which)
        for index, member in enumerate(members)
        for which, (at, *_) in enumerate(member.future)
    )
    copies = -(-customers // size)
    # Of each copy about the same number; a few more, since delays reorder what is near the cut.
    enough = first[: -(-events // copies) + 1 + len(first) // 100]
    rows = sorted(
        (at + _DELAY_MS * copy // copies, index, which, copy)
        for at, index, which in enough
        for copy in range(copies)
        if copy * size + index < customers
    )
    for at, index, which, copy in rows[:events]:
        _, place, event = members[index].future[which]
        name = name_of(copy * size + index)
        yield place, name.encode(), encode_event(_again(event, name, at))


def _again(event: Event, name: str, at: int) -> Event:
    """The event as a new one of this customer."""
    own = len(event.customer_id)
    changes: dict[str, Any] = {
        "id": f"{name}-again{event.id[own:]}",
        "customer_id": name,
        "occurred_at": instant(at),
    }
    if isinstance(event, Purchase):
        changes["order_id"] = f"{name}-again{event.order_id[own:]}"
    elif isinstance(event, SupportTicket):
        changes["ticket_id"] = f"{name}-again{event.ticket_id[own:]}"
    return replace(event, **changes)


async def write(settings: Settings, members: Sequence[Member], customers: int, end: int) -> None:
    """Write a crowd's state into the changelog, by the workers' own transactions, as of `end`."""
    changelog = settings.topics.name(CHANGELOG)
    position = SourcePosition(0, LONG_AGO)
    here = Record(PARTITION_KEY, pack_partition(PartitionRecord((position,) * 3, end)))
    committers = [Committer(settings, number) for number in range(settings.partitions)]
    waiting = [Changes() for _ in committers]
    for committer in committers:
        await committer.fence()
    for number in range(customers):
        key = name_of(number).encode()
        place = partition_of(key, settings.partitions)
        waiting[place].add(changelog, Record(key, members[number % len(members)].state))
        if len(waiting[place].topics[changelog]) >= settings.batch_max_records:
            waiting[place].add(changelog, here)
            await committers[place].commit(waiting[place])
            waiting[place] = Changes()
    for committer, changes in zip(committers, waiting, strict=True):
        changes.add(changelog, here)
        await committer.commit(changes)
        await committer.close()
