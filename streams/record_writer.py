"""Record batches as Kafka's wire has them (message format 2), out of the records of a transaction.

aiokafka's builder is called once a record, works out its size twice and answers with an object. Here
the records of a batch are written one after another, by native integers. Compiled (streams.compiled),
writing costs half as much, the checksum apart; what is written is the same to the last byte.

All records of a batch have its timestamp, and nothing is compressed. The counterpart is
streams.source_records. Format: https://kafka.apache.org/documentation/#recordbatch
"""

from struct import Struct
from typing import Final

from librt.strings import BytesWriter
from mypy_extensions import i64

from schemas.codec import Headers
from schemas.layout import write_bytes, write_number
from streams.changes import Record
from streams.checksum import checksum
from streams.record_batches import AFTER_LENGTH, FORMAT, HEADER_SIZE, TRANSACTIONAL

# The two halves of a batch's header.
_BEFORE_CHECKED: Final = Struct(">qiibI")
"""Offset, length, leader epoch, format, checksum."""
_CHECKED: Final = Struct(">hiqqqhii")
"""Attributes, last delta, first and last timestamp, producer's id and epoch, first sequence number, count:
what the checksum counts, and all records with it."""
_NO_LEADER_EPOCH: Final = -1

_NULL: Final = -1
"""The size of what is None."""
_NO_HEADERS: Final = b"\0"


def write_records(records: list[Record], start: i64, limit: i64) -> tuple[bytes, int]:
    """The records from `start` on whose batch remains below `limit` bytes, as they stand in it after its
    header, and how many they are.

    The first record always goes in: whether it is too large is for the broker to say.
    """
    out = BytesWriter()
    room: i64 = limit - HEADER_SIZE
    count: i64 = 0
    left: i64 = len(records) - start
    while count < left:
        record = records[start + count]
        key, value, headers = record.key, record.value, record.headers
        packed = _packed(headers) if headers else _NO_HEADERS
        # The two bytes are the attributes, of which there are none, and what is added to the timestamp: 0.
        size = 2 + _number_size(count) + _bytes_size(key) + _bytes_size(value) + len(packed)
        if count > 0 and len(out) + _number_size(size) + size >= room:
            break
        write_number(out, size)
        out.append(0)
        out.append(0)
        write_number(out, count)
        _write_bytes(out, key)
        _write_bytes(out, value)
        out.write(packed)
        count += 1
    return out.getvalue(), int(count)


def seal(
    records: bytes, count: int, timestamp: int, *, producer: int, producer_epoch: int, sequence: int
) -> bytes:
    """The batch of `count` records that `write_records` has written, as a part of a transaction.

    timestamp: milliseconds since the epoch. sequence: the number of the first record in what this
    producer has written to the partition.
    """
    checked = _CHECKED.pack(
        TRANSACTIONAL, count - 1, timestamp, timestamp, producer, producer_epoch, sequence, count
    )
    before = _BEFORE_CHECKED.pack(
        0,  # the offset is the broker's to give
        HEADER_SIZE - AFTER_LENGTH + len(records),
        _NO_LEADER_EPOCH,
        FORMAT,
        checksum(checked, records),
    )
    return b"".join((before, checked, records))


def _packed(headers: Headers) -> bytes:
    out = BytesWriter()
    write_number(out, len(headers))
    for name, value in headers:
        write_bytes(out, name.encode())
        _write_bytes(out, value)
    return out.getvalue()


def _write_bytes(out: BytesWriter, content: bytes | None) -> None:
    if content is None:
        write_number(out, _NULL)
    else:
        write_bytes(out, content)


def _bytes_size(content: bytes | None) -> i64:
    """How many bytes `_write_bytes` takes."""
    if content is None:
        return 1
    size: i64 = len(content)
    return _number_size(size) + size


def _number_size(number: i64) -> i64:
    """How many bytes `write_number` takes for a number that is not negative."""
    size: i64 = 1
    left = number >> 6
    while left > 0:
        size += 1
        left >>= 7
    return size
