"""Batches to write: to the last byte what aiokafka's builder makes of the same records."""

from collections.abc import Iterator, Sequence

import pytest
from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder
from hypothesis import given
from hypothesis import strategies as st

from schemas.codec import Headers
from streams.changes import Record
from streams.commit import BATCH_BYTES
from streams.record_writer import seal, write_records

NOW = 1_763_838_331_000
Producer = tuple[int, int, int]
"""Its id, its epoch, and the sequence number of the batch's first record."""
PRODUCER: Producer = (7, 3, 41)


def ours(
    records: list[Record], limit: int = BATCH_BYTES, now: int = NOW, producer: Producer = PRODUCER
) -> list[bytes]:
    """All batches of these records."""
    return [batch for batch, _ in sealed(records, limit, now, producer)]


def sealed(
    records: list[Record], limit: int, now: int = NOW, producer: Producer = PRODUCER
) -> Iterator[tuple[bytes, int]]:
    """Each batch, and how many records it says it holds."""
    place = 0
    while place < len(records):
        written, count = write_records(records, place, limit)
        identifier, epoch, sequence = producer
        yield seal(written, count, now, producer=identifier, producer_epoch=epoch, sequence=sequence), count
        place += count


def theirs(
    records: Sequence[Record], limit: int = BATCH_BYTES, now: int = NOW, producer: Producer = PRODUCER
) -> list[bytes]:
    """The same by aiokafka's builder."""
    built, left = [], list(records)
    while left:
        builder, count = DefaultRecordBatchBuilder(2, 0, 1, *producer, limit), 0
        while count < len(left) and builder.append(count, now, *fields(left[count])) is not None:
            count += 1
        built.append(bytes(builder.build()))
        del left[:count]
    return built


def fields(record: Record) -> tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]:
    """Key, value and headers."""
    return record.key, record.value, list(record.headers)


# ---------------------------------------------------------------------------------------- what is drawn

SIZES = (0, 1, 62, 63, 64, 65, 8190, 8191, 8192, 8193)
"""About the ends of what one byte and two can say of a size."""
BYTES = st.none() | st.binary(max_size=20) | st.sampled_from(SIZES).map(bytes)
NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=5) | st.sampled_from(
    ["", "ü" * 32, "€" * 21]
)
HEADERS: st.SearchStrategy[Headers] = (
    st.just(())
    | st.lists(st.tuples(NAMES, BYTES), max_size=3)
    | st.lists(st.tuples(NAMES, BYTES), max_size=3).map(tuple)
)
RECORDS = st.lists(st.builds(Record, BYTES, BYTES, HEADERS), min_size=1, max_size=8)
PRODUCERS = st.tuples(
    st.integers(-1, 2**63 - 1), st.integers(-1, 2**15 - 1), st.integers(-(2**31), 2**31 - 1)
)


@given(RECORDS, st.integers(0, 2**62), PRODUCERS)
def test_a_batch_is_written_as_aiokafka_writes_it(
    records: list[Record], now: int, producer: Producer
) -> None:
    """Header, checksum and records, whatever is in them."""
    assert theirs(records, now=now, producer=producer) == ours(records, now=now, producer=producer)


@given(RECORDS, st.integers(0, 2**62), PRODUCERS)
def test_what_is_written_is_read_back(records: list[Record], now: int, producer: Producer) -> None:
    """By aiokafka's reader: a transaction's batch, and each field of each record."""
    (batch,) = map(DefaultRecordBatch, ours(records, now=now, producer=producer))
    assert batch.validate_crc()
    assert (True, False, 0) == (batch.is_transactional, batch.is_control_batch, batch.compression_type)
    assert producer == (batch.producer_id, batch.producer_epoch, batch.base_sequence)
    assert (now, now) == (batch.first_timestamp, batch.max_timestamp)
    assert (0, len(records)) == (batch.base_offset, batch.next_offset)
    found = [(each.offset, each.timestamp, each.key, each.value, each.headers) for each in batch]
    assert [(place, now, *fields(record)) for place, record in enumerate(records)] == found


@given(st.lists(st.builds(Record, BYTES, BYTES, HEADERS), max_size=40), st.integers(0, 9_000))
def test_batches_are_cut_as_aiokafka_cuts_them(records: list[Record], limit: int) -> None:
    """Each record once and in its order, whatever the limit."""
    assert theirs(records, limit) == ours(records, limit)


@pytest.mark.parametrize("headers", [(), [("name", b"value")]], ids=["bare", "headers"])
@pytest.mark.parametrize("count", [1, 63, 64])
def test_a_batch_remains_below_its_limit(count: int, headers: Headers) -> None:
    """The last record that fits ends one byte before it, however many bytes its number takes."""
    records = [Record(b"key", bytes(60), headers)] * (count + 1)
    (whole,) = theirs(records)
    assert [count + 1] == [held for _, held in sealed(records, len(whole) + 1)]
    assert [count, 1] == [held for _, held in sealed(records, len(whole))]
    assert theirs(records, len(whole)) == ours(records, len(whole))


@pytest.mark.parametrize("more", [-1, 0, 1, BATCH_BYTES])
def test_a_record_beyond_the_limit_is_alone_in_its_batch(more: int) -> None:
    """What is too large is for the broker to say: it may allow more than we want to send at once."""
    small, large = Record(b"a", b"1"), Record(b"b", bytes(BATCH_BYTES + more))
    assert [1, 1, 2] == [held for _, held in sealed([small, large, small, small], BATCH_BYTES)]
    assert theirs([small, large, small, small]) == ours([small, large, small, small])


def test_many_records_are_numbered_as_aiokafka_numbers_them() -> None:
    """Their numbers take one, two and three bytes."""
    records = [Record(None, None)] * 20_000
    (batch,) = ours(records)
    assert theirs(records) == [batch]
    assert list(range(20_000)) == [record.offset for record in DefaultRecordBatch(batch)]


def test_a_header_that_is_no_text_is_not_written() -> None:
    """As aiokafka has it; no client could have handed us one."""
    with pytest.raises(UnicodeEncodeError):
        write_records([Record(b"a", b"1", [("\udce9", b"value")])], 0, BATCH_BYTES)
