"""A population of customers whose drop-outs are known, for trying the engine out.

Purchases follow the models behind the score, MBG/NBD (Batislam et al. 2007) and Gamma-Gamma (Fader &
Hardie 2013, note 025): a customer's rate is Gamma(r, alpha) a week, each purchase, the first too, is
the last with a probability drawn from Beta(a, b), and the mean of an order is Gamma. Around them:

- Logins come at a rate of the customer's own while they are alive, and one shortly before each
  order; after the drop-out a tenth of the rate remains.
- Support tickets come seldom; each is opened, replied to (one in seven later than its priority
  promises, some never), resolved, sometimes reopened, closed.
- One drop-out in four has a story: three to five tickets in the fortnight after the last order, and
  the customer leaves with the last of them. All others leave with their last order.

Each customer has a random stream of their own, so customer 7 of a seed is the same person in a
population of ten and of a million. The same seed gives the same events as long as numpy's
generators stay the same, which its policy (NEP 19) changes only with a new feature version.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from heapq import merge
from typing import Final

import numpy as np

from schemas.events import Event, Login, Purchase, SupportTicket, TicketPriority, TicketStatus
from schemas.instants import DAY_MS

WEEK_MS: Final = 7 * DAY_MS
HOUR_MS: Final = 3_600_000

CUSTOMERS: Final = 10_000
START: Final = date(2024, 1, 1)
DAYS: Final = 545
SEED: Final = 1
"""The default population: 10,000 customers over eighteen months, of whom seven in ten order twice."""


@dataclass(frozen=True, slots=True)
class Habits:
    """The parameters of a population: rates a week, money in major units.

    r, alpha: purchase rates are Gamma(r, rate alpha). a, b: drop-out probabilities are Beta(a, b).
    p, q, gamma: order values, Gamma-Gamma. joined_within: the share of the time in which customers
    place their first order, evenly.
    """

    r: float = 1.2
    alpha: float = 6.0
    a: float = 0.8
    b: float = 2.5
    p: float = 6.28
    q: float = 3.62
    gamma: float = 14.98
    joined_within: float = 0.6
    logins: float = 1.5
    logins_after_drop_out: float = 0.1
    tickets: float = 0.02
    unhappy: float = 0.25
    refunded: float = 0.03


@dataclass(frozen=True, slots=True)
class Truth:
    """What really became of a customer. dropped_at: None where they were still alive at the end."""

    customer_id: str
    joined_at: datetime
    dropped_at: datetime | None
    orders: int


@dataclass(frozen=True, slots=True)
class Life:
    """All events of one customer, each tuple ascending by `occurred_at`, and the truth."""

    truth: Truth
    purchases: tuple[Purchase, ...]
    logins: tuple[Login, ...]
    tickets: tuple[SupportTicket, ...]


@dataclass(frozen=True, slots=True)
class Population:
    """A whole population in memory, each topic ascending by `occurred_at`."""

    purchases: tuple[Purchase, ...]
    logins: tuple[Login, ...]
    tickets: tuple[SupportTicket, ...]
    truth: tuple[Truth, ...]

    def events(self) -> Iterator[Event]:
        """All events ascending by `occurred_at`; at one instant purchases first, then logins."""
        return merge(self.purchases, self.logins, self.tickets, key=_occurred_at)


def population(
    seed: int = SEED,
    customers: int = CUSTOMERS,
    start: date = START,
    days: int = DAYS,
    *,
    currency: str = "USD",
) -> Population:
    """A population of so many customers over `days` from `start` (UTC), sorted."""
    everyone = list(lives(seed, customers, start, days, currency=currency))
    return Population(
        purchases=tuple(sorted((e for life in everyone for e in life.purchases), key=_occurred_at)),
        logins=tuple(sorted((e for life in everyone for e in life.logins), key=_occurred_at)),
        tickets=tuple(sorted((e for life in everyone for e in life.tickets), key=_occurred_at)),
        truth=tuple(life.truth for life in everyone),
    )


def lives(
    seed: int = SEED,
    customers: int = CUSTOMERS,
    start: date = START,
    days: int = DAYS,
    *,
    currency: str = "USD",
    habits: Habits = Habits(),
) -> Iterator[Life]:
    """One customer after the other, so that a population need not fit into memory."""
    begin = datetime(start.year, start.month, start.day, tzinfo=UTC)
    for number in range(customers):
        story = _Story(seed, number, begin=begin, end=days * DAY_MS, currency=currency, habits=habits)
        yield story.life()


def _occurred_at(event: Event) -> datetime:
    return event.occurred_at


class _Story:
    """One customer's life, told in milliseconds since the start; `end` is where the telling ends."""

    def __init__(
        self, seed: int, number: int, *, begin: datetime, end: int, currency: str, habits: Habits
    ) -> None:
        self._random = np.random.Generator(np.random.PCG64(np.random.SeedSequence((seed, number))))
        self._id = f"s{seed}-{number:07d}"
        self._begin = begin
        self._end = end
        self._currency = currency
        self._habits = habits

    def life(self) -> Life:
        """Everything that happened before the end."""
        orders, dropped = self._orders()
        last = orders[-1]
        spike = dropped and self._random.random() < self._habits.unhappy
        complaints = self._complaints(last) if spike else []
        left = max([last, *complaints]) if dropped else self._end
        openings = sorted([*self._instants(self._habits.tickets, orders[0], last), *complaints])
        steps = [step for n, opened in enumerate(openings) for step in self._ticket(n, opened)]
        dropped_at = self._at(left) if dropped and left < self._end else None
        return Life(
            Truth(self._id, self._at(orders[0]), dropped_at, len(orders)),
            tuple(sorted(self._purchases(orders), key=_occurred_at)),
            self._logins(orders, min(left, self._end)),
            tuple(
                sorted((step for step in steps if step.occurred_at < self._at(self._end)), key=_occurred_at)
            ),
        )

    def _orders(self) -> tuple[list[int], bool]:
        """The instants of all orders, and whether the last was the customer's last for good."""
        habits, random = self._habits, self._random
        rate = random.gamma(habits.r) / habits.alpha / WEEK_MS
        last_with = random.beta(habits.a, habits.b)
        instant = random.random() * self._end * habits.joined_within
        orders = [int(instant)]
        while random.random() >= last_with:
            instant += random.exponential() / rate
            if instant >= self._end:
                return orders, False
            orders.append(int(instant))
        return orders, True

    def _purchases(self, orders: list[int]) -> Iterator[Purchase]:
        habits, random = self._habits, self._random
        spread = habits.gamma / random.gamma(habits.q)
        for n, instant in enumerate(orders):
            amount = max(1, round(100 * random.gamma(habits.p) * spread))
            order = f"{self._id}-o{n}"
            yield Purchase(
                id=order,
                customer_id=self._id,
                occurred_at=self._at(instant),
                order_id=order,
                amount_minor=amount,
                currency=self._currency,
                channel="web" if random.random() < 0.7 else "shop",
            )
            if random.random() < habits.refunded:
                returned = instant + int(random.uniform(1, 20) * DAY_MS)
                share = 1.0 if random.random() < 0.6 else random.uniform(0.1, 0.9)
                if returned < self._end:
                    yield Purchase(
                        id=f"{order}-refund",
                        customer_id=self._id,
                        occurred_at=self._at(returned),
                        order_id=order,
                        amount_minor=max(1, round(amount * share)),
                        currency=self._currency,
                        kind="refund",
                    )

    def _logins(self, orders: list[int], left: int) -> tuple[Login, ...]:
        habits, random = self._habits, self._random
        rate = random.gamma(2.0) / 2.0 * habits.logins
        instants = [max(0, order - int(random.uniform(1, 30) * 60_000)) for order in orders]
        instants += self._instants(rate, orders[0], left)
        instants += self._instants(rate * habits.logins_after_drop_out, left, self._end)
        method = ("password", "google", "apple")[random.integers(3)]
        return tuple(
            Login(
                id=f"{self._id}-l{n}",
                customer_id=self._id,
                occurred_at=self._at(instant),
                method=method,
                channel="web",
            )
            for n, instant in enumerate(sorted(instants))
        )

    def _complaints(self, last: int) -> list[int]:
        """The openings of the tickets that a story of leaving consists of."""
        random = self._random
        count = int(random.integers(3, 6))
        return [last + int(day * DAY_MS) for day in sorted(random.uniform(0.1, 14.0, count))]

    def _ticket(self, number: int, opened: int) -> Iterator[SupportTicket]:
        random = self._random
        priority = _PRIORITIES[int(random.choice(4, p=(0.2, 0.55, 0.2, 0.05)))]
        category = ("delivery", "payment", "product", "account")[random.integers(4)]
        for n, (status, instant) in enumerate(self._steps(opened, _PROMISE_MS[priority])):
            yield SupportTicket(
                id=f"{self._id}-t{number}-{n}",
                customer_id=self._id,
                occurred_at=self._at(instant),
                ticket_id=f"{self._id}-t{number}",
                status=status,
                priority=priority,
                category=category,
                channel="mail",
            )

    def _steps(self, opened: int, promised: int) -> Iterator[tuple[TicketStatus, int]]:
        """The steps of a ticket whose reply is promised within so many milliseconds."""
        random = self._random
        yield "opened", opened
        missed = random.random() < 1 / 7
        if missed and random.random() < 0.3:
            return
        instant = opened + int(promised * (random.uniform(1.1, 6) if missed else random.uniform(0.05, 0.95)))
        yield "replied", instant
        instant += int(random.uniform(0.5, 72) * HOUR_MS)
        yield "resolved", instant
        if random.random() < 0.1:
            instant += int(random.uniform(1, 72) * HOUR_MS)
            yield "reopened", instant
            instant += int(promised * random.uniform(0.05, 0.95))
            yield "replied", instant
            instant += int(random.uniform(0.5, 72) * HOUR_MS)
            yield "resolved", instant
        yield "closed", instant + 3 * DAY_MS

    def _instants(self, rate_a_week: float, begin: int, end: int) -> list[int]:
        """A Poisson process between two instants."""
        length = max(0, end - begin)
        count = int(self._random.poisson(rate_a_week * length / WEEK_MS))
        return [begin + int(share * length) for share in sorted(self._random.random(count))]

    def _at(self, instant: int) -> datetime:
        return self._begin + timedelta(milliseconds=instant)


_PRIORITIES: Final[tuple[TicketPriority, ...]] = ("low", "normal", "high", "urgent")
_PROMISE_MS: Final[dict[TicketPriority, int]] = {
    "low": 24 * HOUR_MS,
    "normal": 8 * HOUR_MS,
    "high": 4 * HOUR_MS,
    "urgent": HOUR_MS,
}
