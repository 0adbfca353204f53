"""The ring of day buckets in memory: one entry a day, ascending, of fixed length, big-endian.

bytes 0-7     the day
bytes 8-15    orders on it
bytes 16-23   what was spent on it, less refunds
"""

from typing import Final

from librt.strings import BytesWriter, read_i64_be, write_i64_be
from mypy_extensions import i64

SIZE: Final = 24
"""Of an entry."""
_ORDERS: Final = 8
_SPEND: Final = 16


def day_at(ring: bytes, place: i64) -> i64:
    """The day of the entry that begins at `place`."""
    return read_i64_be(ring, place)


def orders_at(ring: bytes, place: i64) -> i64:
    """Its orders."""
    return read_i64_be(ring, place + _ORDERS)


def spend_at(ring: bytes, place: i64) -> i64:
    """Its spend."""
    return read_i64_be(ring, place + _SPEND)


def write_entry(out: BytesWriter, day: i64, orders: i64, spend: i64) -> None:
    """Add an entry."""
    write_i64_be(out, day)
    write_i64_be(out, orders)
    write_i64_be(out, spend)


def buckets_of(ring: bytes) -> list[tuple[int, int, int]]:
    """Day, orders and spend of each entry."""
    places = range(0, len(ring), SIZE)
    return [(day_at(ring, place), orders_at(ring, place), spend_at(ring, place)) for place in places]
