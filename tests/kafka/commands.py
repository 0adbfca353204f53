"""What the tests of the commands share: an installation of one's own, and reading it back."""

from typing import Any, Literal

from aiokafka import AIOKafkaConsumer, TopicPartition

from agents.configuration import read_settings
from streams.settings import Settings

Isolation = Literal["read_committed", "read_uncommitted"]


def installation(bootstrap: str, application_id: str, **more: object) -> Settings:
    """Settings whose topics no other test shares."""
    return read_settings(
        bootstrap=bootstrap, application_id=application_id, topic_prefix=f"{application_id}.", **more
    )


async def everything_in(
    bootstrap: str,
    topic: str,
    partitions: int,
    isolation: Isolation = "read_committed",
    up_to: Isolation = "read_uncommitted",
) -> list[list[Any]]:
    """The records of a topic, partition by partition, each in offset order.

    A commit is acknowledged before its markers stand in the partitions, so a transaction that is
    still open is waited for; `up_to` the committed end, what is committed so far is enough.
    """
    places = [TopicPartition(topic, n) for n in range(partitions)]
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap, isolation_level=up_to) as consumer:
        ends = await consumer.end_offsets(places)
    async with AIOKafkaConsumer(
        bootstrap_servers=bootstrap, auto_offset_reset="earliest", isolation_level=isolation
    ) as consumer:
        consumer.assign(places)
        read: dict[TopicPartition, list[Any]] = {place: [] for place in places}
        while any([await consumer.position(place) < ends[place] for place in places]):
            for place, records in (await consumer.getmany(timeout_ms=200)).items():
                read[place].extend(records)
        return [read[place] for place in places]
