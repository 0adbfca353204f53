"""One transaction a batch and partition: all that a batch did, or nothing.

The transactional id is the partition's, so starting its producer fences whoever had it before and
aborts what that one left open. The transaction holds no source offsets: the partition record is
among what it writes, and it is the position.

A transactional id that wrote nothing for a week (the broker's transactional.id.expiration.ms) is
forgotten there. That producer is started anew, and goes on only if nobody has written to the
partition's changelog since: else another worker took it over, and the broker could not tell us so.
"""

from aiokafka.errors import (
    InvalidProducerEpoch,
    InvalidProducerIdMapping,
    KafkaError,
    ProducerFenced,
    UnknownError,
)

from schemas.codec import HeaderList
from schemas.errors import BrokerUnreachable, Fatal, Fenced, WinbackError
from schemas.record import PARTITION_KEY
from schemas.topics import CHANGELOG
from streams.changelog import ChangelogReader, Moved
from streams.changes import Changes, Record
from streams.connection import start, stop, translated
from streams.record_writer import write_records
from streams.settings import Settings
from streams.transactions import TransactionalProducer, Unsealed

BATCH_BYTES = 900_000
"""Of one record batch: below the broker's default limit of one megabyte."""


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
        self._producer: TransactionalProducer | None = None

    async def fence(self) -> None:
        """Take the partition over. Raises BrokerUnreachable."""
        await self.close()
        name = f"{self._settings.application_id}-{self._partition}"
        self._producer = await start(TransactionalProducer(self._settings, name), self._settings)

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
        batches = {topic: _cut(records) for topic, records in changes.topics.items() if records}
        try:
            offsets = await producer.write(self._partition, batches)
        except InvalidProducerIdMapping as error:
            raise _Forgotten from error
        except KafkaError as error:
            raise self._meaning(error) from error
        self._last_batch = offsets.get(self._changelog, self._last_batch)

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

    def _meaning(self, error: KafkaError) -> WinbackError:
        if isinstance(error, ProducerFenced | InvalidProducerEpoch):
            limit = self._settings.transaction_timeout_seconds
            return Fenced(
                f"partition {self._partition} has been taken over by another worker, or a transaction took "
                f"longer than WINBACK_TRANSACTION_TIMEOUT_SECONDS ({limit:g})"
            )
        meant = translated(error, self._settings)
        # An answer without a reason: a broker that is stopping or has just begun gives it.
        if isinstance(meant, BrokerUnreachable) or isinstance(error, UnknownError):
            return BrokerUnreachable(
                f"partition {self._partition} could not be committed: {type(error).__name__}; "
                "what had been sent is aborted at the next start"
            )
        if isinstance(meant, Fatal):
            return Fatal(f"partition {self._partition} could not be committed: {error!r}")
        return meant


class _Forgotten(Exception):
    """The broker has forgotten the transactional id; nothing of the transaction was written."""


def _cut(records: list[Record]) -> list[Unsealed]:
    """The records in batches that the broker takes."""
    batches: list[Unsealed] = []
    place = 0
    while place < len(records):
        batch = Unsealed(*write_records(records, place, BATCH_BYTES))
        place += batch.records
        batches.append(batch)
    return batches
