"""Bytes to structs and back.

In: an event as bare JSON or as a CloudEvent 1.0 in Kafka's binary mode (attributes in `ce_*`
headers, the event as the value) or structured mode (`content-type: application/cloudevents+json`,
the event as the envelope's `data`). The topic says what a record is; a CloudEvent has to agree:
its `specversion` must be 1.0 and its `type` that of the topic. Where the event itself has no `id`
or `occurred_at`, the envelope's `id` and `time` stand in for them, as CloudEvents producers expect;
where both are there, the event's own win.

Out: CloudEvents in binary mode. `time` is always the due instant (for customer-health `as_of`, for
the receipt of an erasure `forgotten_at`), also for what ends a trigger, so that all that is said
about a firing sorts together; when it ended is in the body. `source` is constant: nothing depends
on which worker wrote it. There is no `subject`: it would put the customer into the headers.
"""

import base64
import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from hashlib import blake2b
from re import compile as compile_pattern
from typing import Final, Generic, NoReturn, TypeVar

import msgspec
from msgspec import Raw

from schemas.envelope import Envelope
from schemas.erasures import Erasure, ErasureReceipt
from schemas.errors import Rejected
from schemas.events import Event, Login, Purchase, SupportTicket
from schemas.reasons import Reason
from schemas.triggers import ChurnRisk, CustomerHealth, WinBack

Headers = Sequence[tuple[str, bytes | None]]
"""A record's headers. Kafka allows a header without a value."""
HeaderList = list[tuple[str, bytes | None]]
"""The same, as aiokafka wants what is to be written."""

Output = ChurnRisk | WinBack | CustomerHealth | ErasureReceipt

SPEC_VERSION: Final = "1.0"
SOURCE: Final = "winback"
PURCHASE_TYPE: Final = "winback.purchase.v1"
LOGIN_TYPE: Final = "winback.login.v1"
SUPPORT_TICKET_TYPE: Final = "winback.support-ticket.v1"
"""The `type` an event must carry if it comes as a CloudEvent."""

TRIGGER_TYPES: Final[dict[tuple[type[ChurnRisk | WinBack], str], str]] = {
    **{(ChurnRisk, kind): f"winback.churn-risk.{kind}.v1" for kind in ("raised", "cleared", "revoked")},
    **{(WinBack, kind): f"winback.win-back.{kind}.v1" for kind in ("due", "achieved", "revoked")},
}
HEALTH_TYPE: Final = "winback.customer-health.changed.v1"
RECEIPT_TYPE: Final = "winback.erasure-receipts.issued.v1"

_STRUCTURED: Final = b"application/cloudevents"
_STRUCTURED_JSON: Final = frozenset({b"application/cloudevents", b"application/cloudevents+json"})

# The words of msgspec that hold no value out of the record; any other message is replaced.
_HARMLESS: Final = compile_pattern(
    r"(Expected `[a-z |]+`(, got `[a-z]+`| (of length )?[<>]= -?[0-9.]+| with a timezone component)"
    r"|Object missing required field `[a-z_]+`"
    r"|Invalid RFC3339 encoded datetime|(Number|Integer value) out of range)"
    r"( - at `\$[a-z0-9_.\[\]]*`)?"
)
_PLACE: Final = compile_pattern(r" - at `\$[a-z0-9_.\[\]]*`$")
_FILLABLE: Final = frozenset({f"Object missing required field `{name}`" for name in ("id", "occurred_at")})

E = TypeVar("E", bound=Event)


_decode_envelope: Final = msgspec.json.Decoder(Envelope).decode
_decode_fields: Final = msgspec.json.Decoder(dict[str, Raw]).decode
_encode: Final = msgspec.json.Encoder().encode


