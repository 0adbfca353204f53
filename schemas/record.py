"""A customer's changelog value: a fixed head that recovery reads without decoding, then the body.

byte 0        format version
bytes 1-8     wake_at, milliseconds since the epoch, signed, big-endian
bytes 9-12    fingerprint of the model the deadline was computed with
bytes 13-16   fingerprint of the playbook
byte 17       the customer's stage, so that recovery can count them; 255 for a stub
bytes 18-     the body, by schemas/layout.py: which parts there are, the customer's own fields, and
              those parts of purchases, logins, support and firings, in this order
"""

from struct import Struct
from typing import Final, NamedTuple

import msgspec
from librt.strings import BytesWriter, read_i64_be, write_i32_be, write_i64_be
from mypy_extensions import i32, i64

from schemas.customer import (
    BEFORE_ALL,
    NO_EVENTS,
    NO_LOGINS,
    RULES,
    Customer,
    Firing,
    LoginRates,
    Logins,
    Purchases,
    Recent,
    Support,
    is_stub,
    wake_of,
)
from schemas.earlier import EARLIER
from schemas.entries import EVENT_SIZE, INSTANT_SIZE, ORDER_SIZE
from schemas.errors import StateError
from schemas.layout import Reader, write_bytes, write_float, write_instant, write_number
from schemas.positions import PartitionRecord
from schemas.ring import SIZE, day_at, orders_at, spend_at, write_entry
from schemas.tickets import Ticket

VERSION: Final = 5
"""Of what is written. The head is the same in every version so far; a partition record has fields at its
end since version 3, whose defaults are what earlier ones meant."""
PARTITION_KEY: Final = b"\x00winback.partition"
"""The reserved key of the partition record; no customer id holds a NUL."""

_HEAD: Final = Struct(">BqIIB")
HEAD_SIZE: Final = 18
_WAKE_AT: Final = 1
STAGE_AT: Final = 17
"""Where the stage's byte is."""
STUB: Final[i64] = 255
"""Stands for the stage where all that is left is that the customer was forgotten."""
raw_head: Final = _HEAD.unpack_from
"""As `head`, but a plain tuple and unchecked: for the million records of a recovery."""

_PURCHASES: Final = 1
_LOGINS: Final = 2
_SUPPORT: Final = 4
_FIRINGS: Final = 8
_ALL: Final = 15
_LAST_DAY: Final = 2**40
_encode: Final = msgspec.msgpack.Encoder().encode
_decode_tickets: Final = msgspec.msgpack.Decoder(
    tuple[tuple[Ticket, ...], tuple[int, ...], tuple[int, ...]]
).decode
_decode_partition: Final = msgspec.msgpack.Decoder(PartitionRecord).decode


class Fingerprint(NamedTuple):
    """What a deadline was computed with: 32-bit hashes."""

    model: int
    playbook: int


class Head(NamedTuple):
    """What stands at fixed places."""

    version: int
    wake_at: int
    fingerprint: Fingerprint
    stage: int


def is_known(value: bytes) -> bool:
    """Whether a record is of the version that is written now, or of an earlier one."""
    return bool(value) and (value[0] == VERSION or value[0] in EARLIER)


def pack(customer: Customer, fingerprint: Fingerprint) -> bytes:
    """The changelog value of a customer."""
    model, playbook = fingerprint
    out = BytesWriter()
    out.append(VERSION)
    write_i64_be(out, wake_of(customer))
    _write_unsigned(out, model)
    _write_unsigned(out, playbook)
    out.append(int(stage_of(customer)))
    _write_body(out, customer)
    return out.getvalue()


def unpack(value: bytes) -> Customer:
    """The customer of a changelog value.

    Raises StateError where the value is damaged or of a version this program does not know.
    """
    if not value:
        raise StateError("an empty state record")
    version = value[0]
    try:
        if version == VERSION:
            return _read_body(value)
        decode = EARLIER.get(version)
        if decode is not None:
            return decode(value[HEAD_SIZE:])
    except (msgspec.DecodeError, ValueError, IndexError, OverflowError) as error:
        raise StateError(f"a damaged state record of {len(value)} bytes") from error
    raise StateError(f"a state record of version {version}: this program knows them up to {VERSION}")


