"""The customer table: one shard a partition, recovered from the changelog in big batches.

A shard equals what the changelog holds below `changelog_next`, read committed. The processor puts
into it what it has committed, after the commit; so reading the changelog on from there repeats at
most what is known already.
"""

import asyncio
import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.structs import ConsumerRecord, TopicPartition
from faust.stores import STORES
from faust.stores.memory import Store

from schemas.customer import NEVER, PartitionRecord
from schemas.errors import BrokerUnreachable, Gap, StateError
from schemas.record import HEAD_SIZE, PARTITION_KEY, VERSION, Fingerprint, raw_head, unpack_partition
from streams.clock import monotonic
from streams.connection import client_arguments, start
from streams.settings import Settings

FETCH_BYTES = 4 * 1024 * 1024
"""Of one partition in one answer."""
CHUNK_RECORDS = 10_000
"""Applied in one go; the loop then serves others, a few dozen milliseconds later."""
STALLED_SECONDS = 30.0
"""Without a record for so long, though the changelog holds more, the broker counts as gone."""

HEAP_RECORDS = 50_000
"""As CHUNK_RECORDS, of the heap."""

Progress = Callable[[], None]


@dataclass(slots=True)
class Shard:
    """The customers of one partition, by key, packed as `schemas.record` says.

    changelog_next: the offset up to which the changelog has been applied. As of the last load:
    deadlines, a heap of (wake_at in milliseconds since the epoch, key); how many customers are in
    each stage; and the fingerprints their deadlines were computed with.
    """

    records: dict[bytes, bytes] = field(default_factory=dict)
    partition_record: PartitionRecord | None = None
    deadlines: list[tuple[int, bytes]] = field(default_factory=list)
    stages: Counter[int] = field(default_factory=Counter)
    fingerprints: set[Fingerprint] = field(default_factory=set)
    changelog_next: int = 0


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What a load did. records: changelog records read. errors: what could not be understood."""

    records: int
    seconds: float
    errors: Sequence[StateError] = ()


class ShardStore(Store[bytes, bytes]):
    """Faust's handle on the shards; whoever makes the table passes them in as option `shards`."""

    @property
    def shards(self) -> dict[int, Shard]:
        """The shards by partition."""
        shards: dict[int, Shard] = (self.options or {})["shards"]
        return shards


STORES.aliases["shards"] = "streams.tables:ShardStore"


async def load(
    settings: Settings,
    topic: str,
    shards: dict[int, Shard],
    partitions: Iterable[int],
    *,
    progress: Progress = lambda: None,
) -> LoadReport:
    """Bring `shards` up to the end of the changelog, read committed, for exactly `partitions`.

    The caller has fenced these partitions before: no transaction on the changelog is open any more, so
    its stable end is its end. Shards of other partitions are dropped; one that is there already is only
    read on. `progress` is called as records arrive. What cannot be understood is reported and stays out
    of the shard. Raises BrokerUnreachable where nothing comes for STALLED_SECONDS, and Gap where the
    changelog is shorter than what a shard holds of it.
    """
    began, wanted = monotonic(), frozenset(partitions)
    for gone in shards.keys() - wanted:
        del shards[gone]
    if not wanted:
        return LoadReport(0, 0.0)
    consumer = AIOKafkaConsumer(
        **client_arguments(settings),
        group_id=None,
        enable_auto_commit=False,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=FETCH_BYTES,
        fetch_max_wait_ms=50,
        max_poll_records=CHUNK_RECORDS,
    )
    await start(consumer, settings)
    reader = _Reader(consumer, topic, progress)
    try:
        await reader.read({partition: shards.setdefault(partition, Shard()) for partition in wanted})
    finally:
        await consumer.stop()
    for partition in wanted:
        await read_heads(shards[partition])
        progress()
    return LoadReport(reader.records, monotonic() - began, reader.errors)


