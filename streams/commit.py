"""One transaction a batch and partition: all that a batch did, or nothing.

The transactional id is the partition's, so starting its producer fences whoever had it before and
aborts what that one left open. The transaction holds no source offsets: the partition record is
among what it writes, and it is the position.

A transactional id that wrote nothing for a week (the broker's transactional.id.expiration.ms) is
forgotten there. That producer is started anew, and goes on only if nobody has written to the
partition's changelog since: else another worker took it over, and the broker could not tell us so.
"""

from asyncio import Future
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    IllegalOperation,
    InvalidProducerEpoch,
    InvalidProducerIdMapping,
    KafkaError,
    ProducerFenced,
    UnknownError,
)
from aiokafka.producer import sender

from schemas.codec import HeaderList
from schemas.errors import BrokerUnreachable, Fatal, Fenced, WinbackError
from schemas.record import PARTITION_KEY
from schemas.topics import CHANGELOG
from streams.changelog import ChangelogReader, Moved
from streams.changes import Changes, Record
from streams.clock import wall_ms
from streams.connection import client_arguments, start, stop, translated
from streams.record_writer import seal, write_records
from streams.settings import Settings

BATCH_BYTES = 900_000
"""Of one record batch: below the broker's default limit of one megabyte."""
MARKERS_SECONDS = 0.002
"""A transaction that begins while the broker still writes the markers of the one before is refused, and
tried again after so long. They take it a millisecond or two; aiokafka would wait for twenty."""

# There is no argument for it. Only what tries to begin a transaction reads it.
sender.BACKOFF_OVERRIDE = MARKERS_SECONDS


