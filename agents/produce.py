"""Events into a topic, in order and fast: record batches a partition, keyed by the customer.

Each record carries the instant at which it is sent as its Kafka timestamp (CreateTime).
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from functools import lru_cache
from typing import Any, Final

from aiokafka import AIOKafkaProducer

from agents.clients import need_topics, producer
from schemas.codec import encode_event
from schemas.errors import BrokerUnreachable
from schemas.events import Event
from streams.partitioner import partition_of
from streams.settings import Settings

IN_FLIGHT: Final = 16
"""Batches sent and not yet acknowledged: enough to keep the broker busy, and a bound on memory."""

PATIENCE: Final = 30.0
"""Seconds without an acknowledgement after which the broker counts as gone."""

Progress = Callable[[int], None]
"""Called with the number of records acknowledged since the last call."""


def no_progress(records: int) -> None:
    """For callers that show none."""


async def load_events(
    settings: Settings, topic: str, events: Iterable[Event], progress: Progress = no_progress
) -> int:
    """Produce `events`, which must be sorted by `occurred_at`; how many the broker acknowledged.

    Raises TopicsError where the topic is missing, BrokerUnreachable and Fatal as `send_records`.
    """
    records = ((event.customer_id.encode(), encode_event(event)) for event in events)
    return await send_records(settings, topic, records, progress)


async def send_records(
    settings: Settings,
    topic: str,
    records: Iterable[tuple[bytes, bytes]],
    progress: Progress = no_progress,
    *,
    patience: float = PATIENCE,
) -> int:
    """Produce keys and values in order within each partition; how many the broker acknowledged.

    Raises TopicsError where the topic is missing, BrokerUnreachable where no broker answers, Fatal
    where it refuses. Sending the same events again is then safe: the engine knows them by their ids.
    """
    count = (await need_topics(settings, topic))[topic]

    # Customers come back again and again, and the hash is a loop in Python.
    place = lru_cache(maxsize=1_000_000)(partition_of)

    async with producer(settings) as client:
        batches = [client.create_batch() for _ in range(count)]
        deliveries = _Deliveries(client, topic, progress, patience)
        try:
            for key, value in records:
                partition = place(key, count)
                if batches[partition].append(key=key, value=value, timestamp=None) is None:
                    await deliveries.send(batches[partition], partition)
                    batches[partition] = client.create_batch()
                    batches[partition].append(key=key, value=value, timestamp=None)
            for partition, batch in enumerate(batches):
                if batch.record_count():
                    await deliveries.send(batch, partition)
            await deliveries.settle()
        except TimeoutError as error:
            raise BrokerUnreachable(
                f"no broker at {settings.bootstrap} has acknowledged anything for {patience:.0f} s; "
                f"{deliveries.acknowledged:,} records had arrived; loading all of them again does no harm"
            ) from error
        return deliveries.acknowledged


class _Deliveries:
    """Batches on their way to the broker, oldest first."""

    def __init__(self, client: AIOKafkaProducer, topic: str, progress: Progress, patience: float) -> None:
        self.acknowledged = 0
        self._client = client
        self._topic = topic
        self._progress = progress
        self._patience = patience
        self._waiting: deque[tuple[Awaitable[Any], int]] = deque()

    async def send(self, batch: Any, partition: int) -> None:
        """Hand a batch over; waits while too many are on their way."""
        records = batch.record_count()
        async with asyncio.timeout(self._patience):
            delivery = await self._client.send_batch(batch, self._topic, partition=partition)
        self._waiting.append((delivery, records))
        # The sender is a task of the same loop: it gets its turn here.
        await asyncio.sleep(0)
        await self.settle(IN_FLIGHT)

    async def settle(self, allowed: int = 0) -> None:
        """Wait until at most `allowed` batches are on their way; a failed one raises here."""
        while len(self._waiting) > allowed:
            delivery, records = self._waiting.popleft()
            async with asyncio.timeout(self._patience):
                await delivery
            self.acknowledged += records
            self._progress(records)
