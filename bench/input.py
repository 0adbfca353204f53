"""The input: purchases of 200 to 300 bytes, the same for everybody, and what is to come of them."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec
import orjson

from bench.peers.jobs import advance, milliseconds, pack, unpack

START: Final = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Size:
    """How much. days: over which the purchases are spread, evenly."""

    events: int = 1_000_000
    customers: int = 100_000
    days: int = 90
    partitions: int = 4

    @property
    def end(self) -> datetime:
        """The instant at which it ends; every purchase lies before it."""
        return START + timedelta(days=self.days)


def purchases(size: Size, seed: int = 1) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values in the order of time."""
    draw = random.Random(seed)
    step = timedelta(days=size.days) / size.events
    for number in range(size.events):
        customer = f"customer-{draw.randrange(size.customers):07d}"
        body = {
            "id": f"evt-{draw.getrandbits(64):016x}-{number:09d}",
            "customer_id": customer,
            "occurred_at": (START + number * step).isoformat(timespec="milliseconds"),
            "order_id": f"order-{number:09d}",
            "amount_minor": draw.randrange(500, 20_000),
            "currency": "USD",
            "kind": "purchase",
            "channel": "web",
        }
        yield customer.encode(), orjson.dumps(body)


class _Purchase(msgspec.Struct):
    occurred_at: datetime
    amount_minor: int


_decode = msgspec.json.Decoder(_Purchase).decode


@dataclass(slots=True)
class Expected:
    """What every engine has to arrive at.

    totals: the sum of each customer. summaries: as bench.peers.jobs packs them. alerts: (customer,
    instant). value_bytes: of all values together.
    """

    events: int = 0
    value_bytes: int = 0
    totals: dict[bytes, int] = field(default_factory=dict)
    summaries: dict[bytes, bytes] = field(default_factory=dict)
    alerts: set[tuple[bytes, int]] = field(default_factory=set)

    def watch(self, records: Iterator[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
        """The records, each of them taken note of as it passes."""
        for key, value in records:
            self.add(key, value)
            yield key, value

    def add(self, key: bytes, value: bytes) -> None:
        """Take note of a purchase, the newest so far."""
        purchase = _decode(value)
        at, amount = milliseconds(purchase.occurred_at), purchase.amount_minor
        self.events += 1
        self.value_bytes += len(value)
        self.totals[key] = self.totals.get(key, 0) + amount
        known = self.summaries.get(key)
        after, alert = advance(None if known is None else unpack(known), at, amount)
        self.summaries[key] = pack(after)
        if alert is not None:
            self.alerts.add((key, at))
