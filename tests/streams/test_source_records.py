"""Records of the sources out of a fetch's bytes: the same ones that aiokafka reads, and the same errors."""

from collections.abc import Sequence
from typing import NamedTuple

import pytest
from aiokafka import codec as codecs
from aiokafka.consumer.fetcher import READ_COMMITTED, PartitionRecords
from aiokafka.errors import CorruptRecordException, UnsupportedCodecError
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from streams.record_batches import all_batches
from streams.source_records import SourceRecords, source_record
from tests.streams.wire import ATTRIBUTES_AT, BODY_AT, Written, marker, packed, sealed, wire, with_codec

TP = TopicPartition("purchases", 3)
A, B, C = (b"a", b"first"), (b"b", b"second"), (b"c", b"third")
LAST_DELTA_AT, COUNT_AT, LOG_APPEND_TIME = 23, 57, 0x08
CODECS = [
    number
    for number, present in enumerate(
        (lambda: True, codecs.has_gzip, codecs.has_snappy, codecs.has_lz4, codecs.has_zstd)
    )
    if present()
]


class Read(NamedTuple):
    """What came of reading. records: all fields of each. error: its type; what it says may differ from run
    to run, since aiokafka reads on behind the end of what is damaged."""

    records: Sequence[tuple[object, ...]]
    next_offset: int
    error: type[Exception] | None


def ours(
    message_set: bytes, aborted: Sequence[tuple[int, int]] = (), position: int = 0, limit: int = 4000
) -> Read:
    """By our reader, at most `limit` records a time."""
    reader, found = SourceRecords(TP, message_set, aborted, position), []
    try:
        while not reader.ended:
            taken = reader.take(limit)
            assert len(taken) == limit or (len(taken) < limit and reader.ended)
            found += taken
    except Exception as error:  # noqa: BLE001 - each codec has errors of its own
        return Read(fields(found), reader.next_fetch_offset, type(error))
    return Read(fields(found), reader.next_fetch_offset, None)


def theirs(message_set: bytes, aborted: Sequence[tuple[int, int]] = (), position: int = 0) -> Read:
    """By aiokafka's."""
    records = MemoryRecords(message_set)
    reader, found = PartitionRecords(TP, records, aborted, position, None, None, True, READ_COMMITTED), []
    reader._consumer_record = source_record
    try:
        found.extend(reader)
    except Exception as error:  # noqa: BLE001 - each codec has errors of its own
        return Read(fields(found), reader.next_fetch_offset, type(error))
    return Read(fields(found), reader.next_fetch_offset, None)


def fields(records: Sequence[object]) -> list[tuple[object, ...]]:
    """Each record's, in the order of their names, with their headers as a list."""
    names = ("topic", "partition", "offset", "timestamp", "key", "value")
    return [
        (*(getattr(record, name) for name in names), list(getattr(record, "headers")))  # noqa: B009
        for record in records
    ]


# ---------------------------------------------------------------------------------------- what is drawn

BYTES = st.none() | st.binary(max_size=20) | st.binary(min_size=60, max_size=70) | st.just(bytes(20_000))
HEADERS: st.SearchStrategy[list[tuple[str, bytes | None]]] = st.just([]) | st.lists(
    st.tuples(st.text(max_size=5), BYTES), max_size=3
)
TIMESTAMPS = st.integers(-1, 2**42) | st.integers(-(2**61), 2**61)


@st.composite
def batches_of_records(draw: st.DrawFn) -> bytes:
    """A batch, perhaps thinned out by compaction, at offset 0."""
    gaps = draw(st.lists(st.integers(1, 3), min_size=1, max_size=8))
    records: list[Written] = []
    for place in range(len(gaps)):
        offset = sum(gaps[:place])
        records.append((offset, draw(TIMESTAMPS), draw(BYTES), draw(BYTES), draw(HEADERS)))
    data = bytearray(
        packed(
            records,
            producer=draw(st.sampled_from([-1, 7, 8])),
            codec=draw(st.sampled_from(CODECS)),
            attributes=draw(st.sampled_from([0, LOG_APPEND_TIME])),
        )
    )
    data[LAST_DELTA_AT : LAST_DELTA_AT + 4] = (sum(gaps) - 1).to_bytes(4, "big")
    return sealed(data)


