"""Requests to be forgotten, at random instants among the faults, as `winback forget` writes them."""

from collections.abc import Iterable, Sequence
from random import Random
from typing import Final

from agents.forget import Request, ask
from agents.produce import send_records
from schemas.codec import encode_event
from schemas.erasures import Erasure
from schemas.events import Event
from schemas.instants import instant, since_epoch
from schemas.topics import ERASURES
from tests.kafka.faults.verdict import records_of
from tests.kafka.scene import Scene

STRANGERS: Final = 0.3
"""The share of requests about somebody of whom nothing is known."""
MOST_AT_ONCE: Final = 4


class Petitions:
    """Asks an installation to forget customers; for each up to an instant that never goes back."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._standing: dict[str, int] = {}

    async def ask(self, customer: str, at: int) -> int:
        """Ask for one customer; the instant (ms) up to which it was asked."""
        at = max(at, self._standing.get(customer, at))
        await ask(self._scene.settings, Request(customer, at))
        self._standing[customer] = at
        return at

    async def ask_for_many(self, requests: Iterable[tuple[str, int]]) -> None:
        """Ask for many at once, as another system would."""
        records: list[tuple[bytes, bytes]] = []
        for customer, wanted in requests:
            at = max(wanted, self._standing.get(customer, wanted))
            self._standing[customer] = at
            records.append((customer.encode(), encode_event(Erasure(instant(at)))))
        await send_records(self._scene.settings, self._scene.settings.topics.name(ERASURES), records)

    async def ends(self) -> list[int]:
        """Where the requests end, by partition."""
        return [len(partition) for partition in await records_of(self._scene, ERASURES)]


class Population:
    """Who may ask in a bounded replay of these events, and up to when."""

    def __init__(self, events: Sequence[Event]) -> None:
        instants = [since_epoch(event.occurred_at) for event in events]
        self._first, self._last = min(instants), max(instants)
        self._people = sorted({event.customer_id for event in events})

    def draw(self, random: Random, count: int) -> list[tuple[str, int]]:
        """So many requests: customer, and the instant in ms."""
        return [(self._somebody(random), random.randint(self._first, self._last)) for _ in range(count)]

    def _somebody(self, random: Random) -> str:
        if random.random() < STRANGERS:
            return f"stranger-{random.randrange(1000)}"
        return random.choice(self._people)

    async def petition(self, petitions: Petitions, random: Random) -> bool:
        """Some of them ask."""
        for customer, at in self.draw(random, random.randint(1, MOST_AT_ONCE)):
            await petitions.ask(customer, at)
        return True
