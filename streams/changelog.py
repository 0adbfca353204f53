"""Reading a changelog at full speed: group-less, committed, whole batches, to an end that is proved.

While one round of fetches is being applied the next is under way. No object is made for a record
here: who reads gets the batches, in the order of the log.

The end is the high watermark, not the last stable offset: a transaction that somebody left open on
the changelog would otherwise hide all that was committed after it, and nobody would know.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from aiokafka import errors as kafka
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.offset import OffsetRequest
from aiokafka.structs import TopicPartition

from schemas.errors import BrokerUnreachable, StateError
from streams.clock import monotonic
from streams.connection import client_arguments, translated
from streams.record_batches import BadLength, Batch, batches, committed
from streams.settings import Settings

FETCH_BYTES: Final = 2 * 1024 * 1024
"""Of one partition in one answer."""
ANSWER_BYTES: Final = 6 * 1024 * 1024
"""Of one broker in one answer."""
STALLED_SECONDS: Final = 30.0
"""Without getting on for so long, though the log holds more, a reader gives up."""

_WAIT_MS: Final = 50
_BACKOFF_SECONDS: Final = 0.1
_UNCOMMITTED, _COMMITTED = 0, 1
_LATEST, _EARLIEST = -1, -2


class Stretch(NamedTuple):
    """A piece of one partition's log: the data batches in it, and where it ends."""

    partition: int
    batches: list[Batch]
    next_offset: int


class Moved(Exception):
    """The log no longer holds the offset that was asked for: look at its bounds again."""


