"""Kafka's record batches as they come over the wire (message format 2): what is in them, damage told apart.

aiokafka's reader gives up a whole fetch where one batch is damaged, and says neither what was in it
nor where to go on. Here a fetch is cut into its batches by their headers alone. A sound batch is read
by aiokafka's compiled reader; one that is not, record by record, for what can still be known of it.

Format: https://kafka.apache.org/documentation/#recordbatch
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from struct import Struct, error
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from aiokafka import codec
from aiokafka.record.default_records import DefaultRecordBatch

from streams.metrics import QuarantineReason

_HEADER: Final = Struct(">qiibIhiqqqhii")
"""Base offset, length, leader epoch, magic, checksum, attributes, last offset delta, first and last
timestamp, producer id, producer epoch, base sequence, number of records."""
_BEFORE_LENGTH: Final = 12
"""Bytes up to where the length begins to count."""
_MAGIC: Final = 2
_CODEC, _TRANSACTIONAL, _CONTROL = 0x07, 0x10, 0x20
_ABORT: Final = 0
_CONTROL_KEY: Final = Struct(">hh")
"""Version and type of a control record."""

_Decode = Callable[[Any], Any]
_DECODERS: Final[Mapping[int, tuple[Callable[[], bool], _Decode]]] = MappingProxyType(
    {
        1: (codec.has_gzip, codec.gzip_decode),
        2: (codec.has_snappy, codec.snappy_decode),
        3: (codec.has_lz4, codec.lz4_decode),
        4: (codec.has_zstd, codec.zstd_decode),
    }
)


class Batch(NamedTuple):
    """One batch. next_offset: where the log goes on after it, also where compaction thinned it out."""

    offset: int
    next_offset: int
    producer: int
    attributes: int
    data: bytes

    @property
    def is_control(self) -> bool:
        """Whether it holds a transaction's marker and no data."""
        return bool(self.attributes & _CONTROL)

    @property
    def compressed(self) -> bool:
        """Whether its records are packed."""
        return bool(self.attributes & _CODEC)


class Salvaged(NamedTuple):
    """A record read for itself. unreadable: why its value must not be believed, else None."""

    offset: int
    key: bytes | None
    value: bytes | None
    unreadable: QuarantineReason | None


class BadLength(Exception):
    """A batch's own length makes no sense: where the next one begins cannot be known."""


def batches(message_set: bytes) -> Iterator[Batch]:
    """The whole batches of a fetch; what was cut off at its end comes with the next one.

    Raises BadLength, after all batches before the damage.
    """
    at, size = 0, len(message_set)
    while at + _HEADER.size <= size:
        offset, length, _, magic, _, attributes, delta, _, _, producer, *_ = _HEADER.unpack_from(
            message_set, at
        )
        end = at + _BEFORE_LENGTH + length
        if length < _HEADER.size - _BEFORE_LENGTH or magic != _MAGIC:
            raise BadLength
        if end > size:
            return
        yield Batch(offset, offset + max(delta, 0) + 1, producer, attributes, message_set[at:end])
        at = end


def committed(found: Iterable[Batch], aborted: Sequence[tuple[int, int]]) -> Iterator[Batch]:
    """Those that hold data of transactions that were committed, or of none.

    aborted: producer and first offset of each aborted transaction, as the fetch's answer lists them.
    """
    pending = sorted(aborted, key=lambda each: each[1], reverse=True)
    undone: set[int] = set()
    for batch in found:
        while pending and pending[-1][1] <= batch.offset:
            undone.add(pending.pop()[0])
        if batch.is_control:
            if undone and _is_abort(batch):
                undone.discard(batch.producer)
        elif not (batch.attributes & _TRANSACTIONAL and batch.producer in undone):
            yield batch


def reader_of(batch: Batch) -> Any | None:
    """An iterator over the records of a sound batch; None where it must be salvaged.

    It may still break off within: on a header that is not UTF-8, or on content that belies its checksum.
    """
    if codec_missing(batch):
        return None
    reader = DefaultRecordBatch(batch.data)
    if not reader.validate_crc():
        return None
    try:
        return iter(reader)
    except Exception:  # noqa: BLE001 - it is unpacked here, and each codec has errors of its own
        return None


def codec_missing(batch: Batch) -> bool:
    """Whether it is compressed in a way that is unknown here."""
    number = batch.attributes & _CODEC
    if not number:
        return False
    present, _ = _DECODERS.get(number, (lambda: False, None))
    return not present()


def salvage(batch: Batch) -> tuple[list[Salvaged], int]:
    """What can be told of a batch that cannot be read as a whole; and how many records can't even be named.

    Of a batch whose checksum is wrong no value is believed, but its keys still say whom it was about.
    """
    *_, count = _HEADER.unpack_from(batch.data)
    if codec_missing(batch):
        return [], max(count, 1)
    sound = DefaultRecordBatch(batch.data).validate_crc()
    found: list[Salvaged] = []
    try:
        body = _body(batch)
        at = 0
        while len(found) < count:
            record, at = _record(body, at, batch.offset, sound=sound)
            found.append(record)
    except Exception:  # noqa: BLE001 - a codec may say anything of damaged content; what was found before stays
        return found, max(count - len(found), 1)
    return found, 0


def _body(batch: Batch) -> bytes:
    data = batch.data[_HEADER.size :]
    number = batch.attributes & _CODEC
    return bytes(_DECODERS[number][1](data)) if number else data


def _record(body: bytes, at: int, base: int, *, sound: bool) -> tuple[Salvaged, int]:
    """The record at `at`, and where the next one begins; ValueError where that cannot be."""
    length, at = _varint(body, at)
    end = at + length
    if length <= 0 or end > len(body):
        raise ValueError
    _, at = _varint(body, at + 1)  # the byte of attributes means nothing; then the timestamp
    delta, at = _varint(body, at)
    key, at = _bytes(body, at, end)
    value, at = _bytes(body, at, end)
    unreadable: QuarantineReason | None = None
    if not sound:
        unreadable = "damaged"
    else:
        try:
            _headers(body, at, end)
        except UnicodeDecodeError:
            unreadable = "bad_header"
        except ValueError:
            unreadable = "damaged"
    return Salvaged(base + delta, key, value, unreadable), end


def _headers(body: bytes, at: int, end: int) -> None:
    """Read past the headers; UnicodeDecodeError or ValueError where they are none."""
    count, at = _varint(body, at)
    for _ in range(count):
        name, at = _bytes(body, at, end)
        (name or b"").decode()
        _, at = _bytes(body, at, end)
    if at != end:
        raise ValueError


def _bytes(body: bytes, at: int, end: int) -> tuple[bytes | None, int]:
    size, at = _varint(body, at)
    if size < 0:
        return None, at
    if at + size > end:
        raise ValueError
    return body[at : at + size], at + size


def _varint(body: bytes, at: int) -> tuple[int, int]:
    """A zigzag-coded number, and where it ends."""
    value = shift = 0
    while True:
        if at >= len(body) or shift > 63:
            raise ValueError
        byte = body[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (value >> 1) ^ -(value & 1), at
        shift += 7


def _is_abort(batch: Batch) -> bool:
    found, _ = salvage(batch)
    try:
        return bool(found) and _CONTROL_KEY.unpack(found[0].key or b"")[1] == _ABORT
    except error:
        return False
