"""The consumer's thread: it owns the aiokafka consumer and runs it in a loop of its own.

The main loop keeps a book, the next offset of each partition, and sends it along with each fetch.
Here aiokafka's position is compared with it, corrected, and only then read on, all in one stretch
without a wait. So nothing that was fetched for another assignment or another position can come
out, and no seek is ever needed but this one. An offset that was passed over in reading (a
transaction marker, an aborted record) is explained by aiokafka's position after it. What aiokafka
fetched is read by our own reader, for speed (streams.source_records).

aiokafka 0.14 has no public way to do this; the private parts are used here and nowhere else, and
tests/kafka/test_driver.py breaks where they change.
"""
# ruff: noqa: SLF001 - see above

import asyncio
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import CancelledError as FutureCancelled
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from aiokafka import AIOKafkaConsumer
from aiokafka.consumer.fetcher import Fetcher, FetchResult
from aiokafka.errors import ConsumerStoppedError, KafkaError, OffsetOutOfRangeError
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread
from faust.types import TP, AppT

from schemas.customer import LONG_AGO, NEVER
from schemas.errors import WinbackError
from streams.checked import SourceRecord
from streams.clock import monotonic, wall_ms
from streams.connection import client_arguments, start
from streams.driver.engine import engine_of
from streams.driver.identities import TopicIdentity, identities
from streams.driver.interface import EndSight
from streams.record_batches import all_batches
from streams.settings import Settings
from streams.source_records import SourceRecords, source_record

PARTITION_FETCH_BYTES = 2 * 1024 * 1024
"""Of one partition in one answer. A larger record still comes, alone."""
COMMIT_SECONDS = 5.0
STOP_SECONDS = 10.0
NEVER_IDLE_MS = 2**31 - 1
"""aiokafka would leave the group after a pause between fetches; /livez judges that, not it."""

Answer = TypeVar("Answer")


class Slice(NamedTuple):
    """A stretch of one partition's log."""

    tp: TP
    first_offset: int
    records: Sequence[SourceRecord]
    next_offset: int


@dataclass(slots=True)
class Fetched:
    """What one fetch brought. out_of_range: partitions whose log does not hold the asked offset."""

    slices: list[Slice] = field(default_factory=list)
    out_of_range: list[TP] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.slices or self.out_of_range)