class ChangelogReader:
    """One pass over some partitions of one topic.

    reader = await connection.start(ChangelogReader(settings, topic), settings)

    stalled_seconds: how long it may stand still. Raises BrokerUnreachable after that, saying why.
    """

    def __init__(self, settings: Settings, topic: str, *, stalled_seconds: float = STALLED_SECONDS) -> None:
        self._settings = settings
        self._topic = topic
        self._stalled_seconds = stalled_seconds
        arguments = client_arguments(settings)
        self._client = AIOKafkaClient(**arguments, request_timeout_ms=round(stalled_seconds * 1000))
        self._moved_at = 0.0
        self._trouble = "nothing came"

    @property
    def client(self) -> AIOKafkaClient:
        """The connection, for other questions to the same brokers."""
        return self._client

    async def start(self) -> None:
        """Connect."""
        await self._client.bootstrap()
        await self._client.set_topics([self._topic])

    async def stop(self) -> None:
        """Disconnect."""
        await self._client.close()

    async def bounds(self, partitions: Iterable[int]) -> dict[int, tuple[int, int]]:
        """First and next offset of each partition, whatever is committed of it."""
        self._moved_at = monotonic()
        wanted = list(partitions)
        first = await self._offsets(wanted, _EARLIEST)
        end = await self._offsets(wanted, _LATEST)
        return {partition: (first[partition], end[partition]) for partition in wanted}

    async def read(self, starts: Mapping[int, int], ends: Mapping[int, int]) -> AsyncIterator[Stretch]:
        """Stretch after stretch, until each partition has been read from its start to its end.

        Raises Moved where the log was cut off meanwhile, BrokerUnreachable where it stands still, and
        StateError where it is damaged so that nobody can tell where it goes on.
        """
        positions = {part: offset for part, offset in starts.items() if offset < ends[part]}
        self._moved_at = monotonic()
        asked = asyncio.ensure_future(self._round(positions, ends))
        try:
            while positions:
                stretches = await asked
                for stretch in stretches:
                    self._moved_at = monotonic()
                    positions[stretch.partition] = stretch.next_offset
                    if stretch.next_offset >= ends[stretch.partition]:
                        del positions[stretch.partition]
                self._check_stalled(positions, ends)
                asked = asyncio.ensure_future(self._round(positions, ends))
                for stretch in stretches:
                    yield stretch
        finally:
            asked.cancel()
            await asyncio.gather(asked, return_exceptions=True)

    # One round of fetches

    async def _round(self, positions: Mapping[int, int], ends: Mapping[int, int]) -> list[Stretch]:
        # An answer is limited: whoever has most left comes first in it.
        by_left = sorted(positions, key=lambda part: positions[part] - ends[part])
        rounds = [
            self._fetch(node, {part: positions[part] for part in parts}, ends)
            for node, parts in self._by_leader(by_left).items()
        ]
        if positions and not rounds:
            await self._refresh()
        return [stretch for answer in await asyncio.gather(*rounds) for stretch in answer]

    async def _fetch(self, node: int, positions: Mapping[int, int], ends: Mapping[int, int]) -> list[Stretch]:
        wanted = [(part, offset, FETCH_BYTES) for part, offset in positions.items()]
        request = FetchRequest(_WAIT_MS, 1, ANSWER_BYTES, _COMMITTED, [(self._topic, wanted)])
        try:
            answer = await self._client.send(node, request)
        except kafka.KafkaError as error:
            await self._retry(error)
            return []
        found: list[Stretch] = []
        empty: list[int] = []
        trouble: kafka.KafkaError | None = None
        for part, code, stable, aborted, message_set in _parts(answer):
            if code:
                trouble = kafka.for_code(code)(f"{self._topic}, partition {part}")
                if isinstance(trouble, kafka.OffsetOutOfRangeError):
                    raise Moved
            elif message_set:
                found += self._stretch(part, message_set, aborted, stable, positions[part])
            elif stable >= ends[part]:
                empty.append(part)
        if trouble is not None:
            await self._retry(trouble)
        elif not found and not answer.throttle_time_ms:
            # The log holds nothing more up to its end, although that lies further on: compaction took
            # the last of it. An answer that brings others something may just have been full.
            found = [Stretch(part, [], ends[part]) for part in empty]
        return found

    def _stretch(
        self, part: int, message_set: bytes, aborted: Any, stable: int, position: int
    ) -> list[Stretch]:
        found: list[Batch] = []
        try:
            found.extend(batches(message_set))
        except BadLength:
            if not found:
                raise StateError(
                    f"{self._topic}, partition {part}, is damaged at offset {position}: where it goes on "
                    "cannot be told. Restore it from a replica, or start anew (docs/operations.md)"
                ) from None
        if not found:
            return []
        last = found[-1]
        # A damaged batch may claim any length; the log itself says how far it goes.
        end = last.next_offset if last.next_offset <= stable else last.offset + 1
        data = [batch for batch in committed(found, aborted or ()) if batch.next_offset > position]
        return [Stretch(part, data, max(end, position + 1))]

    # Where the leaders are, and where the log begins and ends

    async def _offsets(self, partitions: Iterable[int], at: int) -> dict[int, int]:
        left, found = set(partitions), {}
        while left:
            leaders = self._by_leader(left)
            for node, parts in leaders.items():
                request = OffsetRequest(-1, _UNCOMMITTED, [(self._topic, [(part, at) for part in parts])])
                try:
                    answer = await self._client.send(node, request)
                except kafka.KafkaError as error:
                    await self._retry(error)
                    continue
                for _, parts_answered in answer.topics:
                    for part, code, _, offset in parts_answered:
                        if code:
                            await self._retry(kafka.for_code(code)(f"{self._topic}, partition {part}"))
                        else:
                            found[part] = offset
                            left.discard(part)
            if not leaders:
                await self._refresh()
            self._check_stalled(dict.fromkeys(left, 0), dict.fromkeys(left, 0))
        return found

    def _by_leader(self, partitions: Iterable[int]) -> dict[int, list[int]]:
        by_leader: defaultdict[int, list[int]] = defaultdict(list)
        for part in partitions:
            leader = self._client.cluster.leader_for_partition(TopicPartition(self._topic, part))
            if leader is not None and leader >= 0:
                by_leader[leader].append(part)
        return by_leader

    async def _retry(self, error: kafka.KafkaError) -> None:
        """Note the trouble and wait a little; raises what no waiting mends."""
        meant = translated(error, self._settings)
        # What this broker cannot read may be whole on the next leader.
        passing = isinstance(error, kafka.CorruptRecordException | kafka.UnknownError)
        if not passing and not isinstance(meant, BrokerUnreachable):
            raise meant from error
        self._trouble = f"the broker answers {type(error).__name__}"
        await self._refresh()

    async def _refresh(self) -> None:
        self._client.force_metadata_update()
        await asyncio.sleep(_BACKOFF_SECONDS)

    def _check_stalled(self, positions: Mapping[int, int], ends: Mapping[int, int]) -> None:
        if not positions or monotonic() - self._moved_at < self._stalled_seconds:
            return
        part, offset = next(iter(positions.items()))
        raise BrokerUnreachable(
            f"{self._topic} could not be read to its end: partition {part} has stood at offset {offset} of "
            f"{ends[part]} for {self._stalled_seconds:g} s ({self._trouble}). Where the broker answers, "
            "somebody else has left a transaction open on it, and the broker will abort that"
        )


def _parts(answer: Any) -> Iterator[tuple[int, int, int, Any, bytes]]:
    """Partition, error code, last stable offset, aborted transactions and message set of each partition."""
    aborted_at = -3 if answer.API_VERSION >= 11 else -2  # since then a replica to prefer stands between
    for _, parts in answer.topics:
        for fields in parts:
            yield fields[0], fields[1], fields[3], fields[aborted_at], fields[-1]
