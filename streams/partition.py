"""One partition at work: merge, advance, commit. The only writer of its customers' state.

A batch is folded in memory, committed in one transaction, and only then put into the table; while
it commits, other partitions fold. Work is cut where a transaction would grow too large, at any
record or deadline: what is left is done by the next batch, as if nothing had come between.

The clock steps with each merged record, and every deadline below it is settled before the record
is folded. With the wall clock it also follows real time, but only up to the instant at which the
last fetch that showed all three topics at their end was sent: whoever cannot see what has been
written grants no time. With the event clock it ends at the stated instant.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from msgspec.structs import replace

from schemas.codec import headers_and_body
from schemas.customer import LONG_AGO, NEVER, Customer, PartitionRecord, SourcePosition
from schemas.errors import Rejected
from schemas.record import PARTITION_KEY, STAGE_AT, Fingerprint, pack, pack_partition, raw_head, unpack
from schemas.topics import CHANGELOG, CHURN_RISK, CUSTOMER_HEALTH, DEAD_LETTERS, SOURCES, WIN_BACK, Topics
from schemas.triggers import ChurnRisk, MovedBy, WinBack
from streams.clock import monotonic, wall_ms
from streams.commit import Changes, Record
from streams.core.advance import advance
from streams.core.message import since_epoch
from streams.core.playbook import Playbook
from streams.core.step import Outcome, Step, wake_of
from streams.core.stimuli import Elapsed, Stimulus
from streams.driver import TP, Batch, EndSight
from streams.intake import CHECK_IN, CheckedIn, Refused, dead_letter
from streams.merge import Merge, Merged
from streams.metrics import Tally
from streams.partitioner import Placement
from streams.tables import Shard
from streams.timers import Deadlines

SOURCE_NAMES = tuple(topic.name for topic in SOURCES)
_YIELD_EVERY = 500
"""Records folded in one go; the loop then serves the other partitions' commits."""
_TOO_LATE = Rejected("too_late", "older than the playbook's max_lateness behind the partition's clock")


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


@dataclass(frozen=True, slots=True)
class Terms:
    """What all partitions of a worker have in common.

    end: with the event clock the instant (ms) at which the replay ends; None with the wall clock.
    """

    playbook: Playbook
    partitions: int
    topics: Topics
    end: int | None
    batch_records: int
    buffer_bytes: int

    @property
    def fingerprint(self) -> Fingerprint:
        """What deadlines are computed with now."""
        return Fingerprint(self.playbook.fingerprint_model, self.playbook.fingerprint_playbook)


class Done(NamedTuple):
    """A batch that has been committed, and what it took."""

    tally: Tally
    fold_seconds: float
    flush_seconds: float