class Committer:
    """The only producer of one partition."""

    def __init__(self, settings: Settings, partition: int) -> None:
        self.stamp: HeaderList = []
        """Headers of each partition record: see streams.lineage."""
        self.changelog_next: int | None = None
        """Up to where the changelog had been read when this producer's work began."""
        self._last_batch: int | None = None
        """Offset of the batch that this producer wrote to the changelog last."""
        self._settings = settings
        self._partition = partition
        self._changelog = settings.topics.name(CHANGELOG)
        self._producer: AIOKafkaProducer | None = None

    async def fence(self) -> None:
        """Take the partition over. Raises BrokerUnreachable."""
        await self.close()
        producer = AIOKafkaProducer(
            **client_arguments(self._settings),
            transactional_id=f"{self._settings.application_id}-{self._partition}",
            transaction_timeout_ms=round(self._settings.transaction_timeout_seconds * 1000),
            max_request_size=8 * 1024 * 1024,
            linger_ms=0,
        )
        self._producer = await start(producer, self._settings)

    async def close(self) -> None:
        """Let the producer go; an open transaction is aborted by whoever fences next."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await stop(producer)

    async def commit(self, changes: Changes) -> None:
        """Write everything in one transaction.

        Raises Fenced where the partition has been taken over, BrokerUnreachable or Fatal where
        nobody can tell any more what became of the transaction, ConfigurationError where the broker
        does not permit it.
        """
        self._stamp(changes)
        try:
            await self._commit(changes)
        except _Forgotten:
            await self._start_anew()
            await self._commit(changes)

    async def _commit(self, changes: Changes) -> None:
        producer = self._producer
        if producer is None:
            raise Fatal(f"partition {self._partition} has no producer")
        sent: list[Future[Any]] = []
        try:
            await producer.begin_transaction()
            for topic, records in changes.topics.items():
                await self._send(producer, topic, records, sent)
            written = [await future for future in sent]
            await producer.commit_transaction()
        except (KafkaError, IllegalOperation, AssertionError) as told:
            error = _reason(producer, told)
            if error is None:
                raise
            if _is_about(error, InvalidProducerIdMapping):
                raise _Forgotten from error
            raise self._meaning(error) from error
        finally:
            # One failure fails the batches after it too; the first has been told, the others are no news.
            for future in sent:
                future.add_done_callback(_heard)
            # Nor is it to the transaction's own future, for which only commit_transaction waits.
            producer._txn_manager.wait_for_transaction_end().add_done_callback(_heard)  # noqa: SLF001
        for batch in written:
            if batch.topic == self._changelog:
                self._last_batch = batch.offset

    def _stamp(self, changes: Changes) -> None:
        records = changes.topics.get(self._changelog)
        if self.stamp and records and records[-1].key == PARTITION_KEY:
            records[-1] = Record(PARTITION_KEY, records[-1].value, self.stamp)

    async def _start_anew(self) -> None:
        """Fence once more; Fenced where somebody has written to the changelog in between."""
        await self.fence()
        ours, partition = self._last_batch, self._partition
        known = self.changelog_next if ours is None else ours
        if known is None:
            raise Fatal(f"partition {partition} has never been read")
        reader = await start(ChangelogReader(self._settings, self._changelog), self._settings)
        try:
            (first, end) = (await reader.bounds([partition]))[partition]
            written = first > known or end < known
            async for stretch in reader.read({partition: known}, {partition: end}):
                written = written or any(batch.offset != ours for batch in stretch.batches)
        except Moved:
            written = True
        finally:
            await stop(reader)
        if written:
            raise Fenced(f"partition {partition} was taken over by another worker while this one was idle")

    async def _send(
        self, producer: AIOKafkaProducer, topic: str, records: list[Record], sent: list[Future[Any]]
    ) -> None:
        place = 0
        while place < len(records):
            written, count = write_records(records, place, BATCH_BYTES)
            place += count
            batch = _Batch(written, count, wall_ms())
            sent.append(await producer.send_batch(batch, topic, partition=self._partition))

    def _meaning(self, error: KafkaError) -> WinbackError:
        if isinstance(error, ProducerFenced | InvalidProducerEpoch):
            limit = self._settings.transaction_timeout_seconds
            return Fenced(
                f"partition {self._partition} has been taken over by another worker, or a transaction took "
                f"longer than WINBACK_TRANSACTION_TIMEOUT_SECONDS ({limit:g})"
            )
        meant = translated(error, self._settings)
        # An answer without a reason: a broker that is stopping or has just begun gives it.
        if isinstance(meant, BrokerUnreachable) or _is_about(error, UnknownError):
            return BrokerUnreachable(
                f"partition {self._partition} could not be committed: {type(error).__name__}; "
                "what had been sent is aborted at the next start"
            )
        if isinstance(meant, Fatal):
            return Fatal(f"partition {self._partition} could not be committed: {error!r}")
        return meant


class _Forgotten(Exception):
    """The broker has forgotten the transactional id; nothing of the transaction was written."""


class _Batch:
    """A batch of ours in the place of aiokafka's BatchBuilder: all that its producer calls of one that is
    complete (MessageBatch and MessageAccumulator in aiokafka/producer/message_accumulator.py)."""

    def __init__(self, records: bytes, count: int, timestamp: int) -> None:
        self._records = records
        self._count = count
        self._timestamp = timestamp
        self._sealed = b""

    def record_count(self) -> int:
        """By so much the sequence numbers go on."""
        return self._count

    def close(self) -> None:
        """It has never been open."""

    def closed(self) -> bool:
        """It waits for no other record."""
        return True

    def _set_producer_state(self, producer_id: int, producer_epoch: int, base_sequence: int) -> None:
        """Called before the first attempt alone: whatever is tried again must be the same bytes."""
        self._sealed = seal(
            self._records,
            self._count,
            self._timestamp,
            producer=producer_id,
            producer_epoch=producer_epoch,
            sequence=base_sequence,
        )

    def _build(self) -> bytes:
        return self._sealed


def _reason(producer: AIOKafkaProducer, told: Exception) -> KafkaError | None:
    """Why the transaction failed; None where Kafka has nothing to do with it.

    One that fails while it is still being sent, the sending having to wait for a topic or for room,
    refuses the next batch by saying that there is no transaction; only its own future knows the reason.
    """
    if isinstance(told, KafkaError):
        return told
    ended = producer._txn_manager.wait_for_transaction_end()  # noqa: SLF001
    failure = ended.exception() if ended.done() and not ended.cancelled() else None
    return failure if isinstance(failure, KafkaError) else None


def _is_about(error: BaseException | None, kind: type[KafkaError]) -> bool:
    # aiokafka's sender wraps what it did not expect.
    while error is not None and not isinstance(error, kind):
        error = error.__cause__
    return error is not None


def _heard(future: Future[Any]) -> None:
    if not future.cancelled():
        future.exception()