class EventDecoder(Generic[E]):
    """Decodes the events of one topic, `body`, whose CloudEvents carry `type_name`."""

    def __init__(self, body: type[E], type_name: str) -> None:
        self._decode: Callable[[str | bytes], E] = msgspec.json.Decoder(body).decode
        self._type = type_name
        self._type_header = type_name.encode()

    def __call__(self, value: bytes, headers: Headers = ()) -> E:
        """The event; raises Rejected, whatever the bytes are."""
        try:
            if not headers:
                return self._decode(value.decode())
            return self._with_headers(value, headers)
        except (ValueError, RecursionError) as error:
            rejected = _rejected(error, value)
        # Outside of the handler, or what msgspec says would come along, and that may quote the record.
        raise rejected

    def _with_headers(self, value: bytes, headers: Headers) -> E:
        attributes = dict(headers)
        content_type = attributes.get("content-type")
        if content_type is not None and content_type[: len(_STRUCTURED)].lower() == _STRUCTURED:
            return self._structured(value, content_type)
        version = attributes.get("ce_specversion")
        if version is None:
            for name in attributes:
                if name[:3] == "ce_":
                    raise _reject("missing_field", "a ce_ header is there, but no ce_specversion")
            return self._decode(value.decode())
        self._check_type(version == b"1.0", attributes.get("ce_type") == self._type_header)
        try:
            return self._decode(value.decode())
        except msgspec.ValidationError as error:
            if str(error) not in _FILLABLE:
                raise
        return self._filled(value, _text(attributes.get("ce_id")), _text(attributes.get("ce_time")))

    def _structured(self, value: bytes, content_type: bytes) -> E:
        if content_type.partition(b";")[0].strip().lower() not in _STRUCTURED_JSON:
            raise _reject("not_json", "a CloudEvent in a format other than JSON, or a batch of them")
        envelope = _decode_envelope(value.decode())
        self._check_type(envelope.specversion == SPEC_VERSION, envelope.type == self._type)
        data = bytes(envelope.data) or _from_base64(envelope.data_base64)
        if not data:
            raise _reject("missing_field", "a CloudEvent without data")
        try:
            return self._decode(data.decode())
        except msgspec.ValidationError as error:
            if str(error) not in _FILLABLE:
                raise
        return self._filled(data, envelope.id, envelope.time)

    def _check_type(self, version_fits: bool, type_fits: bool) -> None:
        if not version_fits:
            raise _reject("unknown_version", f"CloudEvents' specversion is not {SPEC_VERSION}")
        if not type_fits:
            raise _reject("unknown_version", f"the CloudEvent's type is not {self._type}")

    def _filled(self, data: bytes, identifier: str | None, time: str | None) -> E:
        """The event with the envelope's id and time in the places that it leaves empty."""
        fields = _decode_fields(data)
        for name, attribute in (("id", identifier), ("occurred_at", time)):
            if attribute is not None and name not in fields:
                fields[name] = Raw(_encode(attribute))
        return self._decode(_encode(fields))


decode_purchase: Final = EventDecoder(Purchase, PURCHASE_TYPE)
decode_login: Final = EventDecoder(Login, LOGIN_TYPE)
decode_support_ticket: Final = EventDecoder(SupportTicket, SUPPORT_TICKET_TYPE)

_decode_erasure: Final = msgspec.json.Decoder(Erasure).decode


def decode_erasure(value: bytes) -> Erasure:
    """The value of a record of `erasures`; raises Rejected, whatever the bytes are."""
    try:
        return _decode_erasure(value.decode())
    except (ValueError, RecursionError) as error:
        rejected = _rejected(error, value)
    raise rejected


def encode_event(event: Event | Erasure) -> bytes:
    """An event or an erasure as bare JSON, as the decoders read it without headers."""
    return _encode(event)


def _before_time(type_name: str) -> HeaderList:
    return [
        ("ce_source", SOURCE.encode()),
        ("ce_specversion", SPEC_VERSION.encode()),
        ("ce_type", type_name.encode()),
    ]


# As lists: what stands in one is made once, and not for each message.
_TRIGGER_HEADERS: Final = {key: _before_time(name) for key, name in TRIGGER_TYPES.items()}
_HEALTH_HEADERS: Final = _before_time(HEALTH_TYPE)
_RECEIPT_HEADERS: Final = _before_time(RECEIPT_TYPE)
_AFTER_TIME: Final[HeaderList] = [("content-type", b"application/json")]