def wake_at_of(value: bytes) -> i64:
    """When the customer of a changelog value is to be woken, unchecked."""
    return read_i64_be(value, _WAKE_AT)


def stage_of(customer: Customer) -> i64:
    """What stands for the customer's stage."""
    return STUB if customer.forgotten_at != BEFORE_ALL and is_stub(customer) else customer.stage


def head(value: bytes) -> Head:
    """The fixed head of a changelog value, without decoding the rest; StateError if damaged."""
    if len(value) <= HEAD_SIZE or not is_known(value):
        raise StateError(f"a damaged or foreign state record of {len(value)} bytes")
    version, wake_at, model, playbook, stage = _HEAD.unpack_from(value)
    return Head(version, wake_at, Fingerprint(model, playbook), stage)


def pack_partition(record: PartitionRecord) -> bytes:
    """The changelog value of a partition record."""
    return bytes((VERSION,)) + _encode(record)


def unpack_partition(value: bytes) -> PartitionRecord:
    """The partition record of a changelog value; StateError if damaged or of another version."""
    if not is_known(value):
        raise StateError(f"a partition record of a version that is not known: it goes up to {VERSION}")
    try:
        return _decode_partition(memoryview(value)[1:])
    except (msgspec.DecodeError, ValueError) as error:
        raise StateError("a damaged partition record") from error


# Writing


def _write_unsigned(out: BytesWriter, number: i64) -> None:
    """32 bits."""
    write_i32_be(out, i32(number - 2**32 if number >= 2**31 else number))


def _write_body(out: BytesWriter, customer: Customer) -> None:
    purchases, logins, support = customer.purchases, customer.logins, customer.support
    parts: i64 = 0
    if purchases is not None:
        parts |= _PURCHASES
    if logins is not None:
        parts |= _LOGINS
    if support is not None:
        parts |= _SUPPORT
    if customer.firings:
        parts |= _FIRINGS
    write_number(out, parts)
    write_number(out, customer.lapsed_day)
    write_instant(out, customer.wake_spell)
    write_instant(out, customer.wake_support)
    write_instant(out, customer.wake_logins)
    write_instant(out, customer.forgotten_at)
    if purchases is not None:
        _write_purchases(out, purchases)
    if logins is not None:
        _write_events(out, logins.events)
        _write_rates(out, logins.rates)
        _write_rates(out, logins.base)
    if support is not None:
        _write_events(out, support.events)
        write_bytes(out, _encode((support.tickets, support.openings, support.opening_hashes)))
    if customer.firings:
        write_number(out, len(customer.firings))
        for firing in customer.firings:
            _write_firing(out, firing)


def _write_events(out: BytesWriter, events: Recent) -> None:
    write_bytes(out, events.entries)
    write_instant(out, events.horizon)
    write_bytes(out, events.late)