class _Reader:
    """One pass over the changelog of some partitions."""

    def __init__(self, consumer: AIOKafkaConsumer, topic: str, progress: Progress) -> None:
        self.records = 0
        self.errors: list[StateError] = []
        self._consumer = consumer
        self._topic = topic
        self._progress = progress

    async def read(self, shards: dict[int, Shard]) -> None:
        parts = {TopicPartition(self._topic, partition): shard for partition, shard in shards.items()}
        self._consumer.assign(list(parts))
        first = await self._within(self._consumer.beginning_offsets(list(parts)))
        ends = await self._within(self._consumer.end_offsets(list(parts)))
        for part, shard in parts.items():
            if shard.changelog_next > ends[part]:
                raise Gap(
                    f"{part.topic}, partition {part.partition}, ends at offset {ends[part]}, but was read "
                    f"up to {shard.changelog_next} before: was it deleted and made anew?"
                )
            if shard.changelog_next < first[part]:  # something was removed that the shard has not seen
                shard.records.clear()
                shard.partition_record = None
                shard.changelog_next = first[part]
            self._consumer.seek(part, shard.changelog_next)
        left = {part for part, shard in parts.items() if shard.changelog_next < ends[part]}
        moved_at = monotonic()
        while left:
            found = await self._consumer.getmany(*left, timeout_ms=500)
            for part, records in found.items():
                self.records += len(records)
                self.errors += apply(parts[part], records)
            for part in tuple(left):
                position = await self._consumer.position(part)
                if position > parts[part].changelog_next:
                    parts[part].changelog_next = position
                    moved_at = monotonic()
                    self._progress()
                if position >= ends[part]:
                    left.discard(part)
            if monotonic() - moved_at > STALLED_SECONDS:
                raise self._stalled()

    async def _within(self, asked: Any) -> Any:
        try:
            return await asyncio.wait_for(asked, STALLED_SECONDS)
        except TimeoutError:
            raise self._stalled() from None

    def _stalled(self) -> BrokerUnreachable:
        return BrokerUnreachable(f"{self._topic} could not be read: nothing came for {STALLED_SECONDS:.0f} s")


def apply(shard: Shard, records: Sequence[ConsumerRecord]) -> list[StateError]:
    """Bring a shard forward by changelog records, in their order.

    Answers what could not be understood. Such a customer is taken out of the shard: what stood there
    before is out of date, and would be worse than nothing.
    """
    customers, errors = shard.records, []
    for record in records:
        key, value = record.key, record.value
        if value is None:
            customers.pop(key, None)
        elif key == PARTITION_KEY:
            try:
                shard.partition_record = unpack_partition(value)
            except StateError as error:
                errors.append(_located(record, str(error)))
        elif len(value) > HEAD_SIZE and value[0] == VERSION:
            customers[key] = value
        else:
            customers.pop(key, None)
            errors.append(_located(record, "damaged, or of a version that this program does not know"))
    return errors


def _located(record: ConsumerRecord, what: str) -> StateError:
    return StateError(f"{record.topic}, partition {record.partition}, offset {record.offset}: {what}")


async def read_heads(shard: Shard) -> None:
    """Rebuild what a shard derives from the fixed heads of its records."""
    deadlines: list[tuple[int, bytes]] = []
    stages, fingerprints = [0] * 256, set()
    model = playbook = -1
    items = iter(shard.records.items())
    while chunk := tuple(islice(items, HEAP_RECORDS)):
        for key, value in chunk:
            _, wake_at, its_model, its_playbook, stage = raw_head(value)
            stages[stage] += 1
            if its_model != model or its_playbook != playbook:
                model, playbook = its_model, its_playbook
                fingerprints.add(Fingerprint(model, playbook))
            if wake_at != NEVER:
                deadlines.append((wake_at, key))
        await asyncio.sleep(0)
    heapq.heapify(deadlines)
    shard.deadlines = deadlines
    shard.stages = Counter({stage: count for stage, count in enumerate(stages) if count})
    shard.fingerprints = fingerprints
