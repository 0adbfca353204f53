"""Record batches as Kafka's wire has them (message format 2), out of the records of a transaction.

aiokafka's builder is called once a record, works out its size twice and answers with an object. Here
the records of a batch are written one after another, by native integers. Compiled (streams.compiled),
writing costs half as much, the checksum apart; what is written is the same to the last byte.

All records of a batch have its timestamp, and nothing is compressed. The counterpart is
streams.source_records. Format: https://kafka.apache.org/documentation/#recordbatch
"""

from struct import Struct
from typing import Final

from aiokafka.record.util import calc_crc32c
from librt.strings import BytesWriter
from mypy_extensions import i64

from schemas.codec import Headers
from schemas.layout import write_bytes, write_number
from streams.changes import Record

_HEADER: Final = Struct(">qiibIhiqqqhii")
"""Offset, length, leader epoch, format, checksum, attributes, last delta, first and last timestamp,
producer's id and epoch, first sequence number, count."""
_EMPTY_HEADER: Final = bytes(_HEADER.size)
_AFTER_LENGTH: Final = 12
"""From here on the length counts."""
_CHECKSUM: Final = Struct(">I")
_CHECKSUM_AT: Final = 17
_ATTRIBUTES: Final = 21
"""From here on the checksum counts."""

_FORMAT: Final = 2
_TRANSACTIONAL: Final = 0x10
_NO_LEADER_EPOCH: Final = -1

_NULL: Final = -1
"""The size of what is None."""
_NO_HEADERS: Final = b"\0"


def write_batch(records: list[Record], start: i64, limit: i64) -> tuple[bytearray, int]:
    """A batch of the records from `start` on that remains below `limit` bytes, and how many are in it.

    Its header is empty: see `seal`. The first record always goes in: whether it is too large is for the
    broker to say.
    """
    out = BytesWriter()
    out.write(_EMPTY_HEADER)
    count: i64 = 0
    left: i64 = len(records) - start
    while count < left:
        record = records[start + count]
        key, value, headers = record.key, record.value, record.headers
        packed = _packed(headers) if headers else _NO_HEADERS
        # The two bytes are the attributes, of which there are none, and what is added to the timestamp: 0.
        size = 2 + _number_size(count) + _bytes_size(key) + _bytes_size(value) + len(packed)
        if count > 0 and len(out) + _number_size(size) + size >= limit:
            break
        write_number(out, size)
        out.append(0)
        out.append(0)
        write_number(out, count)
        _write_bytes(out, key)
        _write_bytes(out, value)
        out.write(packed)
        count += 1
    return bytearray(out.getvalue()), int(count)


def seal(
    batch: bytearray, count: int, timestamp: int, *, producer: int, producer_epoch: int, sequence: int
) -> None:
    """Write the header of a transaction's batch of `count` records. timestamp: milliseconds since the
    epoch. sequence: the number of the first record in what this producer has written to the partition."""
    _HEADER.pack_into(
        batch,
        0,
        0,  # the offset is the broker's to give
        len(batch) - _AFTER_LENGTH,
        _NO_LEADER_EPOCH,
        _FORMAT,
        0,  # the checksum comes when all else is there
        _TRANSACTIONAL,
        count - 1,
        timestamp,
        timestamp,
        producer,
        producer_epoch,
        sequence,
        count,
    )
    _CHECKSUM.pack_into(batch, _CHECKSUM_AT, calc_crc32c(memoryview(batch)[_ATTRIBUTES:]))


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
