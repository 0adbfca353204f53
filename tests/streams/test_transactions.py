"""What a transactional producer makes of refusals; tests/kafka/faults/test_transactions.py has it at work."""

from types import SimpleNamespace

import pytest
from aiokafka import TopicPartition
from aiokafka import errors as kafka
from aiokafka.record.default_records import DefaultRecordBatch
from structlog.testing import capture_logs

from streams.changes import Record
from streams.record_writer import write_records
from streams.settings import Settings
from streams.transactions import SHORTEST_WAIT, TransactionalProducer, Unsealed, _error_of_parts

NOT_TRIED = kafka.OperationNotAttempted.errno
REFUSED = kafka.TopicAuthorizationFailedError.errno


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        ((0, 0), type(None)),
        ((NOT_TRIED, REFUSED), kafka.TopicAuthorizationFailedError),
        ((REFUSED, NOT_TRIED), kafka.TopicAuthorizationFailedError),
        ((0, kafka.ConcurrentTransactions.errno), kafka.ConcurrentTransactions),
        ((NOT_TRIED, NOT_TRIED), kafka.OperationNotAttempted),
    ],
)
def test_the_refusal_is_told_before_what_it_kept_from_being_tried(
    codes: tuple[int, int], expected: type[kafka.KafkaError]
) -> None:
    """Where one topic is refused, the broker does not try the others, and says so of each."""
    answer = SimpleNamespace(errors=[(f"topic-{place}", [(0, code)]) for place, code in enumerate(codes)])
    assert expected is type(_error_of_parts(answer))


async def test_batches_are_numbered_on_and_begin_anew_after_the_largest_number() -> None:
    """Each topic by itself; after 2^31 - 1 comes 0, as in Java's producer."""
    producer = TransactionalProducer(Settings(), "application-0")
    producer._identity = 7, 3
    content, count = write_records([Record(b"key", b"value")] * 3, 0, 10**9)

    def sequence(topic: str) -> int:
        tp = TopicPartition(topic, 0)
        sealed = DefaultRecordBatch(producer._sealed(tp, Unsealed(content, count), 1000))
        assert (7, 3, 1000) == (sealed.producer_id, sealed.producer_epoch, sealed.first_timestamp)
        assert sealed.is_transactional
        assert sealed.validate_crc()
        number: int = sealed.base_sequence
        return number

    assert [0, 3, 6] == [sequence("a") for _ in range(3)]
    assert 0 == sequence("b")
    producer._sequences[TopicPartition("a", 0)] = 2**31 - 2
    assert [2**31 - 2, 1] == [sequence("a") for _ in range(2)]


async def test_what_passes_is_waited_for_and_told_once() -> None:
    """Not the first time, which is as a rule the markers of the transaction before; what is new is told."""
    producer = TransactionalProducer(Settings(), "application-0")
    with capture_logs() as logs:
        for error in [kafka.ConcurrentTransactions(), *[kafka.NotLeaderForPartitionError()] * 3]:
            await producer._before_next_try(error)
        producer._answered()
        await producer._before_next_try(kafka.ConcurrentTransactions())
    assert ["NotLeaderForPartitionError"] == [line["reason"] for line in logs]


async def test_the_markers_of_the_transaction_before_are_waited_for_briefly() -> None:
    """They take a millisecond or two; what lasts is asked for ever less often, down to a limit."""
    producer = TransactionalProducer(Settings(), "application-0")
    waits = []
    for _ in range(8):
        waits.append(producer._wait)
        await producer._before_next_try(kafka.ConcurrentTransactions())
    assert [0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.1, 0.1] == waits
    producer._answered()
    assert SHORTEST_WAIT == producer._wait


async def test_what_no_waiting_mends_is_raised() -> None:
    """Another worker has the partition, say."""
    producer = TransactionalProducer(Settings(), "application-0")
    with pytest.raises(kafka.InvalidProducerEpoch):
        await producer._before_next_try(kafka.InvalidProducerEpoch())
