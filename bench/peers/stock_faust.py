"""Stock faust-streaming at a job: an agent, a table in memory with its changelog.

As its documentation shows it: JSON records, JSON state, its settings as they are. --tuned: bytes in
and out, decoded by msgspec and packed by hand, larger fetches and buffers, changelog records allowed
to wait 20 ms for company. `Stream.take` is not among it: it loses the partition of a table's write.
"""

import asyncio
import os
import traceback
from collections.abc import Callable
from datetime import datetime
from struct import Struct
from typing import Any, Final

import faust
import msgspec
from faust.types import StreamT

from bench.peers.announce import Progress, options, say_versions
from bench.peers.jobs import Summary, advance, milliseconds, pack, unpack

_TOTAL: Final = Struct(">q")
_TUNED: Final[dict[str, Any]] = {
    "broker_max_poll_records": 4000,
    "consumer_max_fetch_size": 4 * 1024 * 1024,
    "stream_buffer_maxsize": 16_384,
    "producer_linger": 0.02,
    "producer_max_batch_size": 512 * 1024,
}

Fold = Callable[[Any, bytes, Any], bytes | None]
"""Table, key and value of a purchase; answers the body of an alert."""


class Purchase(faust.Record, serializer="json", validation=False):
    """What the job needs of one, as Faust models it."""

    occurred_at: str
    amount_minor: int


class RawPurchase(msgspec.Struct):
    """The same, as msgspec does."""

    occurred_at: datetime
    amount_minor: int


class RawAmount(msgspec.Struct):
    """All that a total needs."""

    amount_minor: int


def total(table: Any, key: bytes, purchase: Purchase) -> None:
    """A total in JSON."""
    table[key.decode()] += purchase.amount_minor


def retention(table: Any, key: bytes, purchase: Purchase) -> bytes | None:
    """A summary in JSON."""
    customer = key.decode()
    known = table.get(customer)
    at = milliseconds(datetime.fromisoformat(purchase.occurred_at))
    table[customer], alert = advance(known and Summary(*known), at, purchase.amount_minor)
    return None if alert is None else msgspec.json.encode(alert.body(customer))


_amount_of = msgspec.json.Decoder(RawAmount).decode
_purchase_of = msgspec.json.Decoder(RawPurchase).decode


def total_tuned(table: Any, key: bytes, value: bytes) -> None:
    """A total in eight bytes."""
    known = table.get(key)
    before = _TOTAL.unpack(known)[0] if known else 0
    table[key] = _TOTAL.pack(before + _amount_of(value).amount_minor)


def retention_tuned(table: Any, key: bytes, value: bytes) -> bytes | None:
    """A summary, packed."""
    purchase = _purchase_of(value)
    known = table.get(key)
    at = milliseconds(purchase.occurred_at)
    after, alert = advance(known and unpack(known), at, purchase.amount_minor)
    table[key] = pack(after)
    return None if alert is None else msgspec.json.encode(alert.body(key.decode()))


FOLDS: Final[dict[tuple[str, bool], Fold]] = {
    ("total", False): total,
    ("total", True): total_tuned,
    ("retention", False): retention,
    ("retention", True): retention_tuned,
}


async def run() -> None:
    """Fold so many records, and stop as Faust does: flush, commit, leave."""
    given = options(__doc__)
    say_versions("faust-streaming", "aiokafka")
    progress, done = Progress(given.events), asyncio.Event()
    app = faust.App(
        given.application_id,
        broker=f"kafka://{given.bootstrap}",
        store="memory://",
        datadir=given.folder,
        topic_partitions=4,
        topic_replication_factor=1,
        web_enabled=False,
        **(_TUNED if given.tuned else {}),
    )
    fold = FOLDS[given.job, given.tuned]
    types: dict[str, Any]
    if given.tuned:
        types = {"key_type": bytes, "value_type": bytes}
        source = app.topic(given.topic, **types, value_serializer="raw")
    else:
        source = app.topic(given.topic, key_type=bytes, value_type=Purchase)
        types = {"default": int} if given.job == "total" else {}
    alerts = app.topic(given.alerts, key_type=bytes, value_type=bytes, value_serializer="raw")
    table = app.Table("customers", partitions=4, **types)

    async def consume(stream: StreamT[Any]) -> None:
        async for key, purchase in stream.items():
            progress.begin()
            try:
                body = fold(table, key, purchase)
            except Exception:  # noqa: BLE001 - whatever it is, this run is over
                # Faust would start the agent anew, without a word where no log is set up.
                traceback.print_exc()
                os._exit(1)
            if body is not None:
                await alerts.send(key=key, value=body)
            if progress.end():
                done.set()

    app.agent(source, name="consume")(consume)
    starting = asyncio.create_task(app.start())
    await done.wait()
    await app.stop()
    starting.cancel()
    await asyncio.gather(starting, return_exceptions=True)


if __name__ == "__main__":
    asyncio.run(run())
