"""One customer on a partition: in small, what the processor does around `advance`.

The clock never goes back; deadlines strictly below it are settled before the next event is folded.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import blake2b

from schemas.customer import Customer, wake_of
from schemas.triggers import ChurnRisk, CustomerHealth, MovedBy, WinBack
from streams.core.advance import advance
from streams.core.model import Model
from streams.core.playbook import DAY, Playbook
from streams.core.step import Step
from streams.core.stimuli import Elapsed, Forget, LoggedIn, Ordered, Priority, Status, Stimulus, TicketStep

MODEL = Model(r=0.637, alpha=7.310, a=0.807, b=1.228, p=6.28, q=3.62, gamma=14.98)
"""CDNOW's, as printed."""

START = 10_000 * DAY
"""Midnight of an ordinary day, from which tests count."""

Trigger = ChurnRisk | WinBack
Event = Ordered | LoggedIn | TicketStep
Said = tuple[str, str, int]
"""Kind, rule and due instant, in ms after START."""


def hash64(name: str) -> int:
    """A 64-bit hash of an id, signed, as intake would make it."""
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), signed=True)


def order(at: int, amount: int = 1000, *, name: str = "", order_id: str = "", late: bool = False) -> Ordered:
    """An order `at` ms after START."""
    name = name or f"order {at}"
    return Ordered(START + at, hash64(name), hash64(order_id or name), amount, accept_late=late)


def refund(at: int, amount: int, *, name: str = "", order_id: str = "") -> Ordered:
    """A refund of so much (a positive number) `at` ms after START."""
    name = name or f"refund {at}"
    return Ordered(START + at, hash64(name), hash64(order_id or name), -amount, refund=True)


def login(at: int, *, name: str = "", late: bool = False) -> LoggedIn:
    """A login `at` ms after START."""
    return LoggedIn(START + at, hash64(name or f"login {at}"), accept_late=late)


def ticket(
    at: int,
    status: Status = Status.OPENED,
    *,
    of: str = "ticket",
    name: str = "",
    priority: Priority = Priority.NORMAL,
    late: bool = False,
) -> TicketStep:
    """A step in the life of the ticket `of`, `at` ms after START."""
    event = hash64(name or f"{of} {status} {at}")
    return TicketStep(START + at, event, hash64(of), status, priority, accept_late=late)


def after_start(instant: datetime | None) -> int:
    """An instant of the wire in ms after START."""
    assert instant is not None
    since = instant - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1000 + since.microseconds // 1000 - START


@dataclass
class World:
    """A customer, the clock, and everything said about the customer so far. Times count from START."""

    playbook: Playbook
    customer_id: str = "customer-1"
    customer: Customer | None = None
    clock: int = 0
    triggers: list[Trigger] = field(default_factory=list)
    healths: list[CustomerHealth] = field(default_factory=list)

    def see(self, *events: Event) -> Step:
        """Events arrive, in this order; the answer is the last one's step."""
        step = None
        for event in events:
            self.until(max(self.clock, event.at - START))
            step = self._advance(event)
        assert step is not None
        return step

    def until(self, clock: int) -> "World":
        """The clock moves on; only a customer with a deadline below it is looked at."""
        assert clock >= self.clock
        self.clock = clock
        customer = self.customer
        if customer is not None and START + clock > wake_of(customer):
            self._advance(Elapsed())
        return self

    def under(self, playbook: Playbook, moved_by: MovedBy) -> Step:
        """The playbook is another one from now on."""
        self.playbook = playbook
        return self._advance(Elapsed(moved_by))

    def forget(self, at: int) -> Step:
        """The customer is to be forgotten up to `at`, ms after START."""
        return self._advance(Forget(START + at))

    def said(self, *rules: str) -> list[Said]:
        """What went out (about these rules, or all), in order."""
        return [
            (trigger.kind, trigger.rule, after_start(trigger.due_at))
            for trigger in self.triggers
            if not rules or trigger.rule in rules
        ]

    def _advance(self, stimulus: Stimulus) -> Step:
        step = advance(
            self.customer_id, self.customer, stimulus, now=START + self.clock, playbook=self.playbook
        )
        self.customer = step.customer
        self.triggers += step.triggers
        if step.health is not None:
            self.healths.append(step.health)
        return step


def seen(playbook: Playbook, events: Iterable[Event]) -> World:
    """A world in which these events have arrived."""
    world = World(playbook)
    for event in events:
        world.see(event)
    return world
