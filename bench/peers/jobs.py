"""The two jobs as the peers do them: pure folds, with nothing but the standard library.

*total*: the running sum of a customer's purchases. *retention*: first, last, count, windows of 7, 30
and 90 days, a score, and an alert. The alert is what an engine without deadlines can notice: that a
customer has just come back after a silence of three times their usual one. bench/kafka-streams does
the same in Java, byte for byte.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain
from struct import Struct
from typing import Final, NamedTuple

DAY_MS: Final = 86_400_000
WINDOW_DAYS: Final = (7, 30, 90)
ALERT_SCORE: Final = 3.0
"""Times the usual silence."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_HEAD: Final = Struct(">qqiq")
_ENTRY: Final = Struct(">qi")


class Summary(NamedTuple):
    """A customer. Instants in milliseconds since the epoch, amounts in minor units.

    recent: the (instant, amount) of the purchases of the last 90 days, oldest first.
    """

    first_at: int
    last_at: int
    orders: int
    spend: int
    recent: Sequence[tuple[int, int]]


class Alert(NamedTuple):
    """A customer who came back at `at`; orders and spend in windows of 7, 30 and 90 days up to then."""

    at: int
    score: float
    orders: tuple[int, int, int]
    spend: tuple[int, int, int]

    def body(self, customer: str) -> dict[str, object]:
        """As it is written."""
        return {
            "customer_id": customer,
            "at": self.at,
            "score": self.score,
            "orders": self.orders,
            "spend": self.spend,
        }


def advance(before: Summary | None, at: int, amount: int) -> tuple[Summary, Alert | None]:
    """Fold one purchase, the customer's newest."""
    if before is None:
        return Summary(at, at, 1, amount, [(at, amount)]), None
    first_at, last_at, orders, spend, recent = before
    since_90, since_30, since_7 = (at - days * DAY_MS for days in reversed(WINDOW_DAYS))
    kept = [(then, paid) for then, paid in recent if then > since_90]
    kept.append((at, amount))
    orders_7 = orders_30 = spend_7 = spend_30 = spend_90 = 0
    for then, paid in kept:
        spend_90 += paid
        if then > since_30:
            orders_30 += 1
            spend_30 += paid
            if then > since_7:
                orders_7 += 1
                spend_7 += paid
    after = Summary(first_at, at, orders + 1, spend + amount, kept)
    usual = last_at - first_at
    score = (at - last_at) * (orders - 1) / usual if usual else 0.0
    if score < ALERT_SCORE:
        return after, None
    return after, Alert(at, score, (orders_7, orders_30, len(kept)), (spend_7, spend_30, spend_90))


def pack(summary: Summary) -> bytes:
    """First, last, count and sum, then each recent purchase: big-endian."""
    first_at, last_at, orders, spend, recent = summary
    entries = Struct(f">{'qi' * len(recent)}").pack(*chain.from_iterable(recent))
    return _HEAD.pack(first_at, last_at, orders, spend) + entries


def unpack(value: bytes) -> Summary:
    """The summary that `pack` has packed."""
    first_at, last_at, orders, spend = _HEAD.unpack_from(value)
    recent = [(at, paid) for at, paid in _ENTRY.iter_unpack(memoryview(value)[_HEAD.size :])]
    return Summary(first_at, last_at, orders, spend, recent)


def milliseconds(moment: datetime) -> int:
    """Since the epoch."""
    return (moment - _EPOCH) // _MILLISECOND
