"""What becomes of a commit that Kafka refuses; tests/kafka/test_commit.py has the transactions themselves."""

import pytest
from aiokafka import errors as kafka

from schemas.errors import BrokerUnreachable, ConfigurationError, Fatal, WinbackError
from streams.commit import Committer
from streams.settings import Settings


@pytest.mark.parametrize(
    ("error", "meant"),
    [
        (kafka.KafkaTimeoutError(), BrokerUnreachable),
        (kafka.KafkaConnectionError(), BrokerUnreachable),
        (kafka.NotEnoughReplicasError(), BrokerUnreachable),
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
