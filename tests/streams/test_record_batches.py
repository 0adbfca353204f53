"""Record batches: where each ends, which are committed, and what can be told of a damaged one."""

import pytest
from aiokafka.record.default_records import DefaultRecordBatch
from hypothesis import given
from hypothesis import strategies as st

from streams.record_batches import BadLength, Batch, Salvaged, batches, committed, reader_of, salvage
from tests.streams.wire import ATTRIBUTES_AT, BODY_AT, CRC_AT, marker, offsets, only, sealed, wire, with_codec

A, B, C = (b"a", b"first"), (b"b", b"second"), (b"c", b"third")
LATIN_1 = "é".encode("latin-1")


def test_a_fetch_is_cut_into_its_batches() -> None:
    """The last one is left out where the fetch ended within it."""
    fetched = wire(A, B, base=7) + wire(C, base=20) + wire(A, base=30)[:-1]
    assert [(7, 9), (20, 21)] == offsets(list(batches(fetched)))
    assert [] == list(batches(fetched[:60]))


@pytest.mark.parametrize("length", [0, -1, 48])
def test_a_batch_without_a_possible_length_is_told(length: int) -> None:
    """What came before it is still there; where the next one begins nobody can know."""
    broken = bytearray(wire(B, base=8))
    broken[8:12] = length.to_bytes(4, "big", signed=True)
    found = batches(wire(A, base=7) + bytes(broken))
    assert [(7, 8)] == offsets([next(found)])
    with pytest.raises(BadLength):
        next(found)


def test_an_aborted_transaction_and_markers_are_passed_over() -> None:
    """Of two transactions that overlap only the committed one's data comes, and later data of both."""
    log = (
        wire(A, base=0, producer=1)
        + wire(B, base=1, producer=2)
        + wire(C, base=2, producer=1)
        + marker(0, base=3, producer=1)
        + marker(1, base=4, producer=2)
        + wire(A, base=5, producer=1)
        + wire(B, base=6)
    )
    assert [(1, 2), (5, 6), (6, 7)] == offsets(list(committed(batches(log), [(1, 0)])))


def test_a_fetch_may_begin_within_an_aborted_transaction() -> None:
    """The answer names the transaction by its first offset, which lies before the fetch."""
    log = wire(A, base=10, producer=1) + marker(0, base=11, producer=1) + wire(B, base=12, producer=1)
    assert [(12, 13)] == offsets(list(committed(batches(log), [(1, 3)])))


def test_a_sound_batch_is_read() -> None:
    """By aiokafka's own reader, with its offsets."""
    reader = reader_of(only(wire(A, B, base=40)))
    assert reader is not None
    assert [(40, *A), (41, *B)] == [(record.offset, record.key, record.value) for record in reader]


def test_a_packed_batch_that_can_be_unpacked_is_salvaged_alike() -> None:
    """gzip is in every Python."""
    batch = only(wire(A, (b"b", b"x", [("h", b"1")]), base=4, codec=1))
    assert reader_of(batch) is not None
    assert ([Salvaged(4, *A, None), Salvaged(5, b"b", b"x", None)], 0) == salvage(batch)


def test_a_header_that_is_not_utf8_spoils_its_record_alone() -> None:
    """Those before and after it are whole."""
    data = wire(A, (b"b", b"x", [("?", b"1")]), C, base=4)
    at = data.index(b"?")
    batch = only(sealed(data[:at] + LATIN_1 + data[at + 1 :]))
    found = [Salvaged(4, *A, None), Salvaged(5, b"b", b"x", "bad_header"), Salvaged(6, *C, None)]
    assert (found, 0) == salvage(batch)


def test_of_a_wrong_checksum_only_the_keys_are_believed() -> None:
    """One bit is enough: which value it changed nobody can tell."""
    data = bytearray(wire(A, B))
    data[-2] ^= 1
    batch = only(bytes(data))
    assert reader_of(batch) is None
    found, nameless = salvage(batch)
    assert ([(b"a", "damaged"), (b"b", "damaged")], 0) == (
        [(record.key, record.unreadable) for record in found],
        nameless,
    )


@pytest.mark.parametrize("size", [0, 1, 13, 10_000])
def test_a_batch_is_sound_where_aiokafka_says_so(size: int) -> None:
    """Whatever its size, and whichever byte of what the checksum counts, or of itself, is another."""
    data = wire((b"a", bytes(size)))
    assert only(data).is_sound
    assert DefaultRecordBatch(data).validate_crc()
    for place in (CRC_AT, CRC_AT + 3, ATTRIBUTES_AT, ATTRIBUTES_AT + 1, BODY_AT, len(data) - 1):
        changed = bytearray(data)
        changed[place] ^= 0x80
        assert not only(bytes(changed)).is_sound
        assert not DefaultRecordBatch(changed).validate_crc()


@given(st.binary(min_size=BODY_AT, max_size=BODY_AT + 20))
def test_any_bytes_are_judged_as_aiokafka_judges_them(data: bytes) -> None:
    """Also a batch of a header alone, and a checksum whose highest bit is set."""
    assert DefaultRecordBatch(data).validate_crc() == Batch(data).is_sound
    assert Batch(sealed(data)).is_sound


def test_a_record_that_claims_too_much_ends_what_can_be_named() -> None:
    """What came before it is whole; it and what follows is counted."""
    data = bytearray(wire(A, B, C))
    data[data.index(b"\x02b") - 4] = 0x7E  # the length of the second record
    batch = only(sealed(data))
    assert ([Salvaged(0, *A, None)], 2) == salvage(batch)


@pytest.mark.parametrize("codec", [5, 7])
def test_of_an_unknown_compression_nothing_is_known_but_the_count(codec: int) -> None:
    """Not even the keys."""
    batch = only(with_codec(wire(A, B), codec))
    assert reader_of(batch) is None
    assert ([], 2) == salvage(batch)


def test_a_batch_cut_short_by_its_own_count_is_counted() -> None:
    """A batch that says it holds more than it does."""
    data = bytearray(wire(A))
    data[BODY_AT - 4 : BODY_AT] = (3).to_bytes(4, "big")
    assert ([Salvaged(0, *A, None)], 2) == salvage(only(sealed(data)))


def test_what_cannot_be_unpacked_is_counted() -> None:
    """A batch that says gzip, and is none."""
    batch = only(with_codec(wire(A, B), 1))
    assert reader_of(batch) is None
    assert ([], 2) == salvage(batch)
