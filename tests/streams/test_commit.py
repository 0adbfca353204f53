"""What becomes of a commit that Kafka refuses; tests/kafka/test_commit.py has the transactions themselves."""

import pytest
from aiokafka import errors as kafka
from aiokafka.record.default_records import DefaultRecordBatch

from schemas.errors import BrokerUnreachable, ConfigurationError, Fatal, WinbackError
from streams.changes import Record
from streams.commit import BATCH_BYTES, Committer, _cut
from streams.record_writer import seal
from streams.settings import Settings


@pytest.mark.parametrize(
    ("error", "meant"),
    [
        (kafka.KafkaTimeoutError(), BrokerUnreachable),
        (kafka.KafkaConnectionError(), BrokerUnreachable),
        (kafka.NotEnoughReplicasError(), BrokerUnreachable),
        (kafka.UnknownError(), BrokerUnreachable),
        (kafka.KafkaError("of no kind that is known"), Fatal),
        (kafka.IllegalStateError(), Fatal),
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


def test_records_are_cut_into_batches_that_a_broker_takes() -> None:
    """Each below the limit, all records in their order; one that is too large alone goes alone."""
    values = [bytes(BATCH_BYTES // 3)] * 5 + [bytes(2 * BATCH_BYTES), b"small"]
    records = [Record(b"%d" % number, value) for number, value in enumerate(values)]
    assert [] == _cut([])
    batches = _cut(records)
    assert [2, 2, 1, 1, 1] == [batch.records for batch in batches]
    read: list[tuple[bytes, bytes]] = []
    for batch in batches:
        sealed = seal(batch.content, batch.records, 1, producer=7, producer_epoch=3, sequence=0)
        assert len(sealed) < BATCH_BYTES or batch.records == 1
        assert DefaultRecordBatch(sealed).validate_crc()
        read += [(record.key, record.value) for record in DefaultRecordBatch(sealed)]
    assert [(record.key, record.value) for record in records] == read