@dataclass(slots=True)
class _Work:
    """One batch being folded. wall: the wall clock when it began."""

    wall: int
    budget: int
    dirty: dict[bytes, Customer] = field(default_factory=dict)
    changes: Changes = field(default_factory=Changes)
    tally: Tally = field(default_factory=Tally)
    consumed: int = 0
    folded: list[int] = field(default_factory=lambda: [0] * len(SOURCES))
    """Records folded, by topic: the plain case is counted apart, since it is nearly all of them."""


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
        self.clock = record.clock
        self.moved_at = monotonic()
        """When a batch was last begun or committed, or there was nothing to do."""
        self._terms = terms
        self._shard = shard
        self._sight = sight
        self._writer = writer
        self._tps = tuple(TP(terms.topics.name(source), number) for source in SOURCES)
        self._changelog = terms.topics.name(CHANGELOG)
        # Live, there is no end: who asks how the partition stands must not take it for a finished replay.
        self._until = None if terms.end is None else record.until
        self._ends = tuple(source.end for source in record.sources)
        self._positions = [(source.next_offset, source.newest) for source in record.sources]
        self._work: _Work | None = None
        self._deadlines = Deadlines(shard.deadlines, self._wake_of)
        self._refit = deque(self._foreign())
        self._placement = Placement(number, terms.partitions)
        self._poked = asyncio.Event()
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
        return not self._merge.empty or self._deadlines.next_at < self._granted()

    @property
    def deadlines(self) -> int:
        """How many deadlines are pending, a few stale ones among them."""
        return len(self._deadlines)

    @property
    def positions(self) -> dict[TP, tuple[int, int]]:
        """For each source topic the next offset, and the running maximum of `occurred_at`."""
        return dict(zip(self._tps, self._positions, strict=True))

    @property
    def stages(self) -> Counter[int]:
        """How many customers are in each stage."""
        return self._shard.stages

    async def step(self) -> Done | None:
        """Fold and commit one batch; None where there was nothing to do."""
        async with self.lock:
            self.moved_at = monotonic()
            if not self.flowing:
                return None
            work = self._work = _Work(wall_ms(), self._terms.batch_records)
            began = monotonic()
            finished = await self._fold(work)
            if not (work.consumed or work.dirty or (finished and not self.finished)):
                return None
            self._write_state(work)
            for name, count in zip(SOURCE_NAMES, work.folded, strict=True):
                if count:
                    work.tally.records[name, Outcome.FOLDED] += count
            folded = monotonic()
            await self._writer.commit(work.changes)
            self._settle_table(work)
            self.finished = finished
            self.moved_at = monotonic()
            return Done(work.tally, folded - began, self.moved_at - folded)

    async def commit_start(self) -> None:
        """Write where a bounded replay begins and ends, before its first record."""
        changes = Changes()
        changes.add(self._changelog, Record(PARTITION_KEY, pack_partition(self._record())))
        await self._writer.commit(changes)

    # Folding

    async def _fold(self, work: _Work) -> bool:
        """Fold until the budget is spent or nothing is left; True at the end of a bounded replay."""
        if not self._recompute(work):
            return False
        while work.budget > 0:
            if not self._taken:
                self._take(work.budget)
                if not self._taken:
                    break
            if not self._fold_some(work):
                return False
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

    def _fold_some(self, work: _Work) -> bool:
        """Fold some of what was taken; False where settling what is due before used the budget up."""
        taken, bounded = self._taken, self._terms.end is not None
        left = min(_YIELD_EVERY, work.budget, len(taken))
        while left > 0 and work.budget > 0:
            left -= 1
            merged = taken[0]
            source, item, newest = merged.source, merged.item, merged.newest
            if newest > self.clock:
                # Live, an event dated ahead of us lets no more time pass than has passed; a replay owes
                # the wall nothing, or it would say something else tomorrow.
                watermark = newest if bounded else min(newest, work.wall)
                if self._deadlines.next_at >= watermark:
                    self.clock = max(self.clock, watermark)
                elif not self._reach(watermark, work):
                    return False
            taken.popleft()
            self._positions[source] = (item.offset + 1, newest)
            work.consumed += 1
            work.budget -= 1
            if type(item) is CheckedIn:
                outcome = self._advance(work, item.key, item.stimulus, self.clock).outcome
                if outcome is Outcome.FOLDED:
                    work.folded[source] += 1
                else:
                    work.tally.records[SOURCE_NAMES[source], outcome] += 1
                    if outcome is Outcome.TOO_LATE:
                        self._refuse(work, source, Refused(item.offset, item.record, _TOO_LATE))
            elif type(item) is Refused:
                work.tally.records[SOURCE_NAMES[source], "dead_letter"] += 1
                self._refuse(work, source, item)
            else:
                work.tally.records[SOURCE_NAMES[source], "after_end"] += 1
        if not taken:
            self._skip_markers()
        return True

    def _skip_markers(self) -> None:
        """Where all that was taken is folded, positions move past offsets that hold no record too."""
        for source, (_, newest) in enumerate(self._positions):
            self._positions[source] = (self._merge.next_offset(source), newest)

    def _reach(self, at: int, work: _Work) -> bool:
        """Step the clock to `at` and settle every deadline below it; False where the budget ran out."""
        clock = max(self.clock, at)
        while self._deadlines.next_at < clock:
            entry = self._deadlines.pop_before(clock)
            if entry is None:
                break
            if work.budget <= 0:
                self._deadlines.push(*entry)
                return False
            due, key = entry
            work.budget -= 1
            if self._advance(work, key, Elapsed(), clock).triggers:
                reached = work.wall if self._terms.end is None else clock
                work.tally.lateness.append((reached - due) / 1000)
        self.clock = clock
        return True

    def _pass_time(self, work: _Work) -> bool:
        """Nothing is buffered: let time pass as far as it is granted; True at a replay's end."""
        end = self._terms.end
        if end is None:
            self._reach(self._granted(), work)
            return False
        return all(self._ended()) and self._reach(end, work)

    def _recompute(self, work: _Work) -> bool:
        """Recompute deadlines that another model or playbook had computed; False if budget ran out."""
        while self._refit:
            if work.budget <= 0:
                return False
            work.budget -= 1
            key, moved_by = self._refit.popleft()
            if key in self._shard.records:
                # Moved or not, the customer is written under the new fingerprint: it counts as work,
                # and the next start need not ask again.
                work.dirty[key] = self._advance(work, key, Elapsed(moved_by), self.clock).customer
        return True

    def _advance(self, work: _Work, key: bytes, stimulus: Stimulus, now: int) -> Step:
        customer = work.dirty.get(key)
        if customer is None:
            value = self._shard.records.get(key)
            if value is None:
                self._placement.check(key)
            else:
                customer = unpack(value)
        step = advance(key.decode(), customer, stimulus, now=now, playbook=self._terms.playbook)
        after = step.customer
        if after is customer or (customer is None and step.outcome is not Outcome.FOLDED):
            return step
        work.dirty[key] = after
        wake_at = step.wake_at
        if wake_at != NEVER:
            self._deadlines.push(wake_at, key)
        for trigger in step.triggers:
            self._emit(work, key, trigger)
        for rule, reason in step.suppressed:
            work.tally.suppressed[rule, reason] += 1
        if step.health is not None:
            headers, body = headers_and_body(step.health)
            work.changes.add(self._terms.topics.name(CUSTOMER_HEALTH), Record(key, body, headers))
        return step

    def _emit(self, work: _Work, key: bytes, trigger: ChurnRisk | WinBack) -> None:
        work.tally.triggers[trigger.rule, trigger.kind] += 1
        about = since_epoch(trigger.ended_at or trigger.due_at)
        limit = self._terms.playbook.staleness_limit
        if self._terms.end is not None:
            marked = replace(trigger, origin="replay", stale=since_epoch(trigger.detected_at) - about > limit)
        elif work.wall - about > limit:
            marked = replace(trigger, origin="backfill", stale=True)
        else:
            marked = trigger
        headers, body = headers_and_body(marked)
        topic = CHURN_RISK if isinstance(trigger, ChurnRisk) else WIN_BACK
        work.changes.add(self._terms.topics.name(topic), Record(key, body, headers))

    def _refuse(self, work: _Work, source: int, item: Refused) -> None:
        key, value, headers = dead_letter(item.record, item.rejected)
        work.changes.add(self._terms.topics.name(DEAD_LETTERS[source]), Record(key, value, headers))
        work.tally.dead_letters[SOURCE_NAMES[source], item.rejected.reason] += 1

    # Committing

    def _write_state(self, work: _Work) -> None:
        fingerprint = self._terms.fingerprint
        work.changes.topics[self._changelog] = [
            *[Record(key, pack(customer, fingerprint)) for key, customer in work.dirty.items()],
            Record(PARTITION_KEY, pack_partition(self._record())),
        ]

    def _settle_table(self, work: _Work) -> None:
        """The transaction is committed: now it is so in memory too."""
        self._work = None
        records, stages = self._shard.records, self._shard.stages
        for record in work.changes.topics[self._changelog]:
            key, value = record.key, record.value
            if key is None or value is None or key == PARTITION_KEY:
                continue
            before = records.get(key)
            if before is None:
                stages[value[STAGE_AT]] += 1
            elif before[STAGE_AT] != value[STAGE_AT]:
                stages[before[STAGE_AT]] -= 1
                stages[value[STAGE_AT]] += 1
            records[key] = value
        self._deadlines.tidy(self._entries)

    def _record(self) -> PartitionRecord:
        purchases, logins, tickets = (
            SourcePosition(offset, newest, end)
            for (offset, newest), end in zip(self._positions, self._ends, strict=True)
        )
        return PartitionRecord((purchases, logins, tickets), self.clock, self._until)

    # What is known

    def _reset(self) -> None:
        check_in = [CHECK_IN[name] for name in SOURCE_NAMES]
        self._merge = Merge(self._positions, check_in, self._terms.playbook, self._terms.end)
        self._taken: deque[Merged] = deque()
        self._held: set[int] = set()
        self._delivered = [offset for offset, _ in self._positions]

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

    def _wake_of(self, key: bytes) -> int:
        customer = None if self._work is None else self._work.dirty.get(key)
        if customer is not None:
            return wake_of(customer)
        value = self._shard.records.get(key)
        return NEVER if value is None else raw_head(value)[1]

    def _entries(self) -> list[tuple[int, bytes]]:
        heads = ((raw_head(value)[1], key) for key, value in self._shard.records.items())
        return [entry for entry in heads if entry[0] != NEVER]

    def _foreign(self) -> list[tuple[bytes, MovedBy]]:
        """The customers whose deadlines another model or playbook has computed, and which it was."""
        ours = self._terms.fingerprint
        if self._shard.fingerprints <= {ours}:
            return []
        found: list[tuple[bytes, MovedBy]] = []
        for key, value in self._shard.records.items():
            _, _, model, playbook, _ = raw_head(value)
            if (model, playbook) != ours:
                found.append((key, "playbook" if playbook != ours.playbook else "model"))
        return found
