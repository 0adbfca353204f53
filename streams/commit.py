"""One transaction a batch and partition: all that a batch did, or nothing.

The transactional id is the partition's, so starting its producer fences whoever had it before and
aborts what that one left open. The transaction holds no source offsets: the partition record is
among what it writes, and it is the position.
"""

from asyncio import Future
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import InvalidProducerEpoch, KafkaError, ProducerFenced
from msgspec import Struct

from schemas.codec import Headers
from schemas.errors import BrokerUnreachable, Fatal, Fenced, WinbackError
from streams.connection import client_arguments, start, translated
from streams.settings import Settings

BATCH_BYTES = 900_000
"""Of one record batch: below the broker's default limit of one megabyte."""


class Record(Struct, frozen=True, gc=False):
    """One record to write. value None: a tombstone."""

    key: bytes | None
    value: bytes | None
    headers: Headers = ()


@dataclass(slots=True)
class Changes:
    """What a batch did, by topic, each in the order in which it happened."""

    topics: dict[str, list[Record]] = field(default_factory=dict)

    def add(self, topic: str, record: Record) -> None:
        """Append a record."""
        self.topics.setdefault(topic, []).append(record)


class Committer:
    """The only producer of one partition."""

    def __init__(self, settings: Settings, partition: int) -> None:
        self._settings = settings
        self._partition = partition
        self._producer: AIOKafkaProducer | None = None

    async def fence(self) -> None:
        """Take the partition over. Raises BrokerUnreachable."""
        await self.close()
        producer = AIOKafkaProducer(
            **client_arguments(self._settings),
            transactional_id=f"{self._settings.application_id}-{self._partition}",
            transaction_timeout_ms=round(self._settings.transaction_timeout_seconds * 1000),
            max_batch_size=BATCH_BYTES,
            max_request_size=8 * 1024 * 1024,
            linger_ms=0,
        )
        self._producer = await start(producer, self._settings)

    async def close(self) -> None:
        """Let the producer go; an open transaction is aborted by whoever fences next."""
        producer, self._producer = self._producer, None
        if producer is not None:
            with suppress(KafkaError):
                await producer.stop()

    async def commit(self, changes: Changes) -> None:
        """Write everything in one transaction.

        Raises Fenced where the partition has been taken over, BrokerUnreachable or Fatal where
        nobody can tell any more what became of the transaction, ConfigurationError where the broker
        does not permit it.
        """
        producer = self._producer
        if producer is None:
            raise Fatal(f"partition {self._partition} has no producer")
        sent: list[Future[Any]] = []
        try:
            await producer.begin_transaction()
            for topic, records in changes.topics.items():
                await self._send(producer, topic, records, sent)
            for future in sent:
                await future
            await producer.commit_transaction()
        except (ProducerFenced, InvalidProducerEpoch) as error:
            limit = self._settings.transaction_timeout_seconds
            raise Fenced(
                f"partition {self._partition} has been taken over by another worker, or a transaction took "
                f"longer than WINBACK_TRANSACTION_TIMEOUT_SECONDS ({limit:g})"
            ) from error
        except KafkaError as error:
            raise self._meaning(error) from error
        finally:
            # One failure fails the batches after it too; the first has been told, the others are no news.
            for future in sent:
                future.add_done_callback(_heard)

    async def _send(
        self, producer: AIOKafkaProducer, topic: str, records: Iterable[Record], sent: list[Future[Any]]
    ) -> None:
        batch = producer.create_batch()
        for record in records:
            key, value, headers = record.key, record.value, record.headers
            if batch.append(key=key, value=value, timestamp=None, headers=headers) is not None:
                continue
            if batch.record_count():
                batch.close()
                sent.append(await producer.send_batch(batch, topic, partition=self._partition))
                batch = producer.create_batch()
            if batch.append(key=key, value=value, timestamp=None, headers=headers) is None:
                raise Fatal(f"a record for {topic} is larger than {BATCH_BYTES} bytes")
        if batch.record_count():
            batch.close()
            sent.append(await producer.send_batch(batch, topic, partition=self._partition))

    def _meaning(self, error: KafkaError) -> WinbackError:
        meant = translated(error, self._settings)
        if isinstance(meant, BrokerUnreachable):
            return BrokerUnreachable(
                f"partition {self._partition} could not be committed: {type(error).__name__}; "
                "what had been sent is aborted at the next start"
            )
        if isinstance(meant, Fatal):
            return Fatal(f"partition {self._partition} could not be committed: {error!r}")
        return meant


def _heard(future: Future[Any]) -> None:
    if not future.cancelled():
        future.exception()
