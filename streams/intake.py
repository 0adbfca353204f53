"""Decode and check in: a record of a source topic becomes a stimulus of the core, or is refused.

Everything here is a property of the record and the playbook alone, never of the moment or of what
came before, so a replay judges alike. `check_in_purchase` and its siblings never raise; what they
refuse goes to the topic's dead letters by `dead_letter`. Ids are opaque from here on: the core sees
64-bit hashes and the key.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from hashlib import blake2b
from re import compile as compile_pattern
from types import MappingProxyType
from typing import Final

from librt.strings import read_i64_be
from mypy_extensions import i64

from schemas.codec import HeaderList, Headers, decode_login, decode_purchase, decode_support_ticket
from schemas.errors import Rejected
from schemas.events import CURRENCY, TicketPriority, TicketStatus
from schemas.instants import since_epoch
from schemas.reasons import Reason
from schemas.topics import LOGINS, PURCHASES, SUPPORT_TICKETS
from streams.checked import CheckedIn, Refused, SourceRecord
from streams.core.playbook import Playbook
from streams.core.stimuli import LoggedIn, Ordered, Priority, Status, TicketStep

LARGEST_VALUE: Final = 256 * 1024
"""Bytes; an order of two thousand lines is half of it."""
LARGEST_AMOUNT: Final = 10**15
"""Minor units of the base currency: a thousand times what an event may state in its own."""
CLOCK_TOLERANCE_MS: Final = 300_000
"""How far an event may be dated after the record that brings it: clocks differ."""
ACCEPT_LATE: Final = ("winback-accept-late", b"1")
"""The header by which a replay of dead letters has an event folded although it is too late."""

LARGEST_DEAD_LETTER: Final = 1_000_000
"""Bytes of key, value and headers together. What came in compressed, or just below the broker's
limit, would not go out again with our headers on top; such a record would block its partition."""
CUT: Final = "winback-dead-letter-cut"
"""The header that names what had to be shortened or left out of a dead letter."""

_CURRENCY: Final = compile_pattern(CURRENCY)
_STATUSES: Final[dict[TicketStatus, int]] = {
    "opened": int(Status.OPENED),
    "replied": int(Status.REPLIED),
    "resolved": int(Status.RESOLVED),
    "reopened": int(Status.REOPENED),
    "closed": int(Status.CLOSED),
}
_PRIORITIES: Final[dict[TicketPriority, int]] = {
    "low": int(Priority.LOW),
    "normal": int(Priority.NORMAL),
    "high": int(Priority.HIGH),
    "urgent": int(Priority.URGENT),
}

# Compiled, a name that is not final is looked up each time.
_blake2b: Final = blake2b


CheckIn = Callable[[SourceRecord, Playbook], CheckedIn | Refused]


def check_in_purchase(record: SourceRecord, playbook: Playbook) -> CheckedIn | Refused:
    """An order or refund, its amount in minor units of the base currency, rounded half to even."""
    try:
        event = decode_purchase(_value(record), record.headers)
        key, at, accept_late = _checked(record, event.customer_id, event.occurred_at)
        amount = event.amount_minor
        if event.currency != playbook.currency:
            rate = playbook.rates.get(event.currency)
            if rate is None:
                raise _no_rate(event.currency)
            amount = round(amount * rate)
            if amount > LARGEST_AMOUNT:
                raise _rejected("bad_value", "an amount beyond all bounds once it is converted")
        refund = event.kind == "refund"
        stimulus = Ordered(
            at,
            hash_of(event.id),
            hash_of(event.order_id),
            -amount if refund else amount,
            refund,
            accept_late,
        )
    except Rejected as error:
        return _refused(record, error)
    return CheckedIn(key, stimulus, record.offset, record)


def check_in_login(record: SourceRecord, playbook: Playbook) -> CheckedIn | Refused:  # noqa: ARG001  # a CheckIn
    """A sign-in."""
    try:
        event = decode_login(_value(record), record.headers)
        key, at, accept_late = _checked(record, event.customer_id, event.occurred_at)
        stimulus = LoggedIn(at, hash_of(event.id), accept_late)
    except Rejected as error:
        return _refused(record, error)
    return CheckedIn(key, stimulus, record.offset, record)


def check_in_support_ticket(record: SourceRecord, playbook: Playbook) -> CheckedIn | Refused:  # noqa: ARG001  # a CheckIn
    """A step of a ticket."""
    try:
        event = decode_support_ticket(_value(record), record.headers)
        key, at, accept_late = _checked(record, event.customer_id, event.occurred_at)
        stimulus = TicketStep(
            at,
            hash_of(event.id),
            hash_of(event.ticket_id),
            _STATUSES[event.status],
            _PRIORITIES[event.priority],
            accept_late,
        )
    except Rejected as error:
        return _refused(record, error)
    return CheckedIn(key, stimulus, record.offset, record)


CHECK_IN: Final[Mapping[str, CheckIn]] = MappingProxyType(
    {
        PURCHASES.name: check_in_purchase,
        LOGINS.name: check_in_login,
        SUPPORT_TICKETS.name: check_in_support_ticket,
    }
)
"""By source topic."""


def hash_of(identifier: str) -> i64:
    """The first 8 bytes of the BLAKE2b digest of the id's UTF-8, as a signed number."""
    return read_i64_be(_blake2b(identifier.encode()).digest(), 0)


