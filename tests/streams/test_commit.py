"""What becomes of a commit that Kafka refuses; tests/kafka/test_commit.py has the transactions themselves."""

from types import SimpleNamespace

import pytest
from aiokafka import TopicPartition
from aiokafka import errors as kafka
from aiokafka.producer.sender import AddPartitionsToTxnHandler, Sender
from aiokafka.producer.transaction_manager import TransactionManager

from schemas.errors import BrokerUnreachable, ConfigurationError, Fatal, WinbackError
from streams.commit import MARKERS_SECONDS, Committer
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