def _write_purchases(out: BytesWriter, purchases: Purchases) -> None:
    _write_events(out, purchases.events)
    write_instant(out, purchases.first_at)
    write_instant(out, purchases.last_at)
    write_number(out, purchases.days)
    write_number(out, purchases.spend)
    write_number(out, purchases.first_day_spend)
    ring = purchases.ring
    size: i64 = len(ring)
    write_number(out, size // SIZE)
    day: i64 = 0
    place: i64 = 0
    while place < size:
        # From the day before on: nearly always a single byte.
        write_number(out, day_at(ring, place) - day)
        write_number(out, orders_at(ring, place))
        write_number(out, spend_at(ring, place))
        day = day_at(ring, place)
        place += SIZE


def _write_rates(out: BytesWriter, rates: LoginRates) -> None:
    write_number(out, rates.count)
    if rates.count:
        write_float(out, rates.fast)
        write_float(out, rates.slow)
        write_instant(out, rates.at)
        write_instant(out, rates.lifted_at)
        write_instant(out, rates.fell_at)


def _write_firing(out: BytesWriter, firing: Firing) -> None:
    write_number(out, firing.number)
    write_number(out, firing.version)
    write_number(out, firing.step)
    write_instant(out, firing.episode_at)
    write_number(out, firing.revision)
    write_instant(out, firing.due)
    write_number(out, firing.state)
    key = firing.episode_key
    write_bytes(out, key.to_bytes(8) if key else b"")


# Reading


def _read_body(value: bytes) -> Customer:
    reader = Reader(value, HEAD_SIZE)
    parts = reader.read_number()
    if not 0 <= parts <= _ALL:
        raise ValueError("parts that are not known")
    lapsed_day = reader.read_number()
    wake_spell = reader.read_instant()
    wake_support = reader.read_instant()
    wake_logins = reader.read_instant()
    forgotten_at = reader.read_instant()
    purchases: Purchases | None = None
    logins: Logins | None = None
    support: Support | None = None
    firings: tuple[Firing, ...] = ()
    if parts & _PURCHASES:
        purchases = _read_purchases(reader)
    if parts & _LOGINS:
        logins = Logins(_read_events(reader, EVENT_SIZE), _read_rates(reader), _read_rates(reader))
    if parts & _SUPPORT:
        events = _read_events(reader, EVENT_SIZE)
        support = Support(events, *_decode_tickets(reader.read_bytes()))
    if parts & _FIRINGS:
        firings = tuple([_read_firing(reader) for _ in range(reader.read_count())])
    if not reader.at_end:
        raise ValueError("more than a customer")
    stage: i64 = value[STAGE_AT]
    return Customer(
        purchases,
        logins,
        support,
        firings,
        i64(0) if stage == STUB else stage,
        lapsed_day,
        wake_spell,
        wake_support,
        wake_logins,
        forgotten_at,
    )


def _read_events(reader: Reader, size: i64) -> Recent:
    """Events whose entries are of this size."""
    entries = reader.read_bytes()
    horizon = reader.read_instant()
    late = reader.read_bytes()
    if len(entries) % size or len(late) % (size - INSTANT_SIZE):
        raise ValueError("half an entry")
    if not entries and not late and horizon == BEFORE_ALL:
        return NO_EVENTS
    return Recent(entries, horizon, late)


def _read_purchases(reader: Reader) -> Purchases:
    events = _read_events(reader, ORDER_SIZE)
    first_at = reader.read_instant()
    last_at = reader.read_instant()
    days = reader.read_number()
    spend = reader.read_number()
    first_day_spend = reader.read_number()
    ring = BytesWriter()
    left = reader.read_count()
    day: i64 = 0
    while left > 0:
        left -= 1
        passed = reader.read_number()
        if not 0 <= passed < _LAST_DAY or day > _LAST_DAY:
            raise ValueError("days that are not ascending")
        day += passed
        orders = reader.read_number()
        write_entry(ring, day, orders, reader.read_number())
    return Purchases(events, first_at, last_at, days, spend, first_day_spend, ring.getvalue())


def _read_rates(reader: Reader) -> LoginRates:
    count = reader.read_number()
    if not count:
        return NO_LOGINS
    fast = reader.read_float()
    slow = reader.read_float()
    at = reader.read_instant()
    lifted_at = reader.read_instant()
    return LoginRates(count, fast, slow, at, lifted_at, reader.read_instant())


def _read_firing(reader: Reader) -> Firing:
    number = reader.read_number()
    if not 0 <= number < len(RULES):
        raise ValueError("a rule that is not known")
    version = reader.read_number()
    step = reader.read_number()
    episode_at = reader.read_instant()
    revision = reader.read_number()
    due = reader.read_instant()
    state = reader.read_number()
    episode_key = int.from_bytes(reader.read_bytes())
    return Firing(number, version, step, episode_at, episode_key, revision, due, state)
