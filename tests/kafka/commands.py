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
    bootstrap: str, topic: str, partitions: int, isolation: Isolation = "read_committed"
) -> list[list[Any]]:
    """The records of a topic, partition by partition, each in offset order."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, auto_offset_reset="earliest", isolation_level=isolation
    )
    await consumer.start()
    try:
        places = [TopicPartition(topic, n) for n in range(partitions)]
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        read: dict[TopicPartition, list[Any]] = {place: [] for place in places}
        while any([await consumer.position(place) < ends[place] for place in places]):
            for place, records in (await consumer.getmany(timeout_ms=200)).items():
                read[place].extend(records)
        return [read[place] for place in places]
    finally:
        await consumer.stop()