def headers_and_body(message: Output) -> tuple[HeaderList, bytes]:
    """What Winback says as a CloudEvent: the headers and the value of its record.

    The id of customer-health and of a receipt is a hash of the body: the same words are the same event.
    """
    body = _encode(message)
    if isinstance(message, CustomerHealth):
        identifier, named, time = _digest(body), _HEALTH_HEADERS, message.as_of
    elif isinstance(message, ErasureReceipt):
        identifier, named, time = _digest(body), _RECEIPT_HEADERS, message.forgotten_at
    else:
        identifier = message.id.encode()
        named = _TRIGGER_HEADERS[type(message), message.kind]
        time = message.due_at
    headers: HeaderList = [("ce_id", identifier)]
    headers += named
    headers.append(("ce_time", _encode(time)[1:-1]))
    headers += _AFTER_TIME
    return headers, body


def _digest(body: bytes) -> bytes:
    return blake2b(body, digest_size=16).hexdigest().encode()


_OUTPUT_DECODERS: Final = {
    **{name.encode(): msgspec.json.Decoder(body).decode for (body, _), name in TRIGGER_TYPES.items()},
    HEALTH_TYPE.encode(): msgspec.json.Decoder(CustomerHealth).decode,
    RECEIPT_TYPE.encode(): msgspec.json.Decoder(ErasureReceipt).decode,
}


def decode_output(value: bytes, headers: Iterable[tuple[str, bytes | None]]) -> Output:
    """What `headers_and_body` wrote, for those who read our own topics; raises Rejected."""
    attributes = dict(headers)
    decode = _OUTPUT_DECODERS.get(attributes.get("ce_type") or b"")
    if decode is None or attributes.get("ce_specversion") != b"1.0":
        raise _reject("unknown_version", "not a CloudEvent of a type that Winback writes")
    try:
        return decode(value.decode())
    except (ValueError, RecursionError) as error:
        rejected = _rejected(error, value)
    raise rejected


def _reject(reason: Reason, detail: str) -> Rejected:
    return Rejected(reason, detail)


def _text(attribute: bytes | None) -> str | None:
    return None if attribute is None else attribute.decode()


def _from_base64(text: str) -> bytes:
    with suppress(ValueError):
        return base64.b64decode(text, validate=True)
    raise _reject("bad_value", "data_base64 is not base64")


def _rejected(error: Exception, value: bytes) -> Rejected:
    """The reason and a harmless detail for what decoding raised."""
    if isinstance(error, UnicodeDecodeError):
        return _reject("not_utf8", "the value is not UTF-8 text")
    if isinstance(error, RecursionError):
        return _reject("not_json", "nested beyond all bounds")
    if isinstance(error, msgspec.ValidationError):
        return _invalid(str(error))
    if _holds_nan(value):
        return _reject("bad_value", "NaN and Infinity are no numbers in JSON")
    return _reject("not_json", "JSON is malformed or ends too soon")


def _invalid(message: str) -> Rejected:
    if not _HARMLESS.fullmatch(message):
        place = _PLACE.search(message)
        where = place[0] if place else ""
        if message.startswith("Invalid enum value") and "$.schema_version" in where:
            return _reject("unknown_version", f"not a version that is known{where}")
        return _reject("bad_value", f"not one of the allowed values{where}")
    if message.startswith("Object missing"):
        return _reject("missing_field", message)
    if ", got `" in message:
        return _reject("wrong_type", message)
    return _reject("bad_value", message)


def _holds_nan(value: bytes) -> bool:
    """Would it be JSON, up to there, if NaN and Infinity were numbers? Python's own json thinks so."""

    def found(constant: str) -> NoReturn:
        raise _NotANumber(constant)

    try:
        json.loads(value, parse_constant=found)
    except _NotANumber:
        return True
    except (ValueError, RecursionError):
        return False
    return False


class _NotANumber(Exception):
    """NaN or Infinity stands in the JSON."""
