"""The job *total* on Winback's engine: batch driver, table, recovery, a transaction a batch and partition.

    python -m bench.totals OPTIONS (those of bench/peers/announce.py)

What the worker does around its fold is the same here: partitions are fenced and recovered from their
changelog, a batch is folded in memory, committed together with the position it leaves, and only then
put into the table, while other partitions fold. The fold is a sum, so what it takes is what the
engine costs. A total stands behind the head that every state record has, so that the table of
customers recovers it as it is.
"""

import asyncio
from collections.abc import Mapping
from struct import Struct
from typing import Any, Final

import msgspec
from faust.types import StreamT

from agents.clients import silent_clients
from agents.worker import tune_process
from bench.peers.announce import SERVING, Progress, options, say, say_versions
from schemas.customer import LONG_AGO, NEVER
from schemas.positions import PartitionRecord, SourcePosition
from schemas.record import HEAD_SIZE, PARTITION_KEY, VERSION, pack_partition
from schemas.topics import CHANGELOG
from streams.app import build_app
from streams.app import run as run_app
from streams.changes import Changes, Record
from streams.clock import wall_ms
from streams.commit import Committer
from streams.compiled import in_use
from streams.driver import TP, Batch, Source
from streams.settings import Settings
from streams.tables import Shard, load

_TOTAL: Final = Struct(">BqIIBq")
"""The head of schemas/record.py, then the sum."""
_SUM: Final = Struct(">q")
_ELSEWHERE: Final = SourcePosition(0, LONG_AGO)


class Amount(msgspec.Struct, gc=False):
    """All that a total needs of a purchase."""

    amount_minor: int


_amount_of = msgspec.json.Decoder(Amount).decode


def packed(total: int) -> bytes:
    """The state record of a total."""
    return _TOTAL.pack(VERSION, NEVER, 0, 0, 0, total)


def total_of(value: bytes) -> int:
    """The total in a state record."""
    (total,) = _SUM.unpack_from(value, HEAD_SIZE)
    assert isinstance(total, int)
    return total


class Totals:
    """The receiver of the driver's batches: see streams.driver.interface.Receiver."""

    def __init__(self, settings: Settings, topic: str, shards: dict[int, Shard], progress: Progress) -> None:
        self.identities: Mapping[str, str] = {}
        self.done = asyncio.Event()
        self.failure: BaseException | None = None
        self._settings = settings
        self._topic = topic
        self._shards = shards
        self._progress = progress
        self._source: Source | None = None
        self._batches: dict[int, asyncio.Queue[Batch]] = {}
        self._locks: dict[int, asyncio.Lock] = {}
        self._committers: dict[int, Committer] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def attach(self, source: Source) -> None:
        """See streams.driver.Receiver."""
        self._source = source

    def deliver(self, batch: Batch) -> None:
        """See streams.driver.Receiver."""
        if batch.current and batch.partition in self._batches:
            self._progress.begin()
            self._batches[batch.partition].put_nowait(batch)
            if self._source is not None and self._batches[batch.partition].qsize() > 1:
                self._source.hold(batch.tp)

    def let_time_pass(self) -> None:
        """See streams.driver.Receiver: sums wait for nothing."""

    def drop_unmerged(self) -> None:
        """See streams.driver.Receiver."""
        self._batches = {number: asyncio.Queue() for number in self._batches}

    async def quiesce(self) -> None:
        """See streams.driver.Receiver."""
        for lock in self._locks.values():
            async with lock:
                pass

    async def open(self, partitions: frozenset[int], generation: int) -> Mapping[TP, int]:
        """See streams.driver.Receiver."""
        del generation
        await self.close()
        self._committers = {number: Committer(self._settings, number) for number in partitions}
        await asyncio.gather(*(committer.fence() for committer in self._committers.values()))
        await load(self._settings, self._settings.topics.name(CHANGELOG), self._shards, partitions)
        for number, committer in self._committers.items():
            committer.changelog_next = self._shards[number].changelog_next
        self._batches = {number: asyncio.Queue() for number in partitions}
        self._locks = {number: asyncio.Lock() for number in partitions}
        return {TP(self._topic, number): self._position(number) for number in partitions}

    def resume(self, generation: int) -> None:
        """See streams.driver.Receiver."""
        del generation
        self._tasks = [asyncio.create_task(self._run(number)) for number in self._batches]
        for task in self._tasks:
            task.add_done_callback(self._ended)

    async def close(self) -> None:
        """Let all partitions go, none of them in the middle of a batch."""
        await self.quiesce()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(committer.close() for committer in self._committers.values()))
        self._tasks, self._committers = [], {}

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            self.failure = task.exception()
            self.done.set()

    async def _run(self, number: int) -> None:
        while True:
            batch = await self._batches[number].get()
            if self._source is not None and self._batches[number].empty():
                self._source.release(batch.tp)
            async with self._locks[number]:
                if batch.current:
                    await self._fold(batch, self._shards[number].records)

    async def _fold(self, batch: Batch, totals: dict[bytes, bytes]) -> None:
        dirty: dict[bytes, int] = {}
        for record in batch.records:
            key, value = record.key, record.value
            assert key is not None
            assert value is not None
            total = dirty.get(key)
            if total is None:
                known = totals.get(key)
                total = 0 if known is None else total_of(known)
            dirty[key] = total + _amount_of(value).amount_minor
        state = {key: packed(total) for key, total in dirty.items()}
        changed = [Record(key, value) for key, value in state.items()]
        here = SourcePosition(batch.next_offset, LONG_AGO)
        position = PartitionRecord((here, _ELSEWHERE, _ELSEWHERE), wall_ms())
        changed.append(Record(PARTITION_KEY, pack_partition(position)))
        changes = Changes()
        changes.topics[self._settings.topics.name(CHANGELOG)] = changed
        await self._committers[batch.partition].commit(changes)
        totals.update(state)
        if self._progress.end(len(batch.records)):
            self.done.set()

    def _position(self, number: int) -> int:
        record = self._shards[number].partition_record
        return 0 if record is None else record.sources[0].next_offset


async def work() -> None:
    """Fold so many records, and stop."""
    given = options(__doc__)
    say_versions("faust-streaming", "aiokafka")
    say(SERVING, compiled=in_use())
    settings = Settings(bootstrap=given.bootstrap, application_id=given.application_id)
    shards: dict[int, Shard] = {}
    totals = Totals(settings, given.topic, shards, Progress(given.events))

    async def agent(stream: StreamT[Any]) -> None:
        async for event in stream.events():
            totals.deliver(event.value)

    with silent_clients():
        app = build_app(settings, totals, [(given.topic, agent)], shards, settings.partitions)
        try:
            await run_app(app, stop=totals.done)
        finally:
            await totals.close()
    if totals.failure is not None:
        raise totals.failure


if __name__ == "__main__":
    tune_process()
    asyncio.run(work())
