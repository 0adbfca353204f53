"""All partitions of a worker: opens them at an assignment, runs a task for each, closes them.

It is what the driver calls (streams/driver/interface.py): fence first, then read the committed
changelog, then go on where the partition records say.
"""

import asyncio
import gc
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition
from msgspec.structs import replace

from schemas.codec import HeaderList
from schemas.customer import LONG_AGO
from schemas.errors import ConfigurationError, Fatal, Fenced, WinbackError
from schemas.instants import since_epoch
from schemas.positions import PartitionRecord, SourcePosition
from schemas.record import STUB
from schemas.topics import CHANGELOG, ERASURES, SOURCES
from streams.clock import wall_ms
from streams.commit import Committer
from streams.connection import client_arguments, start, stop
from streams.core.lifecycle import LABELS
from streams.core.playbook import Playbook
from streams.driver import TP, Batch, Source
from streams.driver.identities import ask_identities
from streams.erasures import ErasureReader
from streams.lineage import SOURCES_HEADER, Lineage, contradiction, pack_lineage
from streams.metrics import Metrics, Tally
from streams.partition import Done, Partition
from streams.refusals import Refusals
from streams.replay import first_dated, refusal, run_of
from streams.run import RUN_HEADER, pack_run
from streams.settings import Settings
from streams.tables import Shard, Unreadable, load, newest_position
from streams.work import Terms

_log = structlog.get_logger(__name__)

_TOLD_QUARANTINED: Final = 1000
"""Places named one by one in the log; where more than that is broken, a count says so."""


def end_of(settings: Settings) -> int | None:
    """The end instant (ms) of a bounded replay, None with the wall clock.

    Raises ConfigurationError where the event clock has no end.
    """
    if settings.clock == "wall":
        return None
    if settings.end_instant is None:
        raise ConfigurationError("the event clock needs an end: set WINBACK_END_INSTANT or --end-instant")
    if settings.end_instant.tzinfo is None:
        raise ConfigurationError("the end instant needs a zone, as in 1998-07-01T00:00:00Z")
    return since_epoch(settings.end_instant)


def terms_of(settings: Settings, playbook: Playbook, partitions: int) -> Terms:
    """What all partitions have in common; ConfigurationError as `end_of`."""
    return Terms(
        playbook=playbook,
        partitions=partitions,
        topics=settings.topics,
        end=end_of(settings),
        batch_records=settings.batch_max_records,
        buffer_bytes=settings.merge_buffer_bytes,
        run=run_of(settings, playbook),
        linger_seconds=settings.linger_ms / 1000 if settings.clock == "wall" else 0.0,
    )


