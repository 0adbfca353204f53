"""The customer table: one shard a partition, recovered from the changelog in whole batches.

A shard equals what the changelog holds below `changelog_next`, read committed. The processor puts
into it what it has committed, after the commit; so reading the changelog on from there repeats at
most what is known already.

A state record that cannot be read is quarantined: its customer leaves the table, because what stood
there before is out of date and would be worse than nothing, and everybody else recovers. The
partition record is the exception. Where a partition stands cannot be guessed, so recovery fails
where its newest partition record cannot be read, or may have stood in a batch that cannot be.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from types import MappingProxyType
from typing import Any, Final

from aiokafka.errors import KafkaError
from faust.stores import STORES
from faust.stores.memory import Store

from schemas.codec import Headers
from schemas.customer import NEVER
from schemas.errors import BrokerUnreachable, Gap, StateError
from schemas.positions import PartitionRecord
from schemas.record import (
    HEAD_SIZE,
    PARTITION_KEY,
    VERSION,
    Fingerprint,
    is_known,
    raw_head,
    unpack_partition,
)
from streams.changelog import STALLED_SECONDS, ChangelogReader, Moved
from streams.clock import monotonic
from streams.connection import start, stop
from streams.lineage import SOURCES_HEADER, Lineage, unpack_lineage
from streams.metrics import QuarantineReason
from streams.record_batches import Batch, reader_of, salvage
from streams.run import RUN_HEADER, Run, unpack_run
from streams.settings import Settings
from streams.timers import HOUR, Calendar

CHUNK_RECORDS: Final = 10_000
"""Applied in one go; the loop then serves others, a few dozen milliseconds later."""
HEAD_RECORDS: Final = 50_000
"""As CHUNK_RECORDS, of the calendar of deadlines."""
_NEAR_THE_END: Final = 10_000
"""Offsets: more than a transaction has as a rule."""
_TRIES: Final = 3
"""How often a log may be cut off at its beginning while it is being read."""

Progress = Callable[[], None]


@dataclass(slots=True)
class Shard:
    """The customers of one partition, by key, packed as `schemas.record` says.

    quarantined: why the state of a customer cannot be read, by key; none of them is in `records`.
    changelog_next: the offset up to which the changelog has been applied. lineage: which topics the
    newest partition record belongs to, None where it does not say; run: which replay, None for none.
    As of the last load:
    deadlines, for streams.timers; how many customers are in each stage; and the fingerprints their
    deadlines were computed with.
    """

    records: dict[bytes, bytes] = field(default_factory=dict)
    partition_record: PartitionRecord | None = None
    deadlines: Calendar = field(default_factory=dict)
    stages: Counter[int] = field(default_factory=Counter)
    fingerprints: set[Fingerprint] = field(default_factory=set)
    changelog_next: int = 0
    quarantined: dict[bytes, QuarantineReason] = field(default_factory=dict)
    lineage: Lineage | None = None
    run: Run | None = None

    def quarantine(self, key: bytes, reason: QuarantineReason) -> None:
        """Take a customer out whose state cannot be read."""
        self.records.pop(key, None)
        self.quarantined[key] = reason

    def clear(self) -> None:
        """Forget everything, in order to read the changelog from its beginning."""
        self.records.clear()
        self.quarantined.clear()
        self.partition_record = self.lineage = self.run = None


class Unreadable(StateError):
    """Records at one place of a changelog that could not be read; nothing out of them is in the message.

    records: how many, all at `offset` or, where `reason` is of a whole batch, from there on.
    """

    def __init__(
        self, topic: str, partition: int, offset: int, reason: QuarantineReason, records: int = 1
    ) -> None:
        super().__init__(f"{topic}, partition {partition}, offset {offset}: {reason} ({records})")
        self.topic = topic
        self.partition = partition
        self.offset = offset
        self.reason = reason
        self.records = records


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What a load did. records: changelog records read. errors: what was quarantined and still is."""

    records: int
    seconds: float
    errors: Sequence[Unreadable] = ()


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
    stalled_seconds: float = STALLED_SECONDS,
) -> LoadReport:
    """Bring `shards` up to the end of the changelog, read committed, for exactly `partitions`.

    The caller has fenced these partitions before: no transaction of ours is open on the changelog any
    more. Shards of other partitions are dropped; one that is there already is only read on.
    `progress` is called as records arrive. What cannot be read is quarantined and reported.

    Raises BrokerUnreachable where nothing comes for `stalled_seconds`, Gap where the changelog is
    shorter than what a shard holds of it, and StateError where a partition record cannot be read.
    """
    began, wanted = monotonic(), frozenset(partitions)
    for gone in shards.keys() - wanted:
        del shards[gone]
    if not wanted:
        return LoadReport(0, 0.0)
    reader = ChangelogReader(settings, topic, stalled_seconds=stalled_seconds)
    await start(reader, settings)
    try:
        loads = {part: ShardLoad(shards.setdefault(part, Shard()), topic, part) for part in wanted}
        await _read(reader, loads, progress)
    finally:
        await stop(reader)
    for part in wanted:
        await read_heads(shards[part])
        progress()
    errors = [error for part in sorted(wanted) for error in loads[part].finish()]
    return LoadReport(sum(each.read for each in loads.values()), monotonic() - began, errors)


