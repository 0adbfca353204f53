"""Whether an engine has done its work: what stands in the topics it wrote, against what is to stand there.

Read independently and committed, as whoever takes over after a crash would read it. So nobody is
timed for keeping no changelog, skipping records or writing alerts that are wrong.
"""

from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import msgspec
from aiokafka import TopicPartition

from agents.clients import reader
from bench.catalogue import Engine, Order
from bench.input import Expected
from bench.measure import Failed
from bench.peers.jobs import unpack
from schemas.topics import CHURN_RISK, WIN_BACK
from streams.connection import admin
from streams.settings import Settings

_POLL_MS: Final = 500
_PATIENCE_POLLS: Final = 60


class _Alert(msgspec.Struct):
    customer_id: str
    at: int


_decode_alert = msgspec.json.Decoder(_Alert).decode


async def verify(engine: Engine, order: Order, expected: Expected) -> None:
    """Raises Failed where state or alerts are not what they have to be."""
    if order.job == "drain":
        return
    state: dict[bytes, Any] = {}
    for topic in await topics_of(order.settings, order.name):
        if "changelog" in topic:
            async for key, value in everything(order.settings, topic):
                found = None if value is None else engine.read(order.job, key, value)
                if found is not None:
                    state[found[0]] = found[1]
    compare(state, wanted(engine, order, expected))
    if order.job == "retention" and not engine.own_alerts:
        alerts = [
            _decode_alert(value) async for _, value in everything(order.settings, order.alerts) if value
        ]
        said = [(alert.customer_id.encode(), alert.at) for alert in alerts]
        if len(said) != len(expected.alerts) or set(said) != expected.alerts:
            raise Failed(
                f"its {len(said):,} alerts are not the {len(expected.alerts):,} that they have to be"
            )


def wanted(engine: Engine, order: Order, expected: Expected) -> Mapping[bytes, Any]:
    """The state of each customer, as `engine.read` gives it."""
    if order.job == "total":
        return expected.totals
    if not engine.own_alerts:
        return expected.summaries
    summaries = ((key, unpack(value)) for key, value in expected.summaries.items())
    return {key: (summary.first_at, summary.last_at, summary.spend) for key, summary in summaries}


def compare(state: Mapping[bytes, Any], expected: Mapping[bytes, Any]) -> None:
    """Raises Failed with the number of customers that differ."""
    wrong = sum(1 for key, value in expected.items() if state.get(key) != value)
    if wrong or len(state) != len(expected):
        raise Failed(f"{wrong:,} of {len(expected):,} customers are wrong in its changelog of {len(state):,}")


async def triggers_in(settings: Settings) -> int:
    """How many triggers stand in Winback's topics."""
    names = [settings.topics.name(topic) for topic in (CHURN_RISK, WIN_BACK)]
    count = 0
    for name in names:
        async for _ in everything(settings, name):
            count += 1
    return count


async def topics_of(settings: Settings, name: str) -> list[str]:
    """The topics that have `name` in theirs."""
    async with admin(settings) as client:
        return [topic for topic in await client.list_topics() if name in topic]


async def everything(settings: Settings, topic: str) -> AsyncIterator[tuple[bytes, bytes | None]]:
    """Key and value of every committed record of a topic, in order within a partition."""
    async with reader(settings) as consumer:
        async with admin(settings) as client:
            [described] = [each for each in await client.describe_topics() if each["topic"] == topic]
        places = [TopicPartition(topic, each["partition"]) for each in described["partitions"]]
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        await consumer.seek_to_beginning()
        unread, idle = set(places), 0
        while unread:
            batches = await consumer.getmany(timeout_ms=_POLL_MS)
            idle = 0 if batches else idle + 1
            for records in batches.values():
                for record in records:
                    yield record.key or b"", record.value
            unread -= {place for place in unread if await consumer.position(place) >= ends[place]}
            if idle > _PATIENCE_POLLS:
                raise Failed(f"{topic} cannot be read to its end")
