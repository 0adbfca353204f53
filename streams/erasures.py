"""Reading `erasures`: to its end before anything is folded, and from then on as records come.

The reader belongs to no group, reads committed records alone, and hands each partition what it is to
forget. How far a partition has obeyed stands in its partition record, so that nothing is left out or
done twice, whatever dies in between.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import inf
from typing import Any, Final, Protocol

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from schemas.codec import decode_erasure
from schemas.customer import LONG_AGO, NEVER
from schemas.errors import BrokerUnreachable, Rejected
from schemas.instants import since_epoch
from schemas.positions import PartitionRecord
from schemas.record import STUB
from schemas.topics import ERASURES, SOURCES
from streams.checked import Asked
from streams.clock import monotonic
from streams.connection import client_arguments, start, stop, translated
from streams.intake import CLOCK_TOLERANCE_MS
from streams.settings import Settings

PATIENCE_SECONDS: Final = 30.0
"""Without getting on for so long, though the log holds more, reading to the end gives up."""
STUBS_SECONDS: Final = 3600.0
"""How often to ask whether stubs of forgotten customers have had their time, where there are any."""
_LOOK_SECONDS: Final = 1.0
_POLL_MS: Final = 500

_log = structlog.get_logger(__name__)


class Forgetful(Protocol):
    """What is asked of a partition; see streams.partition.Partition."""

    @property
    def clock(self) -> int:
        """The instant (ms) below which every deadline is settled."""

    @property
    def stages(self) -> Counter[int]:
        """How many customers are in each stage, STUB among them."""

    def ask(self, erasures: Sequence[Asked]) -> None:
        """Take erasures, ascending by offset."""

    def outlive(self, written_from: int) -> None:
        """Give up the stubs that nothing needs any more."""


def asked_by(key: bytes | None, value: bytes | None, offset: int, written: int) -> Asked | None:
    """What a record of `erasures` asks for; None for a tombstone, which asks for nothing.

    written: the record's timestamp (ms). An instant in the future of that counts as that: what is still
    to come cannot be forgotten. Raises Rejected where nobody can tell who is to be forgotten, or up to when.
    """
    if value is None:
        return None
    if not key or b"\x00" in key:
        raise Rejected("no_key", "the key of an erasure is the customer's id")
    try:
        key.decode()
    except UnicodeDecodeError:
        raise Rejected("not_utf8", "the key is not UTF-8 text") from None
    at = since_epoch(decode_erasure(value).at)
    if at < 0:
        raise Rejected("before_1970", "an erasure up to before 1970")
    return Asked(offset, key, written if at > written + CLOCK_TOLERANCE_MS else at)


class ErasureReader:
    """One reader for the partitions of an assignment.

    unreadable: is told of each record that makes no sense; it is logged by its place, and passed over.
    """

    def __init__(
        self, settings: Settings, partitions: Mapping[int, Forgetful], unreadable: Callable[[], None]
    ) -> None:
        self._settings = settings
        self._topic = settings.topics.name(ERASURES)
        self._partitions = partitions
        self._unreadable = unreadable
        self._bounded = settings.clock == "event"
        self._consumer: AIOKafkaConsumer | None = None

    async def read_to_end(self, records: Mapping[int, PartitionRecord], progress: Callable[[], None]) -> None:
        """Read each partition from where its record stands: a bounded replay to its stated end, a live
        worker to where the topic ends now.

        What the log no longer holds, or does not hold yet, is read from its beginning. Raises
        BrokerUnreachable where nothing comes for PATIENCE_SECONDS, and as `connection.start` does.
        """
        consumer = await self._connect()
        try:
            places = {TopicPartition(self._topic, number): record for number, record in records.items()}
            first = await consumer.beginning_offsets(list(places))
            latest = await consumer.end_offsets(list(places))
            consumer.assign(list(places))
            stops, limits = {}, {}
            for place, record in places.items():
                at, end = record.erasures_next, record.erasures_end if self._bounded else None
                consumer.seek(place, at if first[place] <= at <= latest[place] else first[place])
                stops[place] = latest[place] if end is None else min(end, latest[place])
                limits[place] = end
            await self._read(consumer, stops, limits, progress)
        except KafkaError as error:
            raise translated(error, self._settings) from error

    async def follow(self) -> None:
        """Hand on what comes, and end the time of stubs; until cancelled, or at once in a bounded replay,
        which knows what stood there when it began. Raises as `read_to_end` does, but waits for ever."""
        if not self._bounded:
            await asyncio.gather(self._tail(), self._outlive())

    async def _tail(self) -> None:
        consumer = await self._connect()
        try:
            while True:
                for place, records in (await consumer.getmany(timeout_ms=_POLL_MS)).items():
                    self._hand_on(place.partition, records)
        except KafkaError as error:
            raise translated(error, self._settings) from error

    async def _outlive(self) -> None:
        topics = [self._settings.topics.name(source) for source in SOURCES]
        looked_at: dict[int, float] = {}
        while True:
            for number, partition in list(self._partitions.items()):
                # What the clock was at the start is of no use: it has yet to see its first record.
                idle = partition.clock == LONG_AGO or not partition.stages[STUB]
                if not idle and monotonic() - looked_at.get(number, -inf) > STUBS_SECONDS:
                    looked_at[number] = monotonic()
                    partition.outlive(await self._written_from(topics, number))
            await asyncio.sleep(_LOOK_SECONDS)

    async def _written_from(self, topics: Iterable[str], number: int) -> int:
        """When the oldest record in a partition of these topics was written (ms); NEVER for none."""
        consumer = await self._connect()
        places = [TopicPartition(topic, number) for topic in topics]
        try:
            found = await consumer.offsets_for_times(dict.fromkeys(places, 0))
        except KafkaError as error:
            raise translated(error, self._settings) from error
        return min([at.timestamp for at in found.values() if at is not None], default=NEVER)

    async def close(self) -> None:
        """Disconnect."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await stop(consumer)

    async def _connect(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            consumer = AIOKafkaConsumer(
                **client_arguments(self._settings),
                group_id=None,
                enable_auto_commit=False,
                isolation_level="read_committed",
                auto_offset_reset="earliest",
            )
            self._consumer = await start(consumer, self._settings)
        return self._consumer

    async def _read(
        self,
        consumer: AIOKafkaConsumer,
        stops: Mapping[TopicPartition, int],
        limits: Mapping[TopicPartition, int | None],
        progress: Callable[[], None],
    ) -> None:
        """Read up to `stops`. What happens to come beyond is handed on too, but not beyond `limits`."""
        moved_at = monotonic()
        reached = {place: await consumer.position(place) for place in stops}
        unread = {place for place, stop in stops.items() if reached[place] < stop}
        consumer.pause(*(stops.keys() - unread))
        while unread:
            for place, records in (await consumer.getmany(timeout_ms=_POLL_MS)).items():
                limit = limits[place]
                within = [each for each in records if limit is None or each.offset < limit]
                self._hand_on(place.partition, within)
            # The position counts, not the last record: markers and aborted records take up offsets too.
            for place in list(unread):
                position = await consumer.position(place)
                if position > reached[place]:
                    reached[place], moved_at = position, monotonic()
                    progress()
                if position >= stops[place]:
                    unread.discard(place)
                    consumer.pause(place)
            if monotonic() - moved_at > PATIENCE_SECONDS:
                raise BrokerUnreachable(f"{self._topic} could not be read to its end: nothing has come")
        consumer.resume(*stops)

    def _hand_on(self, partition: int, records: Sequence[Any]) -> None:
        asked: list[Asked] = []
        for record in records:
            try:
                each = asked_by(record.key, record.value, record.offset, record.timestamp)
            except Rejected as error:
                self._unreadable()
                _log.error(
                    "erasure_unreadable",
                    topic=self._topic,
                    partition=partition,
                    offset=record.offset,
                    reason=error.reason,
                )
                continue
            if each is not None:
                asked.append(each)
        if asked:
            self._partitions[partition].ask(asked)
