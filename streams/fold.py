"""What a batch does to the customers of one partition, in memory: clock, deadlines, decisions.

The clock steps with each merged record, and every deadline below it is settled before the record
is folded. Nothing here waits, and nothing is written: what a batch changes is collected in its
`Work`, which `streams/partition.py` commits and then lets into the table. Every event passes
through `fold`, so it is written flat.
"""

from collections import Counter, deque
from collections.abc import Iterable
from contextlib import suppress

from msgspec.structs import replace

from schemas.codec import headers_and_body
from schemas.customer import BEFORE_ALL, NEVER, Customer, is_stub, wake_of
from schemas.erasures import ErasureReceipt
from schemas.errors import Rejected, StateError
from schemas.instants import instant, since_epoch
from schemas.positions import PartitionRecord, SourcePosition
from schemas.record import (
    PARTITION_KEY,
    STAGE_AT,
    STUB,
    pack,
    pack_partition,
    raw_head,
    stage_of,
    unpack,
    wake_at_of,
)
from schemas.topics import (
    CHANGELOG,
    CHURN_RISK,
    CUSTOMER_HEALTH,
    DEAD_LETTERS,
    ERASURE_RECEIPTS,
    SOURCES,
    WIN_BACK,
)
from schemas.triggers import ChurnRisk, MovedBy, WinBack
from streams.changes import Record
from streams.checked import Asked, CheckedIn, Item, Outside, Refused
from streams.core.advance import advance
from streams.core.step import Outcome, Step
from streams.core.stimuli import Elapsed, Forget, Stimulus
from streams.intake import dead_letter
from streams.partitioner import Placement
from streams.tables import Shard
from streams.timers import Deadlines
from streams.work import Terms, Work

SOURCE_NAMES = tuple(topic.name for topic in SOURCES)
_TOO_LATE = Rejected("too_late", "older than the playbook's max_lateness behind the partition's clock")
_UNREADABLE = Rejected("quarantined", "the state of its customer cannot be read")
_FOLDED = Outcome.FOLDED


