"""A small receiver that folds nothing: it writes down what it is given, and insists on the contract."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from faust.types import StreamT

from streams.app import build_app, run
from streams.driver import TP, Batch, Engine, Source
from streams.settings import Settings
from tests.kafka.scene import PATIENCE

Opening = Callable[[frozenset[int]], Awaitable[None]]


async def until(condition: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Until the condition holds; a TimeoutError tells that it never did."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - a condition is all that is known
            await asyncio.sleep(0.005)


@dataclass
class Ledger:
    """What all workers of a test have written down: the stand-in for changelog and partition records."""

    positions: dict[TP, int] = field(default_factory=lambda: defaultdict(int))
    values: dict[TP, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    lost: int = 0
    largest: int = 0

    def total(self) -> int:
        """How many records there are."""
        return sum(map(len, self.values.values()))


class Recorder:
    """Writes batches into the ledger one at a time, some loop turns after they came."""

    def __init__(self, ledger: Ledger, topics: Sequence[str], opening: Opening | None = None) -> None:
        self.ledger = ledger
        self.calls: list[str] = []
        self.opened: list[frozenset[int]] = []
        self.ready = asyncio.Event()
        self.generation = 0
        self.times_passed = 0
        self.identities: Mapping[str, str] = {}
        self.source: Source | None = None
        self.newest: Batch | None = None
        self._topics = topics
        self._opening = opening
        self._opening_now = False
        self._waiting: list[Batch] = []
        self._writer: asyncio.Task[None] | None = None

    @property
    def driver(self) -> Source:
        """The driver, once attached."""
        assert self.source is not None
        return self.source

    def attach(self, source: Source) -> None:
        """See Receiver."""
        self.source = source

    def let_time_pass(self) -> None:
        """See Receiver."""
        self.times_passed += 1

    def deliver(self, batch: Batch) -> None:
        """See Receiver."""
        if not batch.current:
            self.calls.append("late")
            return
        assert self.ready.is_set(), "delivered before resume"
        self.newest = batch
        self._waiting.append(batch)
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write())

    async def _write(self) -> None:
        while self._waiting:
            batch = self._waiting.pop(0)
            await asyncio.sleep(0)
            assert batch.first_offset == self.ledger.positions[batch.tp], "twice, or with a gap"
            assert all(batch.first_offset <= r.offset < batch.next_offset for r in batch.records)
            self.ledger.values[batch.tp] += [record.value or b"" for record in batch.records]
            self.ledger.positions[batch.tp] = batch.next_offset
            self.ledger.lost += batch.lost
            self.ledger.largest = max(self.ledger.largest, len(batch.records))

    def drop_unmerged(self) -> None:
        """See Receiver."""
        self.calls.append("drop")
        self.ready.clear()
        self._waiting.clear()

    async def quiesce(self) -> None:
        """See Receiver."""
        assert not self._opening_now, "quiesced while opening"
        self.calls.append("quiesce")
        if self._writer is not None:
            await self._writer

    async def open(self, partitions: frozenset[int], generation: int) -> Mapping[TP, int]:
        """See Receiver."""
        assert not self._opening_now, "opened twice at a time"
        assert not self._waiting, "opened with batches waiting"
        self.calls.append("open")
        self._opening_now = True
        try:
            if self._opening is not None:
                await self._opening(partitions)
        finally:
            self._opening_now = False
        self.opened.append(partitions)
        return {
            TP(topic, partition): self.ledger.positions[TP(topic, partition)]
            for topic in self._topics
            for partition in partitions
        }

    def resume(self, generation: int) -> None:
        """See Receiver."""
        self.calls.append("resume")
        self.generation = generation
        self.ready.set()


@dataclass
class Worker:
    """A running worker."""

    app: Engine
    recorder: Recorder
    task: asyncio.Task[None]
    ending: asyncio.Event

    async def ready(self) -> None:
        """Until it has partitions and they flow; raises what it failed of."""
        waiting = asyncio.create_task(self.recorder.ready.wait())
        await asyncio.wait([self.task, waiting], return_when=asyncio.FIRST_COMPLETED, timeout=PATIENCE)
        waiting.cancel()
        if self.task.done():
            self.task.result()
        assert self.recorder.ready.is_set()

    async def stop(self) -> None:
        """As SIGTERM does; raises what it failed of, and TimeoutError where it hangs."""
        self.ending.set()
        await asyncio.wait_for(self.task, PATIENCE)


@asynccontextmanager
async def worker(
    settings: Settings,
    ledger: Ledger,
    topics: Sequence[str],
    partitions: int = 2,
    opening: Opening | None = None,
) -> AsyncIterator[Worker]:
    """A worker in this process; stopped at the end, if it still runs."""
    recorder = Recorder(ledger, topics, opening)

    async def agent(stream: StreamT[Batch]) -> None:
        async for batch in stream:
            recorder.deliver(batch)

    app = build_app(settings, recorder, [(topic, agent) for topic in topics], {}, partitions)
    ending = asyncio.Event()
    running = Worker(app, recorder, asyncio.create_task(run(app, stop=ending)), ending)
    try:
        yield running
    finally:
        if not running.task.done():
            await running.stop()
