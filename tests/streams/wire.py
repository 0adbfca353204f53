"""Record batches as Kafka's wire has them, sound and damaged."""

from collections.abc import Sequence
from struct import Struct

from aiokafka.record._crecords import cutil
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from streams.record_batches import Batch, batches

Row = tuple[bytes | None, bytes | None] | tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]
"""Key and value, perhaps with headers."""
Written = tuple[int, int, bytes | None, bytes | None, Sequence[tuple[str, bytes | None]]]
"""A record: its offset in the batch, its timestamp, key, value and headers."""

CRC_AT, ATTRIBUTES_AT, BODY_AT = 17, 21, 61
_CRC = Struct(">I")


def wire(*rows: Row, base: int = 0, producer: int = -1, codec: int = 0, control: bool = False) -> bytes:
    """One record batch, its first record at offset `base`. producer: of a transaction, if not -1."""
    records = [
        (offset, 0, row[0], row[1], row[2] if len(row) == 3 else []) for offset, row in enumerate(rows)
    ]
    return packed(records, base=base, producer=producer, codec=codec, attributes=0x20 if control else 0)


def packed(
    records: Sequence[Written], *, base: int = 0, producer: int = -1, codec: int = 0, attributes: int = 0
) -> bytes:
    """One record batch of such records. attributes: further bits of its attributes."""
    builder = DefaultRecordBatchBuilder(2, codec, int(producer >= 0), producer, 0, 0, 10_000_000)
    for record in records:
        assert builder.append(*record) is not None
    data = bytearray(builder.build())
    data[:8] = base.to_bytes(8, "big")
    data[ATTRIBUTES_AT + 1] |= attributes
    return sealed(data)


def marker(kind: int, *, base: int, producer: int) -> bytes:
    """The end of a transaction: kind 0 aborts, 1 commits."""
    key = (0).to_bytes(2, "big") + kind.to_bytes(2, "big")
    return wire((key, bytes(6)), base=base, producer=producer, control=True)


def sealed(data: bytes | bytearray) -> bytes:
    """The same with the checksum that belongs to it."""
    data = bytearray(data)
    data[CRC_AT:ATTRIBUTES_AT] = _CRC.pack(cutil.crc32c_cython(bytes(data[ATTRIBUTES_AT:])))
    return bytes(data)


def with_codec(data: bytes, codec: int) -> bytes:
    """The same batch, said to be compressed in another way."""
    changed = bytearray(data)
    changed[ATTRIBUTES_AT + 1] = changed[ATTRIBUTES_AT + 1] & 0xF8 | codec
    return sealed(changed)


def only(data: bytes) -> Batch:
    """The one batch of a message set."""
    (batch,) = batches(data)
    return batch


def offsets(found: Sequence[Batch]) -> list[tuple[int, int]]:
    """Where each begins, and where the log goes on."""
    return [(batch.offset, batch.next_offset) for batch in found]
