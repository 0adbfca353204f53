"""A steady live load whose triggers are known beforehand, and what had happened before it.

Of ten events six are logins, two purchases and one a ticket, all of customers who give no cause for
a trigger; the tenth gives one at once, in turn:

- `back-N` orders again after 100 days, when a step of winning them back has long gone out: `achieved`;
- `third-N` opens a third ticket within a week: `ticket_spike`.

`silent-N` ordered once, and does nothing any more: `second_order_due` comes true in the middle of
the load, at an instant known to the millisecond.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from aiokafka import AIOKafkaProducer

from schemas.codec import encode_event
from schemas.events import Event, Login, Purchase, SupportTicket
from schemas.instants import instant
from schemas.topics import SOURCES
from streams.clock import monotonic, wall_ms
from streams.core.playbook import DAY, HOUR
from streams.partitioner import partition_of
from streams.settings import Settings

CAUSE_EVERY: Final = 10
BYSTANDERS: Final = 100_000
"""Customers who sign in, buy and ask without giving cause for a trigger."""
TICK_SECONDS: Final = 0.005
"""How often what has become due is sent."""
_PURCHASES, _LOGINS, _TICKETS = range(3)
_METHODS: Final = (_LOGINS, _LOGINS, _PURCHASES, _LOGINS, _LOGINS, _TICKETS, _LOGINS, _PURCHASES, _LOGINS)


def customer_of(cause: int) -> str:
    """Who gives the cause of this number."""
    return f"{'third' if cause % 2 else 'back'}-{cause:07d}"


def silent_customer(number: int) -> str:
    """Who has a deadline and does nothing more."""
    return f"silent-{number:07d}"


def past(causes: int, dues: Sequence[int], after: int, now: int) -> list[Event]:
    """What happened before `now` (ms since the epoch), ascending.

    causes: how many causes are to come. dues: the instants, ascending, at which silent customers come
    due, `after` milliseconds after their only order.
    """
    events: list[Event] = []
    for cause in range(causes):
        name = customer_of(cause)
        if cause % 2:
            for days in (6, 3):
                opened = now - days * DAY + cause
                events.append(_ticket(name, opened, f"{name}-{days}"))
                answer = SupportTicket(
                    f"{name}-{days}-replied", name, instant(opened + HOUR), f"{name}-{days}", "replied"
                )
                events.append(answer)
        else:
            events += [_order(name, now - days * DAY + cause) for days in (130, 100)]
    events += [_order(silent_customer(number), due - after) for number, due in enumerate(dues)]
    return sorted(events, key=lambda event: event.occurred_at)


def event_of(number: int, at: int, draw: Random) -> tuple[int, Event]:
    """The live event of this number, dated `at` (ms since the epoch): place of its topic, and itself."""
    cause, place = divmod(number, CAUSE_EVERY)
    if place == 0:
        name = customer_of(cause)
        return (_TICKETS, _ticket(name, at, f"{name}-0")) if cause % 2 else (_PURCHASES, _order(name, at))
    source = _METHODS[place - 1]
    name = f"bystander-{draw.randrange(BYSTANDERS):06d}"
    if source == _LOGINS:
        return source, Login(f"live-{number}", name, instant(at), "password", "web")
    if source == _PURCHASES:
        return source, _order(name, at, f"live-{number}")
    return source, _ticket(name, at, f"live-{number}")


def _order(name: str, at: int, of: str = "") -> Purchase:
    of = of or f"{name}-{at}"
    return Purchase(of, name, instant(at), of, 1999 + at % 5000, "USD", channel="web")


def _ticket(name: str, at: int, of: str) -> SupportTicket:
    return SupportTicket(f"{of}-opened", name, instant(at), of, "opened", "normal", "delivery", "mail")


@dataclass
class Played:
    """What has been sent. causes: when the event of each cause was handed to the producer, seconds of
    the monotonic clock by customer. behind: how far the sending was behind its plan, seconds."""

    events: int = 0
    causes: dict[bytes, float] = field(default_factory=dict)
    behind: list[float] = field(default_factory=list)


class Player:
    """Sends live events at a steady rate: each at its own instant, whatever became of those before."""

    def __init__(self, settings: Settings, client: AIOKafkaProducer, seed: int = 1) -> None:
        self._names = [settings.topics.name(spec) for spec in SOURCES]
        self._partitions = settings.partitions
        self._client = client
        self._draw = Random(seed)
        self.played = Played()

    async def play(self, rate: float, seconds: float) -> None:
        """So many events a second for so long."""
        began = monotonic()
        played, total = self.played, round(rate * seconds)
        waiting: set[asyncio.Future[Any]] = set()
        while played.events < total:
            now = monotonic()
            due = min(total, int((now - began) * rate) + 1)
            if played.events < due:
                played.behind.append(now - began - played.events / rate)
                for topic, partition, batch in self._batches(due):
                    sent = await self._client.send_batch(batch, topic, partition=partition)
                    waiting.add(sent)
                    sent.add_done_callback(waiting.discard)
            await asyncio.sleep(TICK_SECONDS)
        if waiting:
            await asyncio.gather(*waiting)

    def _batches(self, due: int) -> Iterator[tuple[str, int, Any]]:
        """The events up to, not including, the one numbered `due`, as batches by topic and partition."""
        batches: dict[tuple[int, int], Any] = defaultdict(self._client.create_batch)
        causes: list[bytes] = []
        at = wall_ms()
        for number in range(self.played.events, due):
            source, event = event_of(number, at, self._draw)
            key = event.customer_id.encode()
            place = source, partition_of(key, self._partitions)
            batches[place].append(key=key, value=encode_event(event), timestamp=None)
            if number % CAUSE_EVERY == 0:
                causes.append(key)
        handed_over = monotonic()
        self.played.causes.update(dict.fromkeys(causes, handed_over))
        self.played.events = due
        for (source, partition), batch in batches.items():
            yield self._names[source], partition, batch
