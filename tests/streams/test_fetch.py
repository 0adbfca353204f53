"""What is taken of a prefetched partition: by our reader, or aiokafka's where an earlier format is in it."""

import pytest
from aiokafka.consumer.fetcher import READ_COMMITTED, FetchResult, PartitionRecords
from aiokafka.consumer.subscription_state import Assignment
from aiokafka.errors import CorruptRecordException
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords, _MemoryRecordsPy
from aiokafka.structs import TopicPartition

from streams.driver.fetch import _message_set, _take
from tests.streams.wire import marker, wire

TP = TopicPartition("purchases", 0)
A, B, C = (b"a", b"first"), (b"b", b"second"), (b"c", b"third")


class Prefetched:
    """Stands for the fetcher: one partition's answer, not yet taken."""

    def __init__(
        self, message_set: bytes, position: int, aborted: list[tuple[int, int]] | None = None
    ) -> None:
        self.assignment = Assignment([TP])
        self.assignment.state_value(TP).seek(position)
        records = PartitionRecords(
            TP, MemoryRecords(message_set), aborted, position, None, None, True, READ_COMMITTED
        )
        self._records = {
            TP: FetchResult(TP, partition_records=records, assignment=self.assignment, backoff=0.1)
        }
        self._wait_consume_future: None = None
        self.notified = 0

    def _notify(self, future: None) -> None:
        self.notified += 1

    @property
    def position(self) -> int:
        """Where the consumer stands."""
        position: int = self.assignment.state_value(TP).position
        return position

    def take(self, limit: int) -> list[tuple[int, bytes | None]]:
        """Offsets and keys of what is taken."""
        return [(record.offset, record.key) for record in _take(self, TP, limit)]


def legacy(offset: int, *rows: tuple[bytes, bytes]) -> bytes:
    """Messages as they were written before Kafka 0.11."""
    builder = LegacyRecordBatchBuilder(1, 0, 10_000)
    for place, row in enumerate(rows):
        builder.append(offset + place, 0, *row)
    return bytes(builder.build())


async def test_a_fetch_is_taken_in_pieces() -> None:
    """The position moves along, past what was aborted; when nothing is left more may be fetched."""
    log = wire(A, B, C, base=10) + wire(A, base=13, producer=7) + marker(0, base=14, producer=7)
    waiting = Prefetched(log, 11, [(7, 13)])
    assert [(11, b"b")] == waiting.take(1)
    assert (12, 0) == (waiting.position, waiting.notified)
    assert [(12, b"c")] == waiting.take(5)
    assert (15, 1) == (waiting.position, waiting.notified)
    assert [] == waiting.take(5)


async def test_a_fetch_for_another_position_is_thrown_away() -> None:
    """Also one of which something was taken before: the position was sought meanwhile."""
    for taken in (0, 1):
        waiting = Prefetched(wire(A, B, C), 0)
        waiting.take(taken)
        waiting.assignment.state_value(TP).seek(2)
        assert [] == waiting.take(5)
        assert (2, 1) == (waiting.position, waiting.notified)


async def test_an_earlier_format_is_read_too() -> None:
    """By aiokafka, in pieces and to its end."""
    waiting = Prefetched(legacy(5, A, B, C, A), 6)
    assert [(6, b"b"), (7, b"c")] == waiting.take(2)
    assert 8 == waiting.position
    assert [(8, b"a")] == waiting.take(2)
    assert (9, 1) == (waiting.position, waiting.notified)


async def test_damage_is_raised() -> None:
    """The position stays before it."""
    waiting = Prefetched(wire(A) + wire(B, base=1)[:-1] + b"!", 0)
    assert [(0, b"a")] == waiting.take(1)
    with pytest.raises(CorruptRecordException):
        waiting.take(1)
    assert 1 == waiting.position


@pytest.mark.parametrize("kind", [MemoryRecords, _MemoryRecordsPy])
def test_the_bytes_of_a_fetch_are_found(kind: type) -> None:
    """In aiokafka's compiled class, and where it had to be installed without it."""
    assert wire(A) == _message_set(kind(wire(A)))