class Processor:
    """The receiver of the driver's batches."""

    def __init__(self, settings: Settings, terms: Terms, shards: dict[int, Shard], metrics: Metrics) -> None:
        self._settings = settings
        self._terms = terms
        self._shards = shards
        self._metrics = metrics
        self._refusals = Refusals(settings.dead_letter_share, settings.dead_letter_window)
        self._source: Source | None = None
        self._partitions: dict[int, Partition] = {}
        self._committers: dict[int, Committer] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._erasures: ErasureReader | None = None
        self._generation = -1
        self.identities: Mapping[str, str] = {}
        self.ready = False
        self.finished = asyncio.Event()
        """Set when a bounded replay has reached its end in every assigned partition."""
        self.on_failure: Callable[[WinbackError], None] = _no_listener
        self.on_finished: Callable[[int], None] = lambda _: None
        """Hears of each partition in which a bounded replay has reached its end; there it stays so."""

    # What the driver calls

    def attach(self, source: Source) -> None:
        """See streams.driver.Receiver."""
        self._source = source

    def deliver(self, batch: Batch) -> None:
        """See streams.driver.Receiver."""
        partition = self._partitions.get(batch.partition)
        if batch.current and partition is not None:
            if batch.lost:
                self._metrics.lost.labels(batch.topic.removeprefix(self._settings.topic_prefix)).inc(
                    batch.lost
                )
            partition.deliver(batch)

    def drop_unmerged(self) -> None:
        """See streams.driver.Receiver."""
        self.ready = False
        for partition in self._partitions.values():
            partition.drop_unmerged()

    async def quiesce(self) -> None:
        """See streams.driver.Receiver."""
        for partition in self._partitions.values():
            async with partition.lock:
                partition.flowing = False

    async def open(self, partitions: frozenset[int], generation: int) -> Mapping[TP, int]:
        """See streams.driver.Receiver. Fence, then read what is committed, then say where to go on."""
        await self.close()
        self._generation = generation
        self._committers = {number: Committer(self._settings, number) for number in partitions}
        await asyncio.gather(*(committer.fence() for committer in self._committers.values()))
        self._tell_progress()
        topic = self._terms.topics.name(CHANGELOG)
        report = await load(self._settings, topic, self._shards, partitions, progress=self._tell_progress)
        self._tell_quarantined(report.errors)
        self._check_run()
        lineage = await self._lineage(partitions)
        self.identities = lineage.topics
        stamp: HeaderList = [(SOURCES_HEADER, pack_lineage(lineage))]
        if self._terms.run is not None:
            stamp.append((RUN_HEADER, pack_run(self._terms.run)))
        for number, committer in self._committers.items():
            committer.stamp = stamp
            committer.changelog_next = self._shards[number].changelog_next
        records = await self._starting_points(partitions, lineage)
        for number, record in records.items():
            partition = Partition(
                number,
                self._terms,
                self._shards[number],
                record,
                sight=self._attached(),
                writer=self._committers[number],
            )
            if record != self._shards[number].partition_record:
                # Where a replay begins and ends is decided once, and survives any crash.
                await partition.commit_start()
            self._partitions[number] = partition
            share = report.records // len(partitions)
            self._metrics.recovered(number, records=share, seconds=report.seconds)
        if records:
            # Before anything is folded: who is to be forgotten must not raise anything first.
            unreadable = self._metrics.erasures.labels("unreadable").inc
            self._erasures = ErasureReader(self._settings, self._partitions, unreadable)
            await self._erasures.read_to_end(records, self._tell_progress)
        _log.info("opened", partitions=sorted(partitions), records=report.records, seconds=report.seconds)
        return self._offsets()

    def resume(self, generation: int) -> None:
        """See streams.driver.Receiver."""
        if generation != self._generation:
            return
        # What has been recovered stays: the garbage collector need not look through it again.
        gc.unfreeze()
        gc.freeze()
        self.ready = True
        for number, partition in self._partitions.items():
            partition.flow()
            self._tasks.append(asyncio.create_task(self._run(partition), name=f"partition {number}"))
        if self._erasures is not None:
            self._tasks.append(asyncio.create_task(self._follow(self._erasures), name="erasures"))

    # What the agents and the views ask

    def let_time_pass(self) -> None:
        """See streams.driver.Receiver. Wakes the partitions in which something has come due."""
        for partition in self._partitions.values():
            partition.look()

    def stuck_partitions(self, within_seconds: float) -> list[int]:
        """The partitions that have had something to do for so long, and did nothing."""
        return [number for number, partition in self._partitions.items() if partition.stuck(within_seconds)]

    def recovered(self) -> bool:
        """Whether the worker has joined and serves every partition it owns."""
        return self.ready

    @property
    def partitions(self) -> Mapping[int, Partition]:
        """The partitions that are open."""
        return self._partitions

    async def publish(self) -> None:
        """Say how things stand: gauges, and the group's offsets (for lag tools alone)."""
        if not self.ready:
            return
        for partition in self._partitions.values():
            self._show(partition)
        await self._attached().publish_offsets(self._offsets(), self._generation)

    async def close(self) -> None:
        """Let all partitions go, none of them in the middle of a batch."""
        await self.quiesce()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        erasures, self._erasures = self._erasures, None
        if erasures is not None:
            await erasures.close()
        for number in self._partitions:
            self._metrics.revoked(number)
        self._partitions.clear()
        committers, self._committers = self._committers, {}
        await asyncio.gather(*(committer.close() for committer in committers.values()))

    # Inside

    async def _run(self, partition: Partition) -> None:
        try:
            await partition.run(self._committed)
        except Fenced as error:
            # Whoever took it over is right. The group tells us so within the session's time-out, or
            # else the worker would sit on a partition that nobody works on.
            partition.flowing = False
            _log.warning("fenced", partition=partition.number)
            await asyncio.sleep(2 * self._settings.session_timeout_seconds)
            self.on_failure(error)
        except WinbackError as error:
            partition.flowing = False
            self.on_failure(error)
        except Exception as error:  # noqa: BLE001 - a defect; the worker stops, and says which it was
            partition.flowing = False
            _log.exception("partition_failed", partition=partition.number)
            self.on_failure(Fatal(f"partition {partition.number} failed: {type(error).__name__}"))

    async def _follow(self, erasures: ErasureReader) -> None:
        try:
            await erasures.follow()
        except WinbackError as error:
            self.on_failure(error)
        except Exception as error:  # noqa: BLE001 - a defect; the worker stops, and says which it was
            _log.exception("erasures_failed")
            self.on_failure(Fatal(f"reading erasures failed: {type(error).__name__}"))

    def _committed(self, partition: Partition, done: Done) -> None:
        self._metrics.add(done.tally, fold_seconds=done.fold_seconds, flush_seconds=done.flush_seconds)
        for reason, count in done.tally.quarantined.items():
            _log.error("quarantined", partition=partition.number, reason=reason, records=count)
        self._judge(done.tally)
        if partition.finished:
            self.on_finished(partition.number)
            if all(each.finished for each in self._partitions.values()):
                self.finished.set()

    def _judge(self, tally: Tally) -> None:
        """Fatal where too much of what came last was refused: then the records are not to blame."""
        records, refused = Counter[str](), Counter[str]()
        for (topic, _), count in tally.records.items():
            records[topic] += count
        for (topic, _), count in tally.dead_letters.items():
            refused[topic] += count
        for topic, count in records.items():
            burst = self._refusals.add(topic, count - refused[topic], refused[topic])
            if burst is not None:
                raise Fatal(
                    f"{burst.refused} of the last {burst.records} records of {burst.topic} became dead "
                    f"letters, more than WINBACK_DEAD_LETTER_SHARE ({self._settings.dead_letter_share:g}) "
                    "allows: was something deployed wrongly, here or at the producer? See docs/operations.md"
                )

    def _show(self, partition: Partition) -> None:
        customers = {LABELS[stage]: count for stage, count in partition.stages.items() if stage != STUB}
        self._metrics.set_partition(partition.number, deadlines=partition.deadlines, customers=customers)
        now, source = wall_ms(), self._attached()
        for topic, (tp, (offset, newest)) in zip(SOURCES, partition.positions.items(), strict=True):
            end = source.last_end(tp)
            behind = 0 if end is None else max(0, end - offset)
            age = (now - newest) / 1000 if behind and newest > LONG_AGO else 0.0
            self._metrics.set_lag(topic.name, partition.number, records=behind, seconds=age)

    def _tell_quarantined(self, errors: Sequence[Unreadable]) -> None:
        for error in errors:
            self._metrics.quarantined.labels(error.reason).inc(error.records)
        for error in errors[:_TOLD_QUARANTINED]:
            _log.error(
                "quarantined",
                topic=error.topic,
                partition=error.partition,
                offset=error.offset,
                reason=error.reason,
                records=error.records,
            )
        if len(errors) > _TOLD_QUARANTINED:
            _log.error("quarantined_more", places=len(errors) - _TOLD_QUARANTINED)

    def _check_run(self) -> None:
        """ConfigurationError where the state is that of another replay, or of one although we are none."""
        for shard in self._shards.values():
            if shard.partition_record is not None and (
                wrong := refusal(shard.run, self._terms.run, self._settings)
            ):
                raise ConfigurationError(wrong)

    # Where to begin

    async def _lineage(self, partitions: frozenset[int]) -> Lineage:
        """The topics as they are now. TopicsError or Gap where the state was made from others."""
        topics = self._terms.topics
        names = [topics.name(topic) for topic in (*SOURCES, CHANGELOG, ERASURES)]
        known = await ask_identities(self._settings, names)
        *state, erasures = [known[name].identity if name in known else "" for name in names]
        found = Lineage(self._terms.partitions, dict(zip(names, state, strict=False)), erasures)
        shards = [self._shards[number] for number in sorted(partitions)]
        recorded = [shard.lineage for shard in shards if shard.lineage is not None]
        if not recorded and all(shard.partition_record is None for shard in shards):
            # A new application; or an old one to which somebody has added partitions.
            recorded += await self._lineage_elsewhere(partitions)
        for each in recorded:
            if (wrong := contradiction(each, found)) is not None:
                raise wrong
        return found

    async def _lineage_elsewhere(self, partitions: frozenset[int]) -> list[Lineage]:
        """What the newest partition record of another partition says, if any has one."""
        topic = self._terms.topics.name(CHANGELOG)
        for number in sorted(frozenset(range(self._terms.partitions)) - partitions):
            shard = await newest_position(self._settings, topic, number)
            if shard.partition_record is not None:
                return [] if shard.lineage is None else [shard.lineage]
        return []

    async def _starting_points(
        self, partitions: frozenset[int], lineage: Lineage
    ) -> dict[int, PartitionRecord]:
        """Where each partition goes on; a new one at the beginning of its topics."""
        points = {number: self._point(self._shards[number], lineage) for number in partitions}
        beginning = {number for number, record in points.items() if self._begins(number, record)}
        bounds = await self._bounds(beginning)
        return {
            number: self._begun(number, record, bounds) if record is None or number in beginning else record
            for number, record in points.items()
        }

    def _point(self, shard: Shard, lineage: Lineage) -> PartitionRecord | None:
        """Where a partition stands; at the beginning of `erasures` where that topic was made anew."""
        record, recorded = shard.partition_record, shard.lineage
        if record is None or recorded is None or recorded.erasures in {"", lineage.erasures}:
            return record
        return replace(record, erasures_next=0)

    def _begins(self, number: int, record: PartitionRecord | None) -> bool:
        """Whether a partition is new, or begins another bounded replay than the one it has made."""
        end = self._terms.end
        if record is None or end is None or record.until == end:
            return record is None
        if record.clock > end:
            raise ConfigurationError(
                f"the state of partition {number} is already beyond the end instant: choose a later one, "
                "or another WINBACK_APPLICATION_ID"
            )
        return True

    def _begun(
        self, number: int, record: PartitionRecord | None, bounds: Mapping[TP, tuple[int, int]]
    ) -> PartitionRecord:
        """The partition at its beginning; with the event clock also where its topics end."""
        sources: list[SourcePosition] = []
        for index, topic in enumerate(SOURCES):
            first, end = bounds[TP(self._terms.topics.name(topic), number)]
            at = SourcePosition(first, LONG_AGO) if record is None else record.sources[index]
            sources.append(replace(at, end=None if self._terms.end is None else end))
        purchases, logins, tickets = sources
        clock = LONG_AGO if record is None else record.clock
        _, erasures_end = bounds[TP(self._terms.topics.name(ERASURES), number)]
        return PartitionRecord(
            (purchases, logins, tickets),
            clock,
            self._terms.end,
            0 if record is None else record.erasures_next,
            None if self._terms.end is None else erasures_end,
        )

    async def _bounds(self, partitions: set[int]) -> dict[TP, tuple[int, int]]:
        """First offset and last stable offset of these partitions, of all that is read."""
        if not partitions:
            return {}
        consumer = AIOKafkaConsumer(
            **client_arguments(self._settings), group_id=None, isolation_level="read_committed"
        )
        await start(consumer, self._settings)
        try:
            names = [self._terms.topics.name(topic) for topic in (*SOURCES, ERASURES)]
            tps = [TopicPartition(name, number) for name in names for number in partitions]
            first = await consumer.beginning_offsets(tps)
            ends = await consumer.end_offsets(tps)
            if self._terms.run is not None:
                first = await first_dated(consumer, self._terms.run.begin, first, ends)
            return {TP(tp.topic, tp.partition): (first[tp], ends[tp]) for tp in tps}
        finally:
            await stop(consumer)

    def _offsets(self) -> dict[TP, int]:
        return {
            tp: offset
            for partition in self._partitions.values()
            for tp, (offset, _) in partition.positions.items()
        }

    def _attached(self) -> Source:
        if self._source is None:
            raise Fatal("the processor is not attached to a driver")
        return self._source

    def _tell_progress(self) -> None:
        self._attached().progress()


def _no_listener(error: WinbackError) -> None:
    raise error