@st.composite
def message_sets(draw: st.DrawFn) -> tuple[bytes, list[tuple[int, int]], int]:
    """Batches and markers one after another, the aborted transactions among them, and a position within."""
    base = first = draw(st.integers(0, 2**40))
    found, aborted, open_since = b"", [], {7: first, 8: first}
    for _ in range(draw(st.integers(1, 6))):
        kind = draw(st.sampled_from(["batch", "batch", "batch", "abort", "commit"]))
        if kind == "batch":
            data = bytearray(draw(batches_of_records()))
            data[:8] = base.to_bytes(8, "big")
            size = int.from_bytes(data[LAST_DELTA_AT : LAST_DELTA_AT + 4], "big") + 1
        else:
            producer = draw(st.sampled_from([7, 8]))
            if kind == "abort":
                aborted.append((producer, open_since[producer]))
            data = bytearray(marker(int(kind == "commit"), base=base, producer=producer))
            size = 1
            open_since[producer] = base + 1
        found += data
        base += size + draw(st.sampled_from([0, 0, 5]))
    position = draw(st.integers(first, first + 6))
    cut = found + draw(st.sampled_from([b"", wire(A, base=base)[:-1], wire(A, base=base)[:30], bytes(5)]))
    return cut, aborted, position


# ------------------------------------------------------------------------------------------- what is sound


@given(message_sets(), st.integers(1, 30))
def test_records_are_those_that_aiokafka_reads(
    drawn: tuple[bytes, list[tuple[int, int]], int], limit: int
) -> None:
    """Whatever is in a fetch, and however few are taken at a time; and reading ends at the same offset."""
    assert all_batches(drawn[0])
    assert theirs(*drawn) == ours(*drawn, limit=limit)


def test_a_record_is_read_with_all_that_it_has() -> None:
    """Keys, values and headers may be missing, or empty."""
    data = packed([
        (0, 1000, b"k", b"v", [("trace", b"1"), ("empty", b""), ("none", None)]),
        (1, 990, None, None, []),
        (5, 1010, b"", b"", []),
    ], base=40)  # fmt: skip
    expected = [
        ("purchases", 3, 40, 1000, b"k", b"v", [("trace", b"1"), ("empty", b""), ("none", None)]),
        ("purchases", 3, 41, 990, None, None, []),
        ("purchases", 3, 45, 1010, b"", b"", []),
    ]
    assert Read(expected, 46, None) == ours(data)


def test_a_topic_may_have_the_brokers_time() -> None:
    """Then each record of a batch has the time at which the broker took it, its last timestamp."""
    data = packed([(0, 5, *A, []), (1, 9, *B, [])], attributes=LOG_APPEND_TIME)
    assert [9, 9] == [record[3] for record in ours(data).records]


def test_a_fetch_may_begin_within_a_batch() -> None:
    """The broker sends whole batches; what lies before the position has been read already."""
    assert [(12, b"c")] == [
        (record[2], record[4]) for record in ours(wire(A, B, C, base=10), position=12).records
    ]


def test_the_position_is_that_of_what_was_taken() -> None:
    """After each take: behind the last record, past markers and compacted offsets once they are reached."""
    thinned = bytearray(wire(A, B, base=10))
    thinned[LAST_DELTA_AT : LAST_DELTA_AT + 4] = (9).to_bytes(4, "big")
    log = sealed(thinned) + wire(C, base=20, producer=7) + marker(0, base=21, producer=7)
    reader = SourceRecords(TP, log, [(7, 20)], 10)
    seen = []
    while not reader.ended:
        seen.append((len(reader.take(1)), reader.next_fetch_offset))
    assert [(1, 11), (1, 20), (0, 22)] == seen


@pytest.mark.parametrize("codec", [1, 2, 3, 4])
def test_packed_batches_are_read(codec: int) -> None:
    """By the codecs that are installed; gzip always is."""
    if codec not in CODECS:
        pytest.skip("not installed: aiokafka[all]")
    rows = [(b"key", b"value" * 50, [("h", b"1")])] * 30
    data = wire(*rows, codec=codec)
    assert data[ATTRIBUTES_AT + 1] & 7 == codec
    assert 30 == len(ours(data).records)
    assert theirs(data) == ours(data)


