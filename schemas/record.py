"""A customer's changelog value: a fixed head that recovery reads without decoding, then the body.

byte 0        format version
bytes 1-8     wake_at, milliseconds since the epoch, signed, big-endian
bytes 9-12    fingerprint of the model the deadline was computed with
bytes 13-16   fingerprint of the playbook
byte 17       the customer's stage, so that recovery can count them; 255 for a stub
bytes 18-     MessagePack of schemas.customer.Customer
"""

import struct
from struct import Struct
from typing import NamedTuple

import msgspec

from schemas.customer import BEFORE_ALL, NEVER, Customer, PartitionRecord, is_stub
from schemas.earlier import EARLIER
from schemas.errors import StateError

VERSION = 4
"""Of what is written. The head is the same in every version so far; a partition record has fields at its
end since version 3, whose defaults are what earlier ones meant."""
PARTITION_KEY = b"\x00winback.partition"
"""The reserved key of the partition record; no customer id holds a NUL."""

_HEAD = Struct(">BqIIB")
HEAD_SIZE = _HEAD.size
STAGE_AT = HEAD_SIZE - 1
"""Where the stage's byte is."""
STUB = 255
"""Stands for the stage where all that is left is that the customer was forgotten."""
raw_head = _HEAD.unpack_from
"""As `head`, but a plain tuple and unchecked: for the million records of a recovery."""
_encode = msgspec.msgpack.Encoder().encode
_decode_customer = msgspec.msgpack.Decoder(Customer).decode
_decode_partition = msgspec.msgpack.Decoder(PartitionRecord).decode


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


def wake_of(customer: Customer) -> int:
    """The earliest instant (ms) at which a rule about this customer comes true; NEVER for none."""
    wake = NEVER
    # Spelled out: a loop over three costs more than all the rest here, once for every event.
    spell, support, logins = customer.wake_spell, customer.wake_support, customer.wake_logins
    if spell is not None:
        wake = spell
    if support is not None and support < wake:
        wake = support
    if logins is not None and logins < wake:
        wake = logins
    return wake


def is_known(value: bytes) -> bool:
    """Whether a record is of the version that is written now, or of an earlier one."""
    return bool(value) and (value[0] == VERSION or value[0] in EARLIER)


def pack(customer: Customer, fingerprint: Fingerprint) -> bytes:
    """The changelog value of a customer."""
    stage = STUB if customer.forgotten_at != BEFORE_ALL and is_stub(customer) else customer.stage
    return _HEAD.pack(VERSION, wake_of(customer), *fingerprint, stage) + _encode(customer)


def unpack(value: bytes) -> Customer:
    """The customer of a changelog value.

    Raises StateError where the value is damaged or of a version this program does not know.
    """
    if not value:
        raise StateError("an empty state record")
    decode = _decode_customer if value[0] == VERSION else EARLIER.get(value[0])
    if decode is None:
        raise StateError(f"a state record of version {value[0]}: this program knows them up to {VERSION}")
    try:
        # A copy of a few hundred bytes is cheaper than a view of them.
        return decode(value[HEAD_SIZE:])
    except (msgspec.DecodeError, ValueError, struct.error) as error:
        raise StateError(f"a damaged state record of {len(value)} bytes") from error


def head(value: bytes) -> Head:
    """The fixed head of a changelog value, without decoding the rest; StateError if damaged."""
    if len(value) <= _HEAD.size or not is_known(value):
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
