"""Kafka's record batches as they come over the wire (message format 2): what is in them, damage told apart.

aiokafka's reader gives up a whole fetch where one batch is damaged, and says neither what was in it
nor where to go on. Here a fetch is cut into its batches by their headers alone. A sound batch of a
changelog is read by aiokafka's compiled reader, one of a source by streams.source_records; one that
is not sound, record by record, for what can still be known of it.

Format: https://kafka.apache.org/documentation/#recordbatch
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from struct import Struct, error
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from aiokafka import codec
from aiokafka.record.default_records import DefaultRecordBatch
from librt.strings import read_i16_be, read_i32_be, read_i64_be
from mypy_extensions import i64

from schemas.codec import HeaderList
from schemas.layout import read_number
from streams.checksum import checksum
from streams.metrics import QuarantineReason

# Where the header's fields stand. Left out: leader epoch, producer epoch, base sequence.
_OFFSET: Final = 0
_LENGTH: Final = 8
AFTER_LENGTH: Final = 12
"""From here on the length counts."""
_MAGIC: Final = 16
_CHECKSUM: Final = 17
_ATTRIBUTES: Final = 21
"""From here on the checksum counts."""
_LAST_DELTA: Final = 23
_FIRST_TIMESTAMP: Final = 27
_LAST_TIMESTAMP: Final = 35
_PRODUCER: Final = 43
_COUNT: Final = 57
HEADER_SIZE: Final = 61

FORMAT: Final = 2
_CODEC: Final = 0x07
_LOG_APPEND_TIME: Final = 0x08
TRANSACTIONAL: Final = 0x10
_CONTROL: Final = 0x20
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


class Batch:
    """One batch. next_offset: where the log goes on after it, also where compaction thinned it out."""

    __slots__ = ("attributes", "data", "next_offset", "offset", "producer")

    def __init__(self, data: bytes) -> None:
        self.data: Final = data
        self.offset: Final[int] = read_i64_be(data, _OFFSET)
        self.next_offset: Final[int] = self.offset + max(int(read_i32_be(data, _LAST_DELTA)), 0) + 1
        self.producer: Final[int] = read_i64_be(data, _PRODUCER)
        self.attributes: Final[int] = read_i16_be(data, _ATTRIBUTES)

    @property
    def count(self) -> int:
        """How many records it says it holds."""
        return read_i32_be(self.data, _COUNT)

    @property
    def first_timestamp(self) -> int:
        """What its records' timestamps count from, milliseconds since the epoch."""
        return read_i64_be(self.data, _FIRST_TIMESTAMP)

    @property
    def appended_at(self) -> int | None:
        """When the broker took it, where that is the timestamp of all of its records."""
        return read_i64_be(self.data, _LAST_TIMESTAMP) if self.attributes & _LOG_APPEND_TIME else None

    @property
    def is_control(self) -> bool:
        """Whether it holds a transaction's marker and no data."""
        return bool(self.attributes & _CONTROL)

    @property
    def is_sound(self) -> bool:
        """Whether it is what its checksum says."""
        told = i64(read_i32_be(self.data, _CHECKSUM)) & 0xFFFF_FFFF  # it has no sign
        return told == checksum(self.data[_ATTRIBUTES:])

    @property
    def compressed(self) -> bool:
        """Whether its records are packed."""
        return bool(self.attributes & _CODEC)

    @property
    def codec_missing(self) -> bool:
        """Whether it is compressed in a way that is unknown here."""
        number = self.attributes & _CODEC
        if not number:
            return False
        present, _ = _DECODERS.get(number, (lambda: False, None))
        return not present()

    def unpacked(self) -> tuple[bytes, int]:
        """The bytes its records are in, and where the first one begins; errors are the codec's own."""
        number = self.attributes & _CODEC
        if not number:
            return self.data, HEADER_SIZE
        return bytes(_DECODERS[number][1](self.data[HEADER_SIZE:])), 0


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
    at: i64 = 0
    size: i64 = len(message_set)
    while at + HEADER_SIZE <= size:
        length = i64(read_i32_be(message_set, at + _LENGTH))
        if length < HEADER_SIZE - AFTER_LENGTH or message_set[at + _MAGIC] != FORMAT:
            raise BadLength
        end = at + AFTER_LENGTH + length
        if end > size:
            return
        yield Batch(message_set[at:end])
        at = end


