"""quixstreams at a job: a StreamingDataFrame with state in RocksDB and its changelog.

As its documentation shows it: JSON in, JSON state, its settings as they are. --tuned: bytes in and
out, decoded by msgspec and packed by hand, larger fetches, and a checkpoint every 30 s instead of 5.
"""

from collections.abc import Callable
from datetime import datetime
from struct import Struct
from typing import Any, Final

import msgspec
import orjson
from quixstreams import Application

from bench.peers.announce import Progress, options, say_versions
from bench.peers.jobs import Summary, advance, milliseconds, pack, unpack

_TOTAL: Final = Struct(">q")
_KEY: Final = "customer"
"""quixstreams keeps several values a message key; this one is ours."""

Fold = Callable[[Any, Any, Any, Any, Any], bytes | None]
"""Value, key, timestamp, headers and state of a purchase; answers the body of an alert."""


class RawPurchase(msgspec.Struct):
    """What the job needs of one."""

    occurred_at: datetime
    amount_minor: int


class RawAmount(msgspec.Struct):
    """All that a total needs."""

    amount_minor: int


_amount_of = msgspec.json.Decoder(RawAmount).decode
_purchase_of = msgspec.json.Decoder(RawPurchase).decode


def total(value: Any, _key: Any, _time: Any, _headers: Any, state: Any) -> None:
    """A total in JSON."""
    state.set(_KEY, state.get(_KEY, 0) + value["amount_minor"])


def total_tuned(value: Any, _key: Any, _time: Any, _headers: Any, state: Any) -> None:
    """A total in eight bytes."""
    known = state.get_bytes(_KEY)
    before = _TOTAL.unpack(known)[0] if known else 0
    state.set_bytes(_KEY, _TOTAL.pack(before + _amount_of(value).amount_minor))


def retention(value: Any, key: Any, _time: Any, _headers: Any, state: Any) -> bytes | None:
    """A summary in JSON."""
    known = state.get(_KEY)
    at = milliseconds(datetime.fromisoformat(value["occurred_at"]))
    after, alert = advance(known and Summary(*known), at, value["amount_minor"])
    state.set(_KEY, list(after))
    return None if alert is None else orjson.dumps(alert.body(key.decode()))


def retention_tuned(value: Any, key: Any, _time: Any, _headers: Any, state: Any) -> bytes | None:
    """A summary, packed."""
    purchase = _purchase_of(value)
    known = state.get_bytes(_KEY)
    at = milliseconds(purchase.occurred_at)
    after, alert = advance(known and unpack(known), at, purchase.amount_minor)
    state.set_bytes(_KEY, pack(after))
    return None if alert is None else orjson.dumps(alert.body(key.decode()))


FOLDS: Final[dict[tuple[str, bool], Fold]] = {
    ("total", False): total,
    ("total", True): total_tuned,
    ("retention", False): retention,
    ("retention", True): retention_tuned,
}


def run() -> None:
    """Fold so many records, and stop as quixstreams does: a last checkpoint, then leave."""
    given = options(__doc__)
    say_versions("quixstreams", "confluent-kafka")
    tuned: dict[str, Any] = {
        "commit_interval": 30.0,
        "consumer_extra_config": {
            "fetch.message.max.bytes": 16 * 1024 * 1024,
            "queued.max.messages.kbytes": 256 * 1024,
            "queued.min.messages": 200_000,
        },
        "producer_extra_config": {"linger.ms": 50, "batch.size": 1024 * 1024},
    }
    app = Application(
        broker_address=given.bootstrap,
        consumer_group=given.application_id,
        auto_offset_reset="earliest",
        state_dir=given.folder,
        auto_create_topics=True,
        loglevel="WARNING",
        **(tuned if given.tuned else {}),
    )
    source = app.topic(
        given.topic, key_deserializer="bytes", value_deserializer="bytes" if given.tuned else "json"
    )
    alerts = app.topic(given.alerts, key_serializer="bytes", value_serializer="bytes")
    fold, progress = FOLDS[given.job, given.tuned], Progress(given.events)

    def step(value: Any, key: Any, timestamp: Any, headers: Any, state: Any) -> bytes | None:
        progress.begin()
        body = fold(value, key, timestamp, headers, state)
        if progress.end():
            app.stop()
        return body

    frame = app.dataframe(source).apply(step, stateful=True, metadata=True)
    if given.job == "retention":
        frame[frame.apply(lambda body: body is not None)].to_topic(alerts)
    app.run()


if __name__ == "__main__":
    run()