def _value(record: SourceRecord) -> bytes:
    value = record.value
    if not value:
        raise _rejected("empty_value", "the record has no value")
    if len(value) > LARGEST_VALUE:
        raise _rejected("too_large", f"a value of more than {LARGEST_VALUE} bytes")
    return value


def _checked(record: SourceRecord, customer_id: str, occurred_at: datetime) -> tuple[bytes, i64, bool]:
    """Key, instant and the late mark of a record whose customer and time hold up."""
    key = record.key
    if not key:
        raise _rejected("no_key", "the record has no key; it must be the customer_id")
    if key != customer_id.encode():
        raise _rejected("key_mismatch", "the record's key is not its customer_id")
    if 0 in key:  # as bytes it would be tried as a number first, and raise and drop an error each time
        raise _rejected("bad_value", "a NUL in the customer_id")
    at = since_epoch(occurred_at)
    if at < 0:
        raise _rejected("before_1970", "occurred_at is before 1970")
    # A record without a time of its own (-1) cannot vouch for any event, and is refused here too.
    if at > record.timestamp + CLOCK_TOLERANCE_MS:
        raise _rejected("future", "occurred_at is more than 5 minutes after the record's own timestamp")
    return key, at, ACCEPT_LATE in record.headers


def _no_rate(currency: str) -> Rejected:
    if not _CURRENCY.search(currency):
        return _rejected("bad_value", "not a currency's three capital letters - at `$.currency`")
    return _rejected("unknown_currency", "neither the base currency nor one with a rate")


def _rejected(reason: Reason, detail: str) -> Rejected:
    return Rejected(reason, detail)


def _refused(record: SourceRecord, error: Rejected) -> Refused:
    # A new one, since the one caught holds on to the frames it went through.
    return Refused(record.offset, record, Rejected(error.reason, error.detail))


def dead_letter(record: SourceRecord, rejected: Rejected) -> tuple[bytes | None, bytes | None, HeaderList]:
    """Key, value and headers of a dead letter: as they came, and why and whence in Spring's headers.

    The headers of an earlier refusal give way to the new ones. Beyond LARGEST_DEAD_LETTER the
    original headers, the value and last the key are cut, and a header says so.
    """
    own: Headers = [
        ("kafka_dlt-original-topic", record.topic.encode()),
        ("kafka_dlt-original-partition", str(record.partition).encode()),
        ("kafka_dlt-original-offset", str(record.offset).encode()),
        ("kafka_dlt-original-timestamp", str(record.timestamp).encode()),
        ("kafka_dlt-exception-fqcn", b"schemas.errors.Rejected"),
        ("kafka_dlt-exception-message", f"{rejected.reason}: {rejected.detail}".encode()),
        ("winback-reason", rejected.reason.encode()),
    ]
    replaced = {CUT, *(name for name, _ in own)}
    kept = [header for header in record.headers if header[0] not in replaced]
    key, value = record.key, record.value
    if _size(key, value, kept) + _size(None, None, own) <= LARGEST_DEAD_LETTER:
        return key, value, [*kept, *own]
    return _cut(key, value, kept, own)


def _cut(
    key: bytes | None, value: bytes | None, kept: Headers, own: Headers
) -> tuple[bytes | None, bytes | None, HeaderList]:
    """The dead letter with the parts that exceed the room cut: the key has precedence, headers the least."""
    cut: list[str] = []
    room = LARGEST_DEAD_LETTER - _size(None, None, own) - 100  # what the header that tells of it takes
    if key is not None and len(key) > room:
        key = key[:room]
        cut.append("key")
    room -= len(key or b"")
    if value is not None and len(value) > room:
        value = value[:room]
        cut.append("value")
    room -= len(value or b"")
    if _size(None, None, kept) > room:
        kept = ()
        cut.append("headers")
    return key, value, [*kept, *own, (CUT, ",".join(cut).encode())]


def _size(key: bytes | None, value: bytes | None, headers: Headers) -> int:
    """About the bytes on the wire; 10 a header covers the lengths before its parts."""
    parts = sum(len(name.encode()) + len(content or b"") + 10 for name, content in headers)
    return len(key or b"") + len(value or b"") + parts