class Fold:
    """The customers of one partition; one batch at a time between `begin` and `settle`."""

    def __init__(self, number: int, terms: Terms, shard: Shard, record: PartitionRecord) -> None:
        self.clock = record.clock
        self.positions = [(source.next_offset, source.newest) for source in record.sources]
        """For each source topic the next offset, and the running maximum of `occurred_at`."""
        self.erasures_next = record.erasures_next
        """The first offset of `erasures` that has not been obeyed."""
        self._terms = terms
        self._shard = shard
        self._records = shard.records
        self._changelog = terms.topics.name(CHANGELOG)
        # Live, there is no end: who asks how the partition stands must not take it for a finished replay.
        self._until = None if terms.end is None else record.until
        self._ends = tuple([source.end for source in record.sources])
        self._erasures_end = None if terms.end is None else record.erasures_end
        self._asked: deque[Asked] = deque()
        self._outlived: deque[bytes] = deque()
        self._dirty: dict[bytes, bytes] = {}
        self._fingerprint = terms.fingerprint
        self._deadlines = Deadlines(shard.deadlines, self._wake_of)
        self._refit: deque[tuple[bytes, MovedBy]] = deque(self._foreign())
        self._placement = Placement(number, terms.partitions)

    def begin(self, wall: int) -> Work:
        """A batch; what an earlier one has not settled is forgotten with it."""
        work = Work(wall, self._terms.batch_records)
        self._dirty = work.dirty
        return work

    def fold(self, taken: deque[Item], limit: int, work: Work) -> bool:
        """Fold at most `limit` of what was taken; False where settling what is due before used the
        budget up."""
        bounded = self._terms.end is not None
        deadlines, positions, folded = self._deadlines, self.positions, work.folded
        left = min(limit, work.budget, len(taken))
        while left > 0 and work.budget > 0:
            left -= 1
            item = taken[0]
            newest = item.newest
            if newest > self.clock:
                # Live, an event dated ahead of us lets no more time pass than has passed; a replay owes
                # the wall nothing, or it would say something else tomorrow.
                watermark = newest if bounded or newest < work.wall else work.wall
                if deadlines.next_at < watermark:
                    if not self.reach(watermark, work):
                        return False
                elif watermark > self.clock:
                    self.clock = watermark
            taken.popleft()
            source = item.source
            positions[source] = (item.offset + 1, newest)
            work.consumed += 1
            work.budget -= 1
            if type(item) is CheckedIn:
                try:
                    outcome = self._advance(work, item.key, item.stimulus, self.clock).outcome
                except StateError:
                    self._refuse(work, source, Refused(item.offset, item.record, _UNREADABLE))
                    continue
                if outcome is _FOLDED:
                    folded[source] += 1
                else:
                    work.tally.records[SOURCE_NAMES[source], outcome] += 1
                    if outcome is Outcome.TOO_LATE:
                        self._write_dead_letter(work, source, Refused(item.offset, item.record, _TOO_LATE))
            else:
                self._pass_over(work, source, item)
        return True

    def _pass_over(self, work: Work, source: int, item: Item) -> None:
        if type(item) is Outside:
            work.tally.records[SOURCE_NAMES[source], item.outcome] += 1
        elif type(item) is Refused:
            if self._from_before(work, item):
                work.tally.records[SOURCE_NAMES[source], Outcome.FORGOTTEN] += 1
            else:
                self._refuse(work, source, item)

    def reach(self, at: int, work: Work) -> bool:
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
            try:
                fired = self._advance(work, key, Elapsed(), clock).triggers
            except StateError:
                continue
            if fired:
                reached = work.wall if self._terms.end is None else clock
                work.tally.lateness.append((reached - due) / 1000)
        self.clock = clock
        return True

    def ask(self, erasures: Iterable[Asked]) -> None:
        """Take erasures, ascending by offset; `erase` obeys them."""
        self._asked.extend(erasures)

    def erase(self, work: Work) -> bool:
        """Forget whoever is to be forgotten, and whose stub has had its time; False if budget ran out."""
        while self._outlived and work.budget > 0:
            work.budget -= 1
            key = self._outlived.popleft()
            value = self._records.get(key)
            if value is not None and value[STAGE_AT] == STUB:
                work.gone.append(key)
        while self._asked:
            if work.budget <= 0:
                return False
            work.budget -= 1
            work.consumed += 1
            asked = self._asked.popleft()
            self.erasures_next = asked.offset + 1
            self._erase(work, asked)
        return True

    def outlive(self, written_from: int) -> None:
        """Give up the stubs that nothing can need any more: the clock is `max_lateness` beyond them, and
        so was all that the sources still hold when it was written, the oldest at `written_from` (ms)."""
        self._outlived.clear()
        if not self._shard.stages[STUB]:
            return
        before = min(self.clock, written_from) - self._terms.playbook.max_lateness
        for key, value in self._records.items():
            if value[STAGE_AT] == STUB:
                with suppress(StateError):
                    if unpack(value).forgotten_at < before:
                        self._outlived.append(key)

    @property
    def has_to_erase(self) -> bool:
        """Whether `erase` would find something to do."""
        return bool(self._asked or self._outlived)

    def recompute(self, work: Work) -> bool:
        """Recompute deadlines that another model or playbook had computed; False if budget ran out."""
        while self._refit:
            if work.budget <= 0:
                return False
            work.budget -= 1
            key, moved_by = self._refit.popleft()
            if key in self._records:
                # Moved or not, the customer is written under the new fingerprint: it counts as work,
                # and the next start need not ask again.
                with suppress(StateError):
                    after = self._advance(work, key, Elapsed(moved_by), self.clock).customer
                    if key not in work.dirty:
                        self._keep(work, key, after, after)
        return True

    def close(self, work: Work) -> None:
        """The batch is complete: add the state it leaves to what it changes, and count it."""
        records = [Record(key, value) for key, value in work.dirty.items()]
        records += [Record(key, None) for key in work.gone if key not in work.dirty]
        records.append(Record(PARTITION_KEY, pack_partition(self.record)))
        work.changes.topics[self._changelog] = records
        for name, count in zip(SOURCE_NAMES, work.folded, strict=True):
            if count:
                work.tally.records[name, _FOLDED] += count

    def settle(self, work: Work) -> None:
        """The transaction is committed: now it is so in memory too."""
        self._dirty = {}
        records, stages, quarantined = self._records, self._shard.stages, self._shard.quarantined
        for key in work.gone:
            if key not in work.dirty and records.pop(key, None) is not None:
                stages[STUB] -= 1
        records.update(work.dirty)
        for stage, moved in work.moved.items():
            stages[stage] += moved
        if quarantined:
            for key in work.dirty:
                quarantined.pop(key, None)
        self._deadlines.tidy(self._entries)

    @property
    def record(self) -> PartitionRecord:
        """Where the partition stands."""
        purchases, logins, tickets = [
            SourcePosition(offset, newest, end)
            for (offset, newest), end in zip(self.positions, self._ends, strict=True)
        ]
        return PartitionRecord(
            (purchases, logins, tickets), self.clock, self._until, self.erasures_next, self._erasures_end
        )

    @property
    def next_at(self) -> int:
        """The earliest deadline (ms), stale or not; NEVER for none."""
        return self._deadlines.next_at

    @property
    def deadlines(self) -> int:
        """How many deadlines are pending, a few stale ones among them."""
        return len(self._deadlines)

    @property
    def stages(self) -> Counter[int]:
        """How many customers are in each stage."""
        return self._shard.stages

    # One decision

    def _erase(self, work: Work, asked: Asked) -> None:
        """Obey one erasure: state and health go, and a receipt says so. What a customer whose state
        cannot be read was like does not matter here."""
        key, topics = asked.key, self._terms.topics
        customer: Customer | None = None
        with suppress(StateError):
            customer = self._known(work, key)
        known = key in self._shard.quarantined if customer is None else not is_stub(customer)
        playbook = self._terms.playbook
        stub = advance(key.decode(), customer, Forget(asked.at), now=self.clock, playbook=playbook).customer
        if stub is not customer:
            self._keep(work, key, customer, stub)
        work.changes.add(topics.name(CUSTOMER_HEALTH), Record(key, None))
        receipt = ErasureReceipt(key.decode(), instant(asked.at), known, topics.application_id)
        headers, body = headers_and_body(receipt)
        work.changes.add(topics.name(ERASURE_RECEIPTS), Record(key, body, headers))
        work.tally.erasures += 1

    def _known(self, work: Work, key: bytes) -> Customer | None:
        """The customer as the batch has left them so far. Raises StateError as `_advance` does."""
        value = self._packed(key)
        if value is not None:
            return self._unpacked(work, key, value)
        if key in self._shard.quarantined:
            raise StateError(_UNREADABLE.detail)
        self._placement.check(key)
        return None

    def _advance(self, work: Work, key: bytes, stimulus: Stimulus, now: int) -> Step:
        """Decide. Raises StateError where the customer's state is quarantined, or now has to be."""
        customer = self._known(work, key)
        step = advance(key.decode(), customer, stimulus, now=now, playbook=self._terms.playbook)
        after = step.customer
        if after is customer or (customer is None and step.outcome is not _FOLDED):
            return step
        self._keep(work, key, customer, after)
        wake_at = wake_of(after)
        if wake_at != NEVER and (
            customer is None or wake_at < wake_of(customer) or isinstance(stimulus, Elapsed)
        ):
            # Else an entry of theirs stands there already; for elapsed time it has just been popped.
            self._deadlines.push(wake_at, key)
        for trigger in step.triggers:
            self._emit(work, key, trigger, now)
        for rule, reason in step.suppressed:
            work.tally.suppressed[rule, reason] += 1
        if step.health is not None:
            headers, body = headers_and_body(step.health)
            work.changes.add(self._terms.topics.name(CUSTOMER_HEALTH), Record(key, body, headers))
        return step

    def _keep(self, work: Work, key: bytes, before: Customer | None, after: Customer) -> None:
        """This is the customer's state from now on; before: None where there was none."""
        work.dirty[key] = pack(after, self._fingerprint)
        stage = stage_of(after)
        if before is None:
            work.moved[stage] += 1
        elif stage_of(before) != stage:
            work.moved[stage_of(before)] -= 1
            work.moved[stage] += 1

    def _emit(self, work: Work, key: bytes, trigger: ChurnRisk | WinBack, now: int) -> None:
        work.tally.triggers[trigger.rule, trigger.kind] += 1
        about = since_epoch(trigger.ended_at or trigger.due_at)
        limit = self._terms.playbook.staleness_limit
        if self._terms.end is not None:
            marked = replace(trigger, origin="replay", stale=now - about > limit)
        elif work.wall - about > limit:
            marked = replace(trigger, origin="backfill", stale=True)
        else:
            marked = trigger
        headers, body = headers_and_body(marked)
        topic = CHURN_RISK if isinstance(trigger, ChurnRisk) else WIN_BACK
        work.changes.add(self._terms.topics.name(topic), Record(key, body, headers))

    def _unpacked(self, work: Work, key: bytes, value: bytes) -> Customer:
        """Recovery looked at the head alone: what is damaged behind it shows now."""
        try:
            return unpack(value)
        except StateError:
            self._shard.stages[value[STAGE_AT]] -= 1
            self._shard.quarantine(key, "damaged")
            work.tally.quarantined["damaged"] += 1
            raise

    def _from_before(self, work: Work, item: Refused) -> bool:
        """Whether a record that cannot be read was written at or before its customer's erasure: its dead
        letter would keep what was to go."""
        key = item.record.key
        if key is None or self._packed(key) is None:
            return False
        try:
            customer = self._known(work, key)
        except StateError:
            return False
        return customer is not None and BEFORE_ALL < item.record.timestamp <= customer.forgotten_at

    def _refuse(self, work: Work, source: int, item: Refused) -> None:
        work.tally.records[SOURCE_NAMES[source], "dead_letter"] += 1
        self._write_dead_letter(work, source, item)

    def _write_dead_letter(self, work: Work, source: int, item: Refused) -> None:
        key, value, headers = dead_letter(item.record, item.rejected)
        work.changes.add(self._terms.topics.name(DEAD_LETTERS[source]), Record(key, value, headers))
        work.tally.dead_letters[SOURCE_NAMES[source], item.rejected.reason] += 1

    # What is known

    def _wake_of(self, key: bytes) -> int:
        value = self._packed(key)
        return NEVER if value is None else wake_at_of(value)

    def _packed(self, key: bytes) -> bytes | None:
        """The customer's state as the batch has left it so far."""
        value = self._dirty.get(key)
        return self._records.get(key) if value is None else value

    def _entries(self) -> list[tuple[int, bytes]]:
        entries: list[tuple[int, bytes]] = []
        for key, value in self._records.items():
            wake_at = wake_at_of(value)
            if wake_at != NEVER:
                entries.append((wake_at, key))
        return entries

    def _foreign(self) -> list[tuple[bytes, MovedBy]]:
        """The customers whose deadlines another model or playbook has computed, and which it was."""
        ours = self._fingerprint
        if self._shard.fingerprints <= {ours}:
            return []
        found: list[tuple[bytes, MovedBy]] = []
        for key, value in self._records.items():
            _, _, model, playbook, _ = raw_head(value)
            if (model, playbook) != ours:
                found.append((key, "playbook" if playbook != ours.playbook else "model"))
        return found
