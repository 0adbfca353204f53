"""What becomes of a commit that Kafka refuses; tests/kafka/test_commit.py has the transactions themselves."""

from asyncio import Future, create_task, sleep
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka import errors as kafka
from aiokafka.producer.message_accumulator import MessageAccumulator
from aiokafka.producer.sender import AddPartitionsToTxnHandler, Sender
from aiokafka.producer.transaction_manager import TransactionManager
from aiokafka.record.default_records import DefaultRecordBatch

from schemas.errors import BrokerUnreachable, ConfigurationError, Fatal, WinbackError
from streams.changes import Record
from streams.clock import wall_ms
from streams.commit import BATCH_BYTES, MARKERS_SECONDS, Committer
from streams.settings import Settings


def wrapped(cause: Exception) -> kafka.KafkaError:
    """What aiokafka's sender makes of an error that it did not expect."""
    error = kafka.KafkaError("Unexpected error during batch delivery")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "meant"),
    [
        (kafka.KafkaTimeoutError(), BrokerUnreachable),
        (kafka.KafkaConnectionError(), BrokerUnreachable),
        (kafka.NotEnoughReplicasError(), BrokerUnreachable),
        (wrapped(kafka.UnknownError()), BrokerUnreachable),
        (wrapped(ValueError()), Fatal),
        (kafka.OutOfOrderSequenceNumber(), Fatal),
        (kafka.MessageSizeTooLargeError(), Fatal),
        (kafka.InvalidProducerIdMapping(), Fatal),
        (kafka.TransactionalIdAuthorizationFailed(), ConfigurationError),
        (kafka.TopicAuthorizationFailedError("churn-risk"), ConfigurationError),
    ],
    ids=lambda given: type(given).__name__ if isinstance(given, Exception) else given.__name__,
)
def test_what_kafka_says_is_said_in_our_words(error: kafka.KafkaError, meant: type[WinbackError]) -> None:
    """Every error of Kafka's is one of ours: out of reach, not permitted, or fatal."""
    assert meant is type(Committer(Settings(), 1)._meaning(error))


async def test_a_transaction_that_comes_too_soon_is_tried_again_at_once() -> None:
    """While the markers of the one before are written aiokafka waits for MARKERS_SECONDS, no longer."""
    transactions = TransactionManager("application-1", 15_000)
    sender = Sender(
        None,
        acks=-1,
        txn_manager=transactions,
        message_accumulator=None,
        retry_backoff_ms=100,
        request_timeout_ms=40_000,
    )
    refused = SimpleNamespace(errors=[("changelog", [(1, kafka.ConcurrentTransactions.errno)])])
    handler = AddPartitionsToTxnHandler(sender, {TopicPartition("changelog", 1)})
    assert MARKERS_SECONDS == handler.handle_response(refused)


async def test_a_batch_of_ours_goes_through_aiokafka_as_its_own_does() -> None:
    """Marked by the transaction's producer, numbered on from the one before it, stamped with the time at
    which it was filled; and what is tried again is the same bytes under the same numbers."""
    transactions = TransactionManager("application-1", 15_000)
    transactions.set_pid_and_epoch(7, 3)
    transactions.begin_transaction()
    cluster = SimpleNamespace(leader_for_partition=lambda tp: 1)
    accumulator = MessageAccumulator(cluster, 0, 0, 60, txn_manager=transactions, linger_ms=60_000)

    async def send_batch(batch: object, topic: str, *, partition: int) -> Future[Any]:
        sending: Future[Any] = await accumulator.add_batch(batch, TopicPartition(topic, partition), 60)
        return sending

    def drained() -> list[Any]:
        nodes, _ = accumulator.drain_by_nodes(())
        return [batch for batches in nodes.values() for batch in batches.values()]

    large = bytes(BATCH_BYTES // 3)
    records = [Record(b"%d" % number, large) for number in range(5)]
    sent: list[Future[Any]] = []
    before = wall_ms()
    sending = create_task(
        Committer(Settings(), 1)._send(SimpleNamespace(send_batch=send_batch), "churn-risk", records, sent)
    )
    read: list[list[tuple[bytes, bytes]]] = []
    offset = 0
    while not sending.done() or accumulator._batches:
        await sleep(0)
        for batch in drained():
            first = bytes(batch.get_data_buffer())
            accumulator.reenqueue(batch)
            assert [batch] == drained()
            assert first == batch.get_data_buffer()
            found = DefaultRecordBatch(first)
            assert found.validate_crc()
            assert (True, 7, 3, offset) == (
                found.is_transactional,
                found.producer_id,
                found.producer_epoch,
                found.base_sequence,
            )
            assert before <= found.first_timestamp <= wall_ms()
            read.append([(record.key, record.value) for record in found])
            batch.done(offset)
            offset += batch.record_count
    await sending
    assert [2, 2, 1] == [len(each) for each in read]
    assert [(record.key, record.value) for record in records] == [each for held in read for each in held]
    assert [0, 2, 4] == [(await future).offset for future in sent]