def all_batches(message_set: bytes) -> bool:
    """Whether `batches` can read a whole fetch: none of an earlier format is in it, none without an end."""
    at: i64 = 0
    size: i64 = len(message_set)
    while at + AFTER_LENGTH <= size:
        length = i64(read_i32_be(message_set, at + _LENGTH))
        if length < HEADER_SIZE - AFTER_LENGTH:
            return False
        if at + _MAGIC < size and message_set[at + _MAGIC] != FORMAT:
            return False
        at += AFTER_LENGTH + length
    return True


class Transactions:
    """Tells of the batches of one fetch, in their order, which ones hold nothing that was committed.

    aborted: producer and first offset of each aborted transaction, as the fetch's answer lists them.
    """

    def __init__(self, aborted: Iterable[tuple[int, int]]) -> None:
        self._pending = sorted(aborted, key=lambda each: each[1], reverse=True)
        self._undone: set[int] = set()

    def hides(self, batch: Batch) -> bool:
        """Whether it is a marker, or of a transaction that was aborted."""
        while self._pending and self._pending[-1][1] <= batch.offset:
            self._undone.add(self._pending.pop()[0])
        if batch.is_control:
            if self._undone and _is_abort(batch):
                self._undone.discard(batch.producer)
            return True
        return bool(batch.attributes & TRANSACTIONAL) and batch.producer in self._undone


def committed(found: Iterable[Batch], aborted: Sequence[tuple[int, int]]) -> Iterator[Batch]:
    """Those that hold data of transactions that were committed, or of none.

    aborted: producer and first offset of each aborted transaction, as the fetch's answer lists them.
    """
    transactions = Transactions(aborted)
    return (batch for batch in found if not transactions.hides(batch))


def reader_of(batch: Batch) -> Any | None:
    """An iterator over the records of a sound batch; None where it must be salvaged.

    It may still break off within: on a header that is not UTF-8, or on content that belies its checksum.
    """
    if batch.codec_missing or not batch.is_sound:
        return None
    try:
        return iter(DefaultRecordBatch(batch.data))
    except Exception:  # noqa: BLE001 - it is unpacked here, and each codec has errors of its own
        return None


def salvage(batch: Batch) -> tuple[list[Salvaged], int]:
    """What can be told of a batch that cannot be read as a whole; and how many records can't even be named.

    Of a batch whose checksum is wrong no value is believed, but its keys still say whom it was about.
    """
    count, sound = batch.count, batch.is_sound
    if batch.codec_missing:
        return [], max(count, 1)
    found: list[Salvaged] = []
    try:
        body, at = batch.unpacked()
        while len(found) < count:
            record, at = _record(body, at, batch.offset, sound=sound)
            found.append(record)
    except Exception:  # noqa: BLE001 - a codec may say anything of damaged content; what was found before stays
        return found, max(count - len(found), 1)
    return found, 0


def _record(body: bytes, at: i64, base: int, *, sound: bool) -> tuple[Salvaged, i64]:
    """The record at `at`, and where the next one begins; ValueError where that cannot be."""
    length, at = read_number(body, at)
    end = at + length
    if length <= 0 or end > len(body):
        raise ValueError
    _, at = read_number(body, at + 1)  # the byte of attributes means nothing; then the timestamp
    delta, at = read_number(body, at)
    key, at = nullable_bytes(body, at, end)
    value, at = nullable_bytes(body, at, end)
    unreadable: QuarantineReason | None = None
    if not sound:
        unreadable = "damaged"
    else:
        try:
            headers(body, at, end)
        except UnicodeDecodeError:
            unreadable = "bad_header"
        except ValueError:
            unreadable = "damaged"
    return Salvaged(base + int(delta), key, value, unreadable), end


def headers(body: bytes, at: i64, end: i64) -> HeaderList:
    """The headers of a record that ends at `end`; UnicodeDecodeError or ValueError where they are none."""
    count, at = read_number(body, at)
    found: HeaderList = []
    for _ in range(count):
        name, at = nullable_bytes(body, at, end)
        value, at = nullable_bytes(body, at, end)
        if name is None:
            raise ValueError
        found.append((name.decode(), value))
    if at != end or count < 0:
        raise ValueError
    return found


def nullable_bytes(body: bytes, at: i64, end: i64) -> tuple[bytes | None, i64]:
    """Bytes preceded by their size, None for a negative one, and where they end; ValueError after `end`."""
    size, at = read_number(body, at)
    if size < 0:
        return None, at
    if at + size > end:
        raise ValueError
    return body[at : at + size], at + size


def _is_abort(batch: Batch) -> bool:
    found, _ = salvage(batch)
    try:
        return bool(found) and _CONTROL_KEY.unpack(found[0].key or b"")[1] == _ABORT
    except error:
        return False
