"""What surrounds a partition, in memory: the logs of its topics, the driver's ends, a writer of batches.

Each implements the interface that the real one does; nothing is patched.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from schemas.codec import decode_output, encode_event
from schemas.customer import LONG_AGO, Customer
from schemas.errors import WinbackError
from schemas.events import Event, Login, Purchase
from schemas.instants import since_epoch
from schemas.positions import PartitionRecord, SourcePosition
from schemas.record import PARTITION_KEY, unpack, unpack_partition
from schemas.topics import CHANGELOG, CHURN_RISK, DEAD_LETTERS, SOURCES, WIN_BACK, Topics, TopicSpec
from schemas.triggers import Trigger
from streams.changes import Changes
from streams.checked import Asked, SourceRecord
from streams.core.playbook import Playbook
from streams.driver import TP, Batch, EndSight, Lease
from streams.partition import Done, Partition
from streams.run import Run
from streams.tables import Shard, apply, read_heads
from streams.work import Terms

Headers = tuple[tuple[str, bytes | None], ...]
Written = tuple[bytes | None, bytes | None, Headers]
"""Key, value and headers of a record that was committed."""

TOPICS = Topics("test", "prefix.")
SOURCE_TOPICS = tuple(TOPICS.name(spec) for spec in SOURCES)
TRIGGERS = (CHURN_RISK, WIN_BACK)


class Journal:
    """A writer that keeps what was committed, batch by batch, or refuses it."""

    def __init__(self) -> None:
        self.batches: list[Changes] = []
        self.refusal: WinbackError | None = None
        self.busy = asyncio.Event()
        """Set while a commit waits for `gate`."""
        self.gate = asyncio.Event()
        self.gate.set()

    async def commit(self, changes: Changes) -> None:
        """See streams.partition.Writer."""
        self.busy.set()
        await self.gate.wait()
        self.busy.clear()
        if self.refusal is not None:
            raise self.refusal
        self.batches.append(changes)

    def written(self, *specs: TopicSpec) -> list[Written]:
        """What stands in these topics, one topic after the other."""
        names = [TOPICS.name(spec) for spec in specs]
        return [
            (record.key, record.value, tuple(record.headers))
            for name in names
            for batch in self.batches
            for record in batch.topics.get(name, [])
        ]

    def triggers(self) -> list[Trigger]:
        """All triggers, those of churn-risk first."""
        return triggers_of(self.written(*TRIGGERS))


class Ends:
    """The driver as a partition sees it: `sights` are what `end_sight` answers."""

    def __init__(self) -> None:
        self.sights: dict[TP, EndSight] = {}
        self.held: set[TP] = set()
        self.released = 0
        self.awaited: dict[TP, int] = {}

    def hold(self, tp: TP) -> None:
        """See streams.partition.Sight."""
        self.held.add(tp)

    def release(self, tp: TP) -> None:
        """See streams.partition.Sight."""
        self.held.discard(tp)
        self.released += 1

    def end_sight(self, tp: TP) -> EndSight | None:
        """See streams.partition.Sight."""
        return self.sights.get(tp)

    def await_time(self, tps: Iterable[TP], instant: int) -> None:
        """See streams.partition.Sight."""
        self.awaited.update((tp, instant) for tp in tps)


@dataclass
class Stand:
    """One partition and all that surrounds it.

    end: of a bounded replay, ms; None: the wall clock. begin: of one apart from the live application.
    linger_seconds: see streams.work.Terms; a minute is for ever.
    """

    playbook: Playbook
    end: int | None = None
    batch_records: int = 4000
    buffer_bytes: int = 1 << 20
    number: int = 0
    partitions: int = 1
    logs: list[list[SourceRecord]] = field(default_factory=lambda: [[], [], []])
    erasures: list[Asked] = field(default_factory=list)
    journal: Journal = field(default_factory=Journal)
    ends: Ends = field(default_factory=Ends)
    shard: Shard = field(default_factory=Shard)
    done: list[Done] = field(default_factory=list)
    begin: int | None = None
    linger_seconds: float = 0.0

    def __post_init__(self) -> None:
        self.lease = Lease(1, frozenset())
        self.delivered = [0, 0, 0]
        self.heard = 0

    # What stands in the topics

    def put(self, *events: Event, timestamp: int | None = None) -> None:
        """Append events to their topics, written at `timestamp`, or else at their own instants."""
        for event in events:
            at = since_epoch(event.occurred_at)
            written = at if timestamp is None else timestamp
            self.put_bytes(source_of(event), event.customer_id.encode(), encode_event(event), written)

    def put_bytes(
        self,
        source: int,
        key: bytes | None,
        value: bytes | None,
        timestamp: int,
        headers: Sequence[tuple[str, bytes]] = (),
    ) -> None:
        """Append a record to a topic."""
        log = self.logs[source]
        log.append(SourceRecord(SOURCE_TOPICS[source], self.number, len(log), timestamp, key, value, headers))

    def forget(self, customer: str, at: int) -> None:
        """Append a request to `erasures`; `hear` or an opening hands it on."""
        self.erasures.append(Asked(len(self.erasures), customer.encode(), at))

    def hear(self) -> None:
        """Hand on what has joined `erasures` since they were last handed on."""
        self.partition.ask(self.erasures[self.heard :])
        self.heard = len(self.erasures)

    # The partition

    def open(self) -> Partition:
        """The partition as an assignment opens it: at the beginning, or where the last one ended."""
        record = self.shard.partition_record
        if record is None or record.until != self.end:
            at = (SourcePosition(0, LONG_AGO),) * 3 if record is None else record.sources
            purchases, logins, tickets = (
                SourcePosition(each.next_offset, each.newest, len(log) if self.end is not None else None)
                for each, log in zip(at, self.logs, strict=True)
            )
            clock = LONG_AGO if record is None else record.clock
            obeyed = 0 if record is None else record.erasures_next
            end = None if self.end is None else len(self.erasures)
            record = PartitionRecord((purchases, logins, tickets), clock, self.end, obeyed, end)
        run = (
            None
            if self.begin is None
            else Run(self.begin, self.end or 0, open_end=False, model=0, playbook=0)
        )
        sizes = (self.batch_records, self.buffer_bytes)
        terms = Terms(self.playbook, self.partitions, TOPICS, self.end, *sizes, run, self.linger_seconds)
        self.partition = Partition(
            self.number, terms, self.shard, record, sight=self.ends, writer=self.journal
        )
        self.delivered = [source.next_offset for source in record.sources]
        self.heard = len(self.erasures)
        self.partition.ask(self.erasures[record.erasures_next : record.erasures_end])
        self.partition.flow()
        return self.partition

    async def reopen(self, **changes: Any) -> Partition:
        """As another worker would open it: from what has been committed, and nothing else."""
        for name, value in changes.items():
            setattr(self, name, value)
        self.shard = Shard()
        changelog = [
            SourceRecord("changelog", self.number, offset, 0, key, value)
            for offset, (key, value, _) in enumerate(self.journal.written(CHANGELOG))
        ]
        assert not apply(self.shard, changelog)
        await read_heads(self.shard)
        return self.open()

    def deliver(self, source: int, count: int | None = None, next_offset: int | None = None) -> None:
        """Hand the next `count` records of a topic over, or all that are left."""
        first = self.delivered[source]
        upto = len(self.logs[source]) if count is None else min(first + count, len(self.logs[source]))
        following = upto if next_offset is None else next_offset
        self.delivered[source] = following
        records: Any = self.logs[source][first:upto]
        self.partition.deliver(
            Batch(SOURCE_TOPICS[source], self.number, records, first, following, self.lease)
        )

    def deliver_all(self, count: int | None = None) -> None:
        """Hand everything over that is left, `count` records at a time."""
        for source, log in enumerate(self.logs):
            while self.delivered[source] < len(log):
                self.deliver(source, count)

    def see_ends(self, sent_at: int, *sources: int) -> None:
        """The last fetch of these topics (or all), sent at `sent_at`, reached their ends."""
        for source in sources or range(3):
            tp = TP(SOURCE_TOPICS[source], self.number)
            self.ends.sights[tp] = EndSight(sent_at, len(self.logs[source]))

    async def settle(self) -> list[Done]:
        """Let it work until nothing is left to do."""
        done: list[Done] = []
        while (each := await self.partition.step()) is not None:
            done.append(each)
        self.done += done
        return done

    # What came of it

    @property
    def customers(self) -> dict[bytes, Customer]:
        """The customers in the table."""
        return {key: unpack(value) for key, value in self.shard.records.items()}

    @property
    def record(self) -> PartitionRecord:
        """The partition record committed last."""
        values = [value for key, value, _ in self.journal.written(CHANGELOG) if key == PARTITION_KEY]
        return unpack_partition(values[-1] or b"")

    @property
    def dead_letters(self) -> list[Written]:
        """Of all topics."""
        return self.journal.written(*DEAD_LETTERS)

    def outcomes(self) -> dict[tuple[str, str], int]:
        """Records by topic and outcome, over all batches."""
        total: dict[tuple[str, str], int] = {}
        for done in self.done:
            for label, count in done.tally.records.items():
                total[label] = total.get(label, 0) + count
        return total


def source_of(event: Event) -> int:
    """The place of an event's topic in SOURCES."""
    return 0 if isinstance(event, Purchase) else 1 if isinstance(event, Login) else 2


def triggers_of(written: Iterable[Written]) -> list[Trigger]:
    """Records of churn-risk and win-back, decoded."""
    return [cast(Trigger, decode_output(value or b"", headers)) for _, value, headers in written]
