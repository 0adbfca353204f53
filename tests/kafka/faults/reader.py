"""Reads what a run has left, apart from the engine: nothing of streams.tables or the driver is in here."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from schemas.customer import Customer
from schemas.positions import PartitionRecord
from schemas.record import PARTITION_KEY, head, unpack, unpack_partition
from streams.clock import wall_ms


@dataclass
class Rebuilt:
    """One partition of the customer table as its changelog tells it, read committed.

    wakes: the deadline that stands at a fixed place of each record, for recovery to find.
    """

    customers: dict[bytes, Customer] = field(default_factory=dict)
    wakes: dict[bytes, int] = field(default_factory=dict)
    record: PartitionRecord | None = None


def rebuilt(records: Sequence[Any]) -> Rebuilt:
    """Fold changelog records; raises StateError where one cannot be understood."""
    table = Rebuilt()
    for record in records:
        if record.key == PARTITION_KEY:
            table.record = unpack_partition(record.value)
        elif record.value is None:
            table.customers.pop(record.key, None)
            table.wakes.pop(record.key, None)
        else:
            table.customers[record.key] = unpack(record.value)
            table.wakes[record.key] = head(record.value).wake_at
    return table


@dataclass
class Ledger:
    """Follows the partition records while workers run: who gets on, and since when."""

    bootstrap: str
    changelog: str
    partitions: int
    records: dict[int, PartitionRecord] = field(default_factory=dict)
    moved_at: dict[int, int] = field(default_factory=dict)
    """When the newest partition record was written, milliseconds since the epoch; by its worker's clock,
    but not after it was read."""
    commits: int = 0

    @asynccontextmanager
    async def following(self) -> AsyncIterator["Ledger"]:
        """Read on in the background until the block ends."""
        task = asyncio.create_task(self._follow(), name="ledger")
        try:
            yield self
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _follow(self) -> None:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.bootstrap, auto_offset_reset="earliest", isolation_level="read_committed"
        )
        await consumer.start()
        try:
            consumer.assign([TopicPartition(self.changelog, number) for number in range(self.partitions)])
            while True:
                # While a broker is away there is nothing to read, and that is all there is to say.
                with suppress(KafkaError):
                    for place, records in (await consumer.getmany(timeout_ms=100)).items():
                        for record in records:
                            if record.key == PARTITION_KEY:
                                self.commits += 1
                                self.records[place.partition] = unpack_partition(record.value)
                                # A worker whose clock is ahead has not got on in the future.
                                self.moved_at[place.partition] = min(record.timestamp, wall_ms())
        finally:
            await consumer.stop()

    def finished(self, end: int) -> bool:
        """Whether the bounded replay up to `end` (ms) is through in every partition."""
        return all(self.at_end(number, end) for number in range(self.partitions))

    def at_end(self, number: int, end: int) -> bool:
        """Whether it is through in this partition."""
        record = self.records.get(number)
        return record is not None and record.until == end and record.clock >= end

    def passed(self, sources: Sequence[Sequence[int]], erasures: Sequence[int]) -> bool:
        """Whether every partition has folded and obeyed all before these offsets.

        sources: for each source topic the offsets by partition; erasures: those of `erasures`.
        """
        return len(self.records) == self.partitions and all(
            record.erasures_next >= erasures[number]
            and all(at.next_offset >= ends[number] for at, ends in zip(record.sources, sources, strict=True))
            for number, record in self.records.items()
        )

    def all_moved(self, since: int, end: int) -> bool:
        """Whether every partition has committed something since then (ms), or has nothing left to do."""
        return all(
            self.at_end(number, end) or self.moved_at.get(number, 0) > since
            for number in range(self.partitions)
        )
