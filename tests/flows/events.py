"""Events of hand-made customers, and a population as the three logs of a partition."""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from random import Random

from agents.population import population
from schemas.codec import encode_event
from schemas.events import Event, Login, Purchase, SupportTicket, TicketPriority, TicketStatus
from schemas.instants import instant, since_epoch
from streams.checked import SourceRecord
from streams.core.playbook import DAY, HOUR
from streams.partitioner import partition_of
from tests.streams.memory import SOURCE_TOPICS, source_of

START = since_epoch(datetime(2026, 1, 5, 12, tzinfo=UTC))
"""Noon of an ordinary Monday."""

Logs = list[list[SourceRecord]]
"""One log a source topic."""


def purchase(customer: str, at: int, name: str = "", amount: int = 1000, currency: str = "USD") -> Purchase:
    """An order at `at` (ms since the epoch)."""
    name = name or f"order {customer} {at}"
    return Purchase(name, customer, instant(at), name, amount, currency)


def login(customer: str, at: int, name: str = "") -> Login:
    """A login at `at`."""
    return Login(name or f"login {customer} {at}", customer, instant(at))


def ticket(
    customer: str,
    at: int,
    status: TicketStatus = "opened",
    priority: TicketPriority = "urgent",
    of: str = "ticket",
) -> SupportTicket:
    """A step of a ticket at `at`; an urgent one is promised an answer within an hour."""
    return SupportTicket(f"{of} {customer} {status} {at}", customer, instant(at), of, status, priority)


def crowd(seed: int, customers: int, days: int = 400) -> list[Event]:
    """A simulated population, ascending by instant."""
    return list(population(seed, customers, date(2024, 1, 1), days).events())


def unruly(events: Iterable[Event], seed: int) -> list[Event]:
    """As producers have it: one event in ten comes late, some of them too late, one in twenty twice."""
    random = Random(seed)
    arrivals: list[tuple[int, int, Event]] = []
    for number, event in enumerate(events):
        at = since_epoch(event.occurred_at)
        delay = random.choice((HOUR, 3 * DAY, 29 * DAY, 45 * DAY)) if random.random() < 0.1 else 0
        arrivals.append((at + delay, number, event))
        if random.random() < 0.05:
            arrivals.append((at + delay + random.choice((0, HOUR, 20 * DAY, 60 * DAY)), number, event))
    return [event for _, _, event in sorted(arrivals, key=lambda arrival: arrival[:2])]


def logs_of(events: Iterable[Event], partition: int = 0, partitions: int = 1) -> Logs:
    """The logs of one partition: each event in its topic, in this order, written late enough for any."""
    logs: Logs = [[], [], []]
    events = list(events)
    written = max([since_epoch(event.occurred_at) for event in events], default=0)
    for event in events:
        key = event.customer_id.encode()
        if partition_of(key, partitions) == partition:
            source = source_of(event)
            log = logs[source]
            log.append(
                SourceRecord(SOURCE_TOPICS[source], partition, len(log), written, key, encode_event(event))
            )
    return logs


def with_rubbish(logs: Logs, every: int = 17) -> Logs:
    """The same logs with records in between that nobody can fold."""
    values: Sequence[bytes | None] = (b"", None, b"{", b"\xff\xfe", b'{"id": 1}', b"[]")
    mixed: Logs = [[], [], []]
    for source, log in enumerate(logs):
        for number, record in enumerate(log):
            fields = (SOURCE_TOPICS[source], record.partition)
            if number % every == 0:
                rubbish = values[number // every % len(values)]
                mixed[source].append(
                    SourceRecord(*fields, len(mixed[source]), record.timestamp, b"someone", rubbish)
                )
            mixed[source].append(
                SourceRecord(*fields, len(mixed[source]), record.timestamp, record.key, record.value)
            )
    return mixed
