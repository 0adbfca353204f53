"""The entries of what has been applied to a customer: one an event, of fixed length, big-endian.

bytes 0-5     the event's instant, milliseconds since the epoch
bytes 6-13    the hash of the event's id
bytes 14-21   of an order or refund: the hash of the order's id, NO_ORDER for a refund

So entries sort as bytes by instant and hash, and looking an id up or adding one costs no walk through
Python numbers. What was accepted late by hand stands without its instant.
"""

from struct import Struct
from typing import Final

from schemas.customer import Recent

INSTANT_SIZE: Final = 6
NO_ORDER: Final = 2**64 - 1

_EVENT: Final = Struct(">HIQ")
_ORDER: Final = Struct(">HIQQ")
_LATE_EVENT: Final = Struct(">Q")
_LATE_ORDER: Final = Struct(">QQ")
_read_instant = Struct(">HI").unpack_from
EVENT_SIZE: Final = _EVENT.size
_LOW: Final = 0xFFFF_FFFF


def event_entry(at: int, event: int) -> bytes:
    """The entry of an event at `at` (ms) whose id has this 64-bit hash."""
    return _EVENT.pack(at >> 32, at & _LOW, event)


def order_entry(at: int, event: int, order: int) -> bytes:
    """The entry of an order, or of a refund with NO_ORDER; both hashes of 64 bits."""
    return _ORDER.pack(at >> 32, at & _LOW, event, order)


def late_entry(event: int) -> bytes:
    """What stays of an event that was accepted late."""
    return _LATE_EVENT.pack(event)


def late_order_entry(event: int, order: int) -> bytes:
    """What stays of an order or refund that was accepted late."""
    return _LATE_ORDER.pack(event, order)


def instant_at(entries: bytes, place: int) -> int:
    """The instant of the entry that begins at `place`."""
    high, low = _read_instant(entries, place)
    return int(high << 32 | low)


def instants_of(recent: Recent) -> list[int]:
    """The instants of a record of events other than orders, ascending."""
    return [high << 32 | low for high, low, _ in _EVENT.iter_unpack(recent.entries)]


def count_of(recent: Recent) -> int:
    """How many entries a record of events other than orders holds."""
    return len(recent.entries) // EVENT_SIZE