class FetchThread(AIOKafkaConsumerThread):
    """Called from the main loop; everything after `_here` runs in the thread's loop."""

    app: AppT
    leave_group = False
    """Whether a static member leaves the group when it stops, so that others take over at once."""

    def __init__(self, *args: Any, settings: Settings, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._settings = settings
        self._sights: dict[TopicPartition, EndSight] = {}
        self._awaited: dict[TopicPartition, int] = {}
        self._looked_at: dict[TopicPartition, int] = {}
        """When the last fetch of a partition was sent, milliseconds since the epoch."""
        self._waiter: asyncio.Future[None] | None = None
        self.wakes = 0
        self.sought = 0
        """How often aiokafka's position was not the book's: once a partition and assignment, as a rule."""

    # ------------------------------------------------------------------------- from the main loop

    async def fetch(self, book: Mapping[TP, int], *, limit: int, seconds: float, wakes: int) -> Fetched:
        """At most `limit` records of each partition in `book`, from exactly there.

        Waits up to `seconds` for the first, and not at all if `wake` was called since the caller
        read `wakes`.
        """
        return await self._here(self._fetch(book, limit, seconds, wakes))

    def wake(self) -> None:
        """End a waiting fetch at once."""
        self.wakes += 1
        with suppress(RuntimeError):  # its loop is closed: the thread has ended
            self.thread_loop.call_soon_threadsafe(self._wake)

    def sight(self, tp: TP) -> EndSight | None:
        """What the last fetch answer for this partition told of its end."""
        return self._sights.get(tp)

    def await_time(self, tps: Iterable[TP], instant: int) -> None:
        """Have a fetch of these partitions sent as soon as `instant` (ms since the epoch) has passed."""
        self._awaited.update((TopicPartition(*tp), instant) for tp in tps)

    async def bounds(self, tp: TP) -> tuple[int, int]:
        """First and next offset of a partition's log, as far as it is stable."""
        return await self._here(self._bounds(tp))

    async def publish(self, offsets: Mapping[TP, int]) -> bool:
        """Commit group offsets; False where the group or the broker would not have them."""
        return await self._here(self._publish(offsets))

    async def check(self) -> None:
        """Raise what aiokafka's group coordination died of, if it did: it tells nobody else."""
        await self._here(self._check())

    async def identities(self, topics: Sequence[str]) -> dict[str, TopicIdentity]:
        """See streams.driver.identities; {} before there is a consumer."""
        return await self._here(self._identities(topics))

    async def _here(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        if self.thread_loop.is_closed():
            work.close()
            raise ConsumerStoppedError
        future = asyncio.run_coroutine_threadsafe(work, self.thread_loop)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise ConsumerStoppedError from None  # the thread ended, not the caller
        except FutureCancelled:
            raise ConsumerStoppedError from None

    # --------------------------------------------------------------------------------- life cycle

    async def on_start(self) -> None:
        """Connect, join nothing yet."""
        conf, settings = self.app.conf, self._settings
        self.time_started = monotonic()
        consumer = AIOKafkaConsumer(
            **client_arguments(settings),
            group_id=conf.id,
            group_instance_id=settings.instance,
            partition_assignment_strategy=[self.app.assignor],
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            fetch_max_wait_ms=settings.fetch_max_wait_ms,
            max_partition_fetch_bytes=PARTITION_FETCH_BYTES,
            max_poll_interval_ms=NEVER_IDLE_MS,
            session_timeout_ms=_milliseconds(settings.session_timeout_seconds),
            heartbeat_interval_ms=_milliseconds(min(1.0, settings.session_timeout_seconds / 5)),
            rebalance_timeout_ms=_milliseconds(settings.rebalance_timeout_seconds),
            # A join may wait for as long as the slowest member may take.
            request_timeout_ms=_milliseconds(max(40.0, settings.rebalance_timeout_seconds + 10.0)),
        )
        try:
            self._consumer = await start(consumer, settings)
        except WinbackError as error:
            # Raised here it would be a crash, with a stack trace; so the worker is asked to stop us.
            self.parent_loop.call_soon_threadsafe(engine_of(self.app).fail, error)
            await self.wait_until_stopped()
        else:
            self._watch_ends(consumer._fetcher)

    async def on_thread_stop(self) -> None:
        """Leave the group, unless a static member is to keep its place."""
        if self._consumer is not None and self.leave_group:
            self._consumer._coordinator._group_instance_id = None
        # A broker that does not answer must not keep a worker from ending.
        with suppress(TimeoutError):
            await asyncio.wait_for(super().on_thread_stop(), STOP_SECONDS)

    def on_crash(self, msg: str, *fmt: Any, **kwargs: Any) -> None:
        """The caller of `start` gets the error; nothing is printed here."""

    # -------------------------------------------------------------------------- in the thread's loop

    async def _fetch(self, book: Mapping[TP, int], limit: int, seconds: float, wakes: int) -> Fetched:
        consumer = self._ensure_consumer()
        subscription, fetcher = consumer._subscription, consumer._fetcher
        assignment = subscription.subscription.assignment
        until = monotonic() + seconds
        with subscription.fetch_context():
            while True:
                if consumer._closed:
                    raise ConsumerStoppedError
                consumer._coordinator.check_errors()
                if assignment is None or not assignment.active or subscription.reassignment_in_progress:
                    return Fetched()
                fetched = self._drain(book, limit)
                left = until - monotonic()
                if fetched or left <= 0 or wakes != self.wakes:
                    return fetched
                self._waiter = fetcher._create_fetch_waiter()
                done, _ = await asyncio.wait([self._waiter], timeout=left)
                if done:
                    self._waiter.result()  # group coordination reports here what it died of
                else:
                    self._waiter.cancel()
                self._waiter = None

    def _drain(self, book: Mapping[TP, int], limit: int) -> Fetched:
        consumer = self._ensure_consumer()
        fetcher, fetched = consumer._fetcher, Fetched()
        for tp, offset in book.items():
            state = consumer._subscription.subscription.assignment.state_value(tp)
            if state is None:
                continue
            if not state.has_valid_position or state.position != offset:
                self.sought += 1
                self._sights.pop(tp, None)
                fetcher.seek_to(TopicPartition(*tp), offset)
                continue
            try:
                records = _take(fetcher, TopicPartition(*tp), limit)
            except OffsetOutOfRangeError:
                fetched.out_of_range.append(tp)
                continue
            if state.position != offset:
                fetched.slices.append(Slice(tp, offset, records, state.position))
        return fetched

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _check(self) -> None:
        if self._consumer is not None:
            self._consumer._coordinator.check_errors()

    async def _identities(self, topics: Sequence[str]) -> dict[str, TopicIdentity]:
        return {} if self._consumer is None else await identities(self._consumer._client, topics)

    async def _bounds(self, tp: TP) -> tuple[int, int]:
        consumer, key = self._ensure_consumer(), TopicPartition(*tp)
        first = await consumer.beginning_offsets([key])
        end = await consumer.end_offsets([key])
        return first[key], end[key]

    async def _publish(self, offsets: Mapping[TP, int]) -> bool:
        consumer = self._ensure_consumer()
        mine = {
            TopicPartition(*tp): OffsetAndMetadata(offset, "")
            for tp, offset in offsets.items()
            if consumer._subscription.is_assigned(tp)
        }
        try:
            if mine:
                await asyncio.wait_for(consumer.commit(mine), COMMIT_SECONDS)
        except (KafkaError, TimeoutError) as error:
            self.log.info("Group offsets were not written: %r", error)
            return False
        return bool(mine)

    def _watch_ends(self, fetcher: Fetcher) -> None:
        """Note with each fetch answer when its request was sent, and where it saw the end.

        aiokafka stamps answers on receipt, which tells nothing: the process may have been stopped
        in between. Emptying the stamp before sending shows which partitions the answer was for.
        """
        answer = fetcher._proc_fetch_request

        async def watched(assignment: Any, node_id: int, request: Any) -> bool:
            states = {
                tp: state
                for topic, partitions in request.topics
                for tp in (TopicPartition(topic, partition) for partition, *_ in partitions)
                if (state := assignment.state_value(tp)) is not None
            }
            for state in states.values():
                state.timestamp = None
            sent_at = wall_ms()
            request._max_wait_ms = wait_ms = self._wait_ms(states, sent_at)
            try:
                brought: bool = await answer(assignment, node_id, request)
            except asyncio.CancelledError:
                # aiokafka takes this for an answer that nobody wants any more, except where it waits to
                # ask again: there its own stop would break off, and ours wait a minute for it.
                return False
            if assignment.active:
                for tp, state in states.items():
                    if state.timestamp is not None:
                        stable = state.lso if state.lso is not None and state.lso >= 0 else state.highwater
                        self._sights[tp] = EndSight(sent_at, stable)
                        state.timestamp = None
                if not wait_ms:
                    self.parent_loop.call_soon_threadsafe(engine_of(self.app).receiver.let_time_pass)
            return brought

        fetcher._proc_fetch_request = watched

    def _wait_ms(self, tps: Iterable[TopicPartition], now: int) -> int:
        """How long the broker may keep the fetch that is sent `now`, if it finds nothing.

        Only a fetch that was sent after a deadline shows that nothing came before it. So one that is
        sent earlier comes back at that moment, and the first after it at once.
        """
        wait = self._settings.fetch_max_wait_ms
        for tp in tps:
            instant = self._awaited.get(tp, NEVER)
            if self._looked_at.get(tp, LONG_AGO) <= instant:
                wait = min(wait, max(0, instant + 1 - now))
            self._looked_at[tp] = now
        return wait


def _take(fetcher: Fetcher, tp: TopicPartition, limit: int) -> Sequence[SourceRecord]:
    """What is prefetched of a partition, without waiting; its position moves along."""
    found = fetcher._records.get(tp)
    if found is None:
        return ()
    records: Sequence[SourceRecord] = ()
    if isinstance(found, FetchResult):
        if found.check_assignment(tp):
            records = _read(found, limit)
        if found.has_more():
            return records
    del fetcher._records[tp]
    fetcher._notify(fetcher._wait_consume_future)  # it may now be fetched on
    if not isinstance(found, FetchResult):
        found.check_raise()
    return records


def _read(found: FetchResult, limit: int) -> Sequence[SourceRecord]:
    """By our own reader, put in the place of aiokafka's; but what is of an earlier format by aiokafka's."""
    reader = found._partition_records
    if not isinstance(reader, SourceRecords):
        message_set = _message_set(reader._records)
        if not all_batches(message_set):
            reader._consumer_record = source_record
            earlier: list[SourceRecord] = found.getall(limit)
            return earlier
        aborted, position = reader._aborted_transactions, reader.next_fetch_offset
        reader = SourceRecords(found._topic_partition, message_set, aborted, position)
        found._partition_records = reader
    records = reader.take(limit)
    found._update_position()
    if reader.ended:
        found._partition_records = None
    return records


def _message_set(records: MemoryRecords) -> bytes:
    """The bytes that aiokafka was about to read. Its compiled class shows them to pickle alone."""
    state = records.__reduce_ex__(2)[2]
    message_set: bytes = state["_buffer"] if isinstance(state, dict) else state[0]
    return message_set


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