async def newest_position(settings: Settings, topic: str, partition: int) -> Shard:
    """The partition record of another worker's partition, in a shard that holds little else.

    It is the last record of its transaction, so it stands near the log's end. Raises as `load` does.
    """
    reader = await start(ChangelogReader(settings, topic), settings)
    try:
        first, end = (await reader.bounds([partition]))[partition]
    finally:
        await stop(reader)
    back = _NEAR_THE_END
    while True:
        at = max(first, end - back)
        shards = {partition: Shard(changelog_next=at)}
        await load(settings, topic, shards, [partition])
        if shards[partition].partition_record is not None or at == first:
            return shards[partition]
        back *= 10


async def _read(reader: ChangelogReader, loads: Mapping[int, "ShardLoad"], progress: Progress) -> None:
    for _ in range(_TRIES):
        bounds = await reader.bounds(loads)
        for part, each in loads.items():
            each.begin(*bounds[part])
        starts = {part: each.shard.changelog_next for part, each in loads.items()}
        try:
            async for stretch in reader.read(starts, {part: end for part, (_, end) in bounds.items()}):
                each = loads[stretch.partition]
                pause_at = each.read + CHUNK_RECORDS
                for batch in stretch.batches:
                    each.apply(batch)
                    if each.read >= pause_at:
                        await asyncio.sleep(0)
                        pause_at = each.read + CHUNK_RECORDS
                each.shard.changelog_next = stretch.next_offset
                progress()
        except Moved:
            continue
        return
    raise BrokerUnreachable("the changelog was cut off again and again while it was being read")