# ----------------------------------------------------------------------------------------- what is not


def same_end(message_set: bytes) -> None:
    """What aiokafka reads, with its error; but a batch that breaks off is not begun."""
    expected, found = theirs(message_set), ours(message_set, limit=3)
    assert expected.error == found.error
    if expected.error is None:
        assert expected == found
    else:
        assert expected.records[: len(found.records)] == found.records


def test_each_byte_of_a_record_may_be_anything() -> None:
    """Whatever stands there, with a checksum that agrees: what aiokafka reads of it, or its error."""
    data = wire(A, (b"b", b"x", [("h", b"1")]))
    for at in range(BODY_AT, len(data)):
        for byte in range(256):
            same_end(sealed(data[:at] + bytes([byte]) + data[at + 1 :]))


@given(batches_of_records(), st.data())
def test_damage_is_told_as_aiokafka_tells_it(data: bytes, drawn: st.DataObject) -> None:
    """One byte is changed, and the checksum made to agree with it: none or the same error."""
    at = drawn.draw(st.integers(BODY_AT, min(len(data), BODY_AT + 200) - 1))
    damaged = bytearray(data)
    damaged[at] = drawn.draw(st.integers(0, 255))
    same_end(wire(A, B) + sealed(damaged) + wire(C))


@given(batches_of_records(), st.integers(0, 7))
def test_a_wrong_checksum_ends_reading(data: bytes, bit: int) -> None:
    """What came before it has been taken."""
    damaged = data[:-1] + bytes([data[-1] ^ 1 << bit])
    log = wire(A, B) + damaged
    reader = SourceRecords(TP, log, (), 0)
    assert 2 == len(reader.take(2))
    with pytest.raises(CorruptRecordException, match="Invalid CRC - TopicPartition"):
        reader.take(2)
    same_end(log)


@pytest.mark.parametrize("count", [-1, 0, 1, 3])
def test_a_batch_must_hold_as_many_records_as_it_says(count: int) -> None:
    """Neither more nor fewer."""
    data = bytearray(wire(A, B))
    data[COUNT_AT:BODY_AT] = count.to_bytes(4, "big", signed=True)
    same_end(sealed(data))
    assert ours(sealed(data)).error is not None


def test_a_header_that_is_not_utf8_ends_reading() -> None:
    """As aiokafka has it."""
    data = wire((b"b", b"x", [("?", b"1")]))
    spoilt = sealed(data.replace(b"?", b"\xe9"))
    error = ours(spoilt).error
    assert error is not None
    assert error is UnicodeDecodeError
    same_end(spoilt)


@pytest.mark.parametrize("codec", [1, 5, 7])
def test_what_cannot_be_unpacked_ends_reading(codec: int) -> None:
    """It is compressed in a way that nobody knows, or is not what it says."""
    data = with_codec(wire(A, B), codec)
    same_end(data)
    error = ours(data).error
    assert error is not None
    assert (error is UnsupportedCodecError) == (codec > 4)


# ------------------------------------------------------------------------------------ earlier formats


def test_a_fetch_of_whole_batches_is_ours_to_read() -> None:
    """What was cut off at its end is no harm."""
    for cut in (
        wire(B, base=1),
        wire(B, base=1)[:-1],
        wire(B, base=1)[:70],
        wire(B, base=1)[:14],
        b"\0",
        b"",
    ):
        assert all_batches(wire(A) + cut)


@pytest.mark.parametrize("cut", [None, -1, 70, 17])
@pytest.mark.parametrize("magic", [0, 1])
def test_a_fetch_with_an_earlier_format_in_it_is_not(magic: int, cut: int | None) -> None:
    """Wherever it stands, and also where it is cut off."""
    earlier = bytearray(wire(B, base=1))
    earlier[16] = magic
    assert not all_batches(wire(A) + bytes(earlier)[:cut])


def test_a_fetch_with_a_short_record_of_an_earlier_format_is_not() -> None:
    """It is shorter than the header of a batch, and its magic need not even be looked at."""
    assert not all_batches(wire(A) + (1).to_bytes(8, "big") + (14).to_bytes(4, "big") + bytes(14))
