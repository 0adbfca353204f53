"""The entries of what has been applied to a customer: one an event, of fixed length, big-endian.

bytes 0-5     the event's instant, milliseconds since the epoch
bytes 6-13    the hash of the event's id
bytes 14-21   of an order or refund: the hash of the order's id, NO_ORDER for a refund

So entries sort as bytes by instant and hash, and adding one costs no walk through Python numbers. What
was accepted late by hand stands without its instant. A hash is 64 bits, as a signed number.
"""

from typing import Final

from librt.strings import BytesWriter, read_i64_be, write_i64_be
from mypy_extensions import i64

INSTANT_SIZE: Final = 6
HASH_SIZE: Final = 8
EVENT_SIZE: Final = INSTANT_SIZE + HASH_SIZE
ORDER_SIZE: Final = EVENT_SIZE + HASH_SIZE
NO_ORDER: Final = -1
LAST_INSTANT: Final = 2**48 - 1
"""The last that an entry can hold; RFC 3339 ends before it."""


def event_entry(at: i64, event: i64) -> bytes:
    """The entry of an event at `at` (ms) whose id has this hash."""
    out = BytesWriter()
    _write_instant(out, at)
    write_i64_be(out, event)
    return out.getvalue()


def order_entry(at: i64, event: i64, order: i64) -> bytes:
    """The entry of an order, or of a refund with NO_ORDER."""
    out = BytesWriter()
    _write_instant(out, at)
    write_i64_be(out, event)
    write_i64_be(out, order)
    return out.getvalue()


def instant_at(entries: bytes, place: i64) -> i64:
    """The instant of the entry that begins at `place`."""
    # With two bytes of the hash behind it, since that is read at once.
    return read_i64_be(entries, place) >> 16 & LAST_INSTANT


def hash_at(entries: bytes, place: i64) -> i64:
    """The hash that begins at `place`."""
    return read_i64_be(entries, place)


def _write_instant(out: BytesWriter, at: i64) -> None:
    shift: i64 = 40
    while shift >= 0:
        out.append(int(at >> shift & 255))
        shift -= 8