class ShardLoad:
    """Brings one shard forward, batch by batch in the order of the log."""

    def __init__(self, shard: Shard, topic: str, partition: int) -> None:
        self.shard = shard
        self.read = 0
        """Records that were read."""
        self._topic = topic
        self._partition = partition
        self._named: dict[bytes, Unreadable] = {}
        """What was quarantined in this load, by key; a good record may still take it out again."""
        self._nameless: dict[int, Unreadable] = {}
        """By offset of the batch: records of which not even the key can be told."""
        self._lost_position: Unreadable | None = None
        """A partition record that could not be read, or may have been; the next good one takes it away."""

    def begin(self, first: int, end: int) -> None:
        """Agree with a log from `first` up to `end`; Gap where the shard knows more than that."""
        known = self.shard.changelog_next
        if known > end:
            raise Gap(
                f"{self._topic}, partition {self._partition}, ends at offset {end}, but was read "
                f"up to {known} before: was it deleted and made anew?"
            )
        if known < first:  # something was removed that the shard has not seen
            self.shard.clear()
            self.shard.changelog_next = first
            self._named.clear()
            self._nameless.clear()
            self._lost_position = None

    def apply(self, batch: Batch) -> None:
        """Apply a batch of committed records; what cannot be read of it is quarantined."""
        reader = reader_of(batch)
        if reader is None:
            self._salvage(batch)
            return
        try:
            self.take(reader, batch.offset)
        except (ValueError, KafkaError):
            self._salvage(batch)  # from its beginning: what has been applied already is only repeated

    def take(self, found: Iterable[Any], offset: int) -> None:
        """Apply records with offset, key, value and headers; the first stands at `offset` or later."""
        records, count = self.shard.records, 0
        for record in found:
            value = record.value
            count += 1
            # Written out for the million: a plain state record has no headers.
            if value is not None and len(value) > HEAD_SIZE and value[0] == VERSION and not record.headers:
                records[record.key] = value
            else:
                self._odd(record.offset, record.key, value, record.headers)
        self.read += count
        plain = records.pop(PARTITION_KEY, None)
        if plain is not None:
            self._partition_record(offset, plain, ())
        quarantined = self.shard.quarantined
        if quarantined:
            for key in [key for key in quarantined if key in records]:
                del quarantined[key]

    def finish(self) -> list[Unreadable]:
        """What was quarantined and still is. StateError where nobody can tell where the partition stands."""
        lost = self._lost_position
        if lost is not None:
            raise StateError(
                f"{lost}: the newest partition record cannot be read, so nobody can tell where partition "
                f"{self._partition} stands. {_REMEDIES[lost.reason]}; or start anew (docs/operations.md)"
            )
        still = [error for key, error in self._named.items() if key in self.shard.quarantined]
        return sorted([*still, *self._nameless.values()], key=lambda error: error.offset)

    # What is not the plain case

    def _odd(self, offset: int, key: bytes | None, value: bytes | None, headers: Headers) -> None:
        records = self.shard.records
        if key is None:
            self._nameless[offset] = self._unreadable(offset, "damaged")
        elif key == PARTITION_KEY:
            records.pop(key, None)
            self._partition_record(offset, value, headers)
        elif value is None:
            records.pop(key, None)
            self.shard.quarantined.pop(key, None)
        elif value and not is_known(value):
            self._quarantine(offset, key, "unknown_version")
        elif len(value) <= HEAD_SIZE:
            self._quarantine(offset, key, "damaged")
        else:  # an earlier version, or headers that nobody asked for
            records[key] = value

    def _partition_record(self, offset: int, value: bytes | None, headers: Headers) -> None:
        try:
            self.shard.partition_record = unpack_partition(value or b"")
        except StateError:
            unknown = bool(value) and value is not None and not is_known(value)
            self._lost_position = self._unreadable(offset, "unknown_version" if unknown else "damaged")
            return
        self._lost_position = None
        said = dict(headers)
        self.shard.lineage = unpack_lineage(said.get(SOURCES_HEADER))
        self.shard.run = unpack_run(said.get(RUN_HEADER))

    def _salvage(self, batch: Batch) -> None:
        found, nameless = salvage(batch)
        self.shard.records.pop(PARTITION_KEY, None)
        self.read += len(found) + nameless
        for offset, key, value, unreadable in found:
            if unreadable is None:
                if key is not None:
                    self.shard.quarantined.pop(key, None)
                self._odd(offset, key, value, ())
            elif key == PARTITION_KEY:
                self._lost_position = self._unreadable(offset, unreadable)
            elif key is not None:
                self._quarantine(offset, key, unreadable)
            else:
                self._nameless[offset] = self._unreadable(offset, unreadable)
        if nameless:
            reason: QuarantineReason = "damaged" if found or not batch.compressed else "unknown_compression"
            lost = self._unreadable(batch.offset, reason, nameless)
            self._nameless[batch.offset] = lost
            # The partition record is the last of its transaction: it may have been among them.
            self._lost_position = lost

    def _quarantine(self, offset: int, key: bytes, reason: QuarantineReason) -> None:
        self.shard.quarantine(key, reason)
        self._named[key] = self._unreadable(offset, reason)

    def _unreadable(self, offset: int, reason: QuarantineReason, records: int = 1) -> Unreadable:
        return Unreadable(self._topic, self._partition, offset, reason, records)


def apply(shard: Shard, records: Sequence[Any]) -> list[Unreadable]:
    """Bring a shard forward by changelog records that are at hand, as a load does by a log's."""
    load = ShardLoad(shard, "changelog", 0)
    load.take(records, 0)
    return load.finish()


_REMEDIES: Final[Mapping[QuarantineReason, str]] = MappingProxyType(
    {
        "damaged": "Restore the topic from a replica or a copy",
        "unknown_version": "A newer Winback has been here: go back to that version",
        "unknown_compression": (
            "The topic's compression.type was changed: install aiokafka[all] here, and set it back"
        ),
        "bad_header": "Something other than Winback writes to the changelog: stop it",
    }
)


async def read_heads(shard: Shard) -> None:
    """Rebuild what a shard derives from the fixed heads of its records."""
    deadlines: defaultdict[int, list[bytes]] = defaultdict(list)
    stages, fingerprints = [0] * 256, set()
    model = playbook = -1
    items = iter(shard.records.items())
    while chunk := tuple(islice(items, HEAD_RECORDS)):
        for key, value in chunk:
            _, wake_at, its_model, its_playbook, stage = raw_head(value)
            stages[stage] += 1
            if its_model != model or its_playbook != playbook:
                model, playbook = its_model, its_playbook
                fingerprints.add(Fingerprint(model, playbook))
            if wake_at != NEVER:
                deadlines[wake_at // HOUR].append(key)
        await asyncio.sleep(0)
    shard.deadlines = dict(deadlines)
    shard.stages = Counter({stage: count for stage, count in enumerate(stages) if count})
    shard.fingerprints = fingerprints
