"""One partition at work: merge, advance, commit. The only writer of its customers' state.

A batch is folded in memory, committed in one transaction, and only then put into the table; while
it commits, other partitions fold. Work is cut where a transaction would grow too large, at any
record or deadline: what is left is done by the next batch, as if nothing had come between.

The clock steps with each merged record (streams/fold.py). With the wall clock it also follows real
time, but only up to the instant at which the last fetch that showed all three topics at their end
was sent: whoever cannot see what has been written grants no time. With the event clock it ends at
the stated instant.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import NamedTuple, Protocol

from schemas.customer import LONG_AGO, NEVER
from schemas.positions import PartitionRecord
from schemas.record import PARTITION_KEY, pack_partition
from schemas.topics import CHANGELOG, SOURCES
from streams.changes import Changes, Record
from streams.checked import Asked, Item
from streams.clock import monotonic, wall_ms
from streams.driver import TP, Batch, EndSight
from streams.fold import SOURCE_NAMES, Fold
from streams.intake import CHECK_IN
from streams.merge import STRETCH, Merge
from streams.metrics import Tally
from streams.tables import Shard
from streams.work import Terms, Work


class Writer(Protocol):
    """Writes a batch, all or nothing."""

    async def commit(self, changes: Changes) -> None:
        """See streams.commit.Committer."""


class Sight(Protocol):
    """What a partition asks of the driver."""

    def hold(self, tp: TP) -> None:
        """Stop delivering."""

    def release(self, tp: TP) -> None:
        """Deliver again."""

    def end_sight(self, tp: TP) -> EndSight | None:
        """The end, if all before it has been delivered."""

    def await_time(self, tps: Iterable[TP], instant: int) -> None:
        """Look at the ends as soon as an instant has passed."""


class Done(NamedTuple):
    """A batch that has been committed, and what it took."""

    tally: Tally
    fold_seconds: float
    flush_seconds: float


class Partition:
    """One partition of the three topics, from `open` until its assignment ends."""

    def __init__(
        self,
        number: int,
        terms: Terms,
        shard: Shard,
        record: PartitionRecord,
        *,
        sight: Sight,
        writer: Writer,
    ) -> None:
        self.number = number
        self.lock = asyncio.Lock()
        """Held while a batch is in flight."""
        self.flowing = False
        self.finished = False
        """A bounded replay has reached its end here."""
        self.moved_at = monotonic()
        """When a batch was last begun or committed, or there was nothing to do."""
        self._terms = terms
        self._fold = Fold(number, terms, shard, record)
        self._sight = sight
        self._writer = writer
        self._tps = tuple(TP(terms.topics.name(source), number) for source in SOURCES)
        self._changelog = terms.topics.name(CHANGELOG)
        self._ends = tuple(source.end for source in record.sources)
        self._poked = asyncio.Event()
        self._awaited = NEVER
        """The instant at which the driver has been asked to look at the ends."""
        self._reset()

    # What the processor calls

    def deliver(self, batch: Batch) -> None:
        """Take a batch of one of the three topics."""
        source = self._tps.index(batch.tp)
        self._delivered[source] = batch.next_offset
        records, next_offset, end = batch.records, batch.next_offset, self._ends[source]
        if end is not None and self._beyond(source, next_offset):
            records = [record for record in records if record.offset < end]
            next_offset = end
            self._hold(source)
        self._merge.add(source, records, next_offset)
        if self._merge.buffered(source) > self._terms.buffer_bytes:
            self._hold(source)
        self.poke()

    def ask(self, erasures: Sequence[Asked]) -> None:
        """Take erasures: the next batch begins with them."""
        self._fold.ask(erasures)
        self.poke()

    def outlive(self, written_from: int) -> None:
        """Give up stubs that nothing needs any more; written_from: see streams.fold.Fold."""
        self._fold.outlive(written_from)
        self.poke()

    def poke(self) -> None:
        """Look whether there is something to do."""
        self._poked.set()

    def drop_unmerged(self) -> None:
        """Forget what has been delivered and not folded; holds are gone too."""
        self.flowing = False
        self._reset()

    def flow(self) -> None:
        """Records may be folded, and time may pass."""
        self.flowing = True
        self.poke()

    async def run(self, committed: Callable[["Partition", Done], None]) -> None:
        """Fold and commit until cancelled; `committed` hears of each batch."""
        while True:
            self._poked.clear()
            done = await self.step()
            if done is None:
                await self._poked.wait()
            else:
                committed(self, done)

    def stuck(self, seconds: float) -> bool:
        """Whether there has been something to do for so long, and nothing was done."""
        return (self.due or self.lock.locked()) and monotonic() - self.moved_at > seconds

    def look(self) -> None:
        """Start what has become due; where nothing is, nothing can be stuck."""
        if self.due:
            self.poke()
        elif not self.lock.locked():
            self.moved_at = monotonic()

    @property
    def due(self) -> bool:
        """Whether something could be done that no delivery announced."""
        if not self.flowing or self.finished:
            return False
        return not self._merge.empty or self._fold.has_to_erase or self._fold.next_at < self._granted()

    @property
    def clock(self) -> int:
        """The instant (ms) below which every deadline is settled."""
        return self._fold.clock

    @property
    def deadlines(self) -> int:
        """How many deadlines are pending, a few stale ones among them."""
        return self._fold.deadlines

    @property
    def positions(self) -> dict[TP, tuple[int, int]]:
        """For each source topic the next offset, and the running maximum of `occurred_at`."""
        return dict(zip(self._tps, self._fold.positions, strict=True))

    @property
    def left(self) -> int:
        """How many offsets a bounded replay still has to pass; 0 with the wall clock."""
        at = zip(self._fold.positions, self._ends, strict=True)
        return sum([max(0, end - offset) for (offset, _), end in at if end is not None])

    @property
    def stages(self) -> Counter[int]:
        """How many customers are in each stage."""
        return self._fold.stages

    async def step(self) -> Done | None:
        """Fold and commit one batch; None where there was nothing to do."""
        async with self.lock:
            self.moved_at = monotonic()
            if not self.flowing:
                return None
            work = self._fold.begin(wall_ms())
            began = monotonic()
            finished = await self._work_on(work)
            worked = monotonic() - began
            while not finished and await self._more_comes(work, began + self._terms.linger_seconds):
                again = monotonic()
                finished = await self._work_on(work)
                worked += monotonic() - again
            if work.empty and (self.finished or not finished):
                return None
            closing = monotonic()
            self._fold.close(work)
            folded = monotonic()
            await self._writer.commit(work.changes)
            self._fold.settle(work)
            self.finished = finished
            self.moved_at = monotonic()
            return Done(work.tally, worked + folded - closing, self.moved_at - folded)

    async def _more_comes(self, work: Work, until: float) -> bool:
        """Wait up to `until` for more to do in the same batch; False where it is to be committed now.

        A trigger does not wait. What changes state alone can: a transaction costs broker and worker
        the same whether it holds one record or a hundred, and a trigger's would have to wait for it.
        """
        left = until - monotonic()
        if left <= 0 or work.empty or work.tally.triggers or work.budget <= 0 or not self.flowing:
            return False
        self._poked.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(left):
                await self._poked.wait()
        return self._poked.is_set()

    async def commit_start(self) -> None:
        """Write where a bounded replay begins and ends, before its first record."""
        changes = Changes()
        changes.add(self._changelog, Record(PARTITION_KEY, pack_partition(self._fold.record)))
        await self._writer.commit(changes)

    # Folding

    async def _work_on(self, work: Work) -> bool:
        """Fold until the budget is spent or nothing is left; True at the end of a bounded replay."""
        if not (self._fold.erase(work) and self._fold.recompute(work)):
            return False
        while work.budget > 0:
            if not self._taken:
                self._take(min(work.budget, STRETCH))
                if not self._taken:
                    break
            if not self._fold.fold(self._taken, STRETCH, work):
                return False
            if not self._taken:
                self._skip_markers()
            await asyncio.sleep(0)
            if not self.flowing:
                # Dropped meanwhile: what has been folded is still good, and is committed.
                return False
        if self._taken or not self._merge.empty:
            return False
        return self._pass_time(work)

    def _take(self, limit: int) -> None:
        self._taken.extend(self._merge.take(limit, self._ended()))
        for source in tuple(self._held):
            at_end = self._beyond(source, self._delivered[source])
            if not at_end and self._merge.buffered(source) <= self._terms.buffer_bytes // 2:
                self._held.discard(source)
                self._sight.release(self._tps[source])

    def _skip_markers(self) -> None:
        """Where all that was taken is folded, positions move past offsets that hold no record too."""
        positions = self._fold.positions
        for source, (_, newest) in enumerate(positions):
            positions[source] = (self._merge.next_offset(source), newest)

    def _pass_time(self, work: Work) -> bool:
        """Nothing is buffered: let time pass as far as it is granted; True at a replay's end."""
        end = self._terms.end
        if end is None:
            self._fold.reach(self._granted(), work)
            if self._awaited != (next_at := self._fold.next_at):
                self._awaited = next_at
                self._sight.await_time(self._tps, next_at)
            return False
        return all(self._ended()) and self._fold.reach(end, work)

    # What is known

    def _reset(self) -> None:
        check_in = [CHECK_IN[name] for name in SOURCE_NAMES]
        terms = self._terms
        begin = None if terms.run is None else terms.run.begin
        self._merge = Merge(self._fold.positions, check_in, terms.playbook, terms.end, begin)
        self._taken: deque[Item] = deque()
        self._held: set[int] = set()
        self._delivered = [offset for offset, _ in self._fold.positions]

    def _hold(self, source: int) -> None:
        self._held.add(source)
        self._sight.hold(self._tps[source])

    def _ended(self) -> list[bool]:
        """For each topic, whether nothing more is to come (now, or ever in a bounded replay)."""
        if self._terms.end is None:
            return [self._end_sight(source) is not None for source in range(len(self._tps))]
        return [self._beyond(source, self._merge.next_offset(source)) for source in range(len(self._tps))]

    def _end_sight(self, source: int) -> EndSight | None:
        """The end of a topic as the last fetch saw it, if all before it has come here.

        What the driver has handed over may still be on its way through the agent's queue.
        """
        sight = self._sight.end_sight(self._tps[source])
        return sight if sight is not None and sight.end_offset <= self._delivered[source] else None

    def _beyond(self, source: int, offset: int) -> bool:
        """Whether a bounded replay has no more of this topic from `offset` on."""
        end = self._ends[source]
        return self._terms.end is not None and end is not None and offset >= end

    def _granted(self) -> int:
        """The instant up to which time has certainly passed without an unread event, or LONG_AGO."""
        if not self._merge.empty or self._taken:
            return LONG_AGO
        if self._terms.end is not None:
            return self._terms.end if all(self._ended()) else LONG_AGO
        sights = [self._end_sight(source) for source in range(len(self._tps))]
        return min([LONG_AGO if sight is None else sight.sent_at for sight in sights])
