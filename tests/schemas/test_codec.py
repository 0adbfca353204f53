"""Bytes to structs and back: the three ways an event may arrive, and the one in which we answer."""

import base64
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary_event
from cloudevents.core.formats.json import JSONFormat
from hypothesis import given
from hypothesis import strategies as st

from schemas.codec import (
    Output,
    decode_login,
    decode_output,
    decode_purchase,
    decode_support_ticket,
    encode_event,
    headers_and_body,
)
from schemas.errors import Rejected
from schemas.events import Item, Login, Purchase, SupportTicket
from schemas.reasons import REASONS
from schemas.triggers import ChurnRisk, CustomerHealth, WinBack, Window, Windows

NOON = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
PURCHASE = Purchase(
    id="p-1", customer_id="c-1", occurred_at=NOON, order_id="o-1", amount_minor=1299, currency="USD"
)
BINARY = (
    ("ce_specversion", b"1.0"),
    ("ce_type", b"winback.purchase.v1"),
    ("ce_source", b"shop"),
    ("ce_id", b"ce-1"),
    ("ce_time", b"2026-01-05T13:00:00Z"),
    ("content-type", b"application/json"),
)
STRUCTURED = (("content-type", b"application/cloudevents+json; charset=UTF-8"),)
WINDOWS = Windows(days_7=Window(0, 0), days_30=Window(1, 1299), days_90=Window(2, -100))


@dataclass
class Wire:
    """A purchase as a producer would write it, with fields changed or left out."""

    fields: dict[str, Any]

    def __init__(self, **changes: Any) -> None:
        fields = {**json.loads(encode_event(PURCHASE)), **changes}
        self.fields = {name: value for name, value in fields.items() if value != "absent"}

    def bare(self) -> bytes:
        """Bare JSON."""
        return json.dumps(self.fields).encode()

    def envelope(self, **changes: Any) -> bytes:
        """The same in CloudEvents' structured mode."""
        envelope = {
            "specversion": "1.0",
            "type": "winback.purchase.v1",
            "source": "shop",
            "id": "ce-1",
            "time": "2026-01-05T13:00:00Z",
            "data": self.fields,
            **changes,
        }
        return json.dumps({name: value for name, value in envelope.items() if value != "absent"}).encode()


def refusal(value: bytes, headers: tuple[tuple[str, bytes], ...] = ()) -> Rejected:
    """The refusal of a record of the purchases topic."""
    with pytest.raises(Rejected) as caught:
        decode_purchase(value, headers)
    return caught.value


def without(headers: tuple[tuple[str, bytes], ...], name: str) -> tuple[tuple[str, bytes], ...]:
    """The headers but one."""
    return tuple(header for header in headers if header[0] != name)


def test_bare_json_is_an_event() -> None:
    """A record without headers is the event itself."""
    assert PURCHASE == decode_purchase(Wire().bare())


@pytest.mark.parametrize(
    "headers", [(("traceparent", b"00-1"),), (("content-type", b"application/json"),), (("x", None),)]
)
def test_headers_of_others_change_nothing(headers: Any) -> None:
    """Headers that are not CloudEvents' leave bare JSON bare JSON, also one without a value."""
    assert PURCHASE == decode_purchase(Wire().bare(), headers)


def test_unknown_fields_are_ignored() -> None:
    """A producer may add fields of its own."""
    assert PURCHASE == decode_purchase(Wire(loyalty_points=3).bare())


def test_binary_cloud_event_is_an_event() -> None:
    """In binary mode the value is the event, and its own id and time count."""
    assert PURCHASE == decode_purchase(Wire().bare(), BINARY)


def test_structured_cloud_event_is_an_event() -> None:
    """In structured mode the event is the envelope's data, and its own id and time count."""
    assert PURCHASE == decode_purchase(Wire().envelope(), STRUCTURED)


def test_structured_cloud_event_may_hold_base64() -> None:
    """CloudEvents' JSON format also allows the data in base64."""
    encoded = base64.b64encode(Wire().bare()).decode()
    assert PURCHASE == decode_purchase(Wire().envelope(data="absent", data_base64=encoded), STRUCTURED)


def test_content_type_decides_the_mode() -> None:
    """Where content-type says structured, ce_ headers mean nothing."""
    assert PURCHASE == decode_purchase(Wire().envelope(), (("ce_specversion", b"0.3"), *STRUCTURED))


def test_binary_attributes_stand_in() -> None:
    """An event without id and occurred_at takes ce_id and ce_time, items and all."""
    items = [{"sku": "s", "price_minor": 10**12}]
    value = Wire(id="absent", occurred_at="absent", items=items).bare()
    expected = msgspec.structs.replace(
        PURCHASE, id="ce-1", occurred_at=NOON + timedelta(hours=1), items=(Item("s", price_minor=10**12),)
    )
    assert expected == decode_purchase(value, BINARY)


def test_structured_attributes_stand_in_one_by_one() -> None:
    """Each of id and occurred_at is filled only where the event leaves it out."""
    value = Wire(occurred_at="absent").envelope()
    assert msgspec.structs.replace(PURCHASE, occurred_at=NOON + timedelta(hours=1)) == decode_purchase(
        value, STRUCTURED
    )


def test_other_topics_have_other_types() -> None:
    """Logins and support tickets have CloudEvents types of their own."""
    login = Login(id="l-1", customer_id="c-1", occurred_at=NOON)
    step = SupportTicket(id="t-1", customer_id="c-1", occurred_at=NOON, ticket_id="t", status="opened")
    version = ("ce_specversion", b"1.0")
    assert login == decode_login(encode_event(login), (version, ("ce_type", b"winback.login.v1")))
    assert step == decode_support_ticket(
        encode_event(step), (version, ("ce_type", b"winback.support-ticket.v1"))
    )


def test_zones_are_instants() -> None:
    """A time with another zone is the same instant."""
    zoned = decode_purchase(Wire(occurred_at="2026-01-05T17:30:00+05:30").bare())
    assert NOON == zoned.occurred_at


BAD = {
    "nothing": (b"", "not_json"),
    "truncated": (b'{"id": "p-1"', "not_json"),
    "noise": (bytes(range(32, 127)) * 10, "not_json"),
    "trailing": (Wire().bare() + b"x", "not_json"),
    "byte order mark": (b"\xef\xbb\xbf" + Wire().bare(), "not_json"),
    "a lone surrogate": (Wire().bare().replace(b"c-1", b"\\ud800"), "not_json"),
    "nested too deep": (b'{"x":' + b"[" * 100_000, "not_json"),
    "invalid UTF-8": (Wire().bare().replace(b"c-1", b"\xff"), "not_utf8"),
    "invalid UTF-8 in a field nobody reads": (Wire(x="yy").bare().replace(b"yy", b"\xff"), "not_utf8"),
    "UTF-16": (Wire().bare().decode().encode("utf-16"), "not_utf8"),
    "an array": (b"[]", "wrong_type"),
    "null": (b"null", "wrong_type"),
    "a number as an id": (Wire(id=7).bare(), "wrong_type"),
    "a text as an amount": (Wire(amount_minor="12").bare(), "wrong_type"),
    "a fraction of a cent": (Wire(amount_minor=12.5).bare(), "wrong_type"),
    "a number as a time": (Wire(occurred_at=1_700_000_000).bare(), "wrong_type"),
    "wrong type in an item": (Wire(items=[{"sku": 1}]).bare(), "wrong_type"),
    "no customer": (Wire(customer_id="absent").bare(), "missing_field"),
    "no id": (Wire(id="absent").bare(), "missing_field"),
    "no sku": (Wire(items=[{}]).bare(), "missing_field"),
    "NaN": (Wire(amount_minor=float("nan")).bare(), "bad_value"),
    "infinite": (Wire(amount_minor=float("-inf")).bare(), "bad_value"),
    "negative": (Wire(amount_minor=-1).bare(), "bad_value"),
    "absurd": (Wire(amount_minor=10**13).bare(), "bad_value"),
    "more than absurd": (Wire().bare().replace(b"1299", b"1" + b"0" * 6000), "bad_value"),
    "beyond floats": (Wire().bare().replace(b"1299", b"1e999"), "bad_value"),
    "empty customer": (Wire(customer_id="").bare(), "bad_value"),
    "long customer": (Wire(customer_id="c" * 257).bare(), "bad_value"),
    "no zone": (Wire(occurred_at="2026-01-05T12:00:00").bare(), "bad_value"),
    "no such day": (Wire(occurred_at="2026-02-30T12:00:00Z").bare(), "bad_value"),
    "no such kind": (Wire(kind="gift").bare(), "bad_value"),
    "version 2": (Wire(schema_version=2).bare(), "unknown_version"),
    "version 10^12": (Wire(schema_version=10**12).bare(), "unknown_version"),
    "version of a wrong type": (Wire(schema_version="1").bare(), "wrong_type"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_json_has_its_reason(case: str) -> None:
    """What cannot be an event is refused with its reason."""
    value, reason = BAD[case]
    assert reason == refusal(value).reason


BAD_CLOUD_EVENTS = {
    "old specversion": (Wire().bare(), (*BINARY, ("ce_specversion", b"0.3")), "unknown_version"),
    "no specversion": (Wire().bare(), without(BINARY, "ce_specversion"), "missing_field"),
    "no type": (Wire().bare(), without(BINARY, "ce_type"), "unknown_version"),
    "type of version 2": (Wire().bare(), (*BINARY, ("ce_type", b"winback.purchase.v2")), "unknown_version"),
    "type of another topic": (Wire().bare(), (*BINARY, ("ce_type", b"winback.login.v1")), "unknown_version"),
    "nothing to stand in": (Wire(id="absent").bare(), without(BINARY, "ce_id"), "missing_field"),
    "a time that is none": (
        Wire(occurred_at="absent").bare(),
        (*BINARY, ("ce_time", b"noon")),
        "bad_value",
    ),
    "an id that is no text": (Wire(id="absent").bare(), (*BINARY, ("ce_id", b"\xff")), "not_utf8"),
    "binary: broken": (b"{", BINARY, "not_json"),
    "structured: old": (Wire().envelope(specversion="0.3"), STRUCTURED, "unknown_version"),
    "structured: other type": (Wire().envelope(type="order"), STRUCTURED, "unknown_version"),
    "structured: no type": (Wire().envelope(type="absent"), STRUCTURED, "missing_field"),
    "structured: no data": (Wire().envelope(data="absent"), STRUCTURED, "missing_field"),
    "structured: data of null": (Wire().envelope(data=None), STRUCTURED, "wrong_type"),
    "structured: no base64": (
        Wire().envelope(data="absent", data_base64="?"),
        STRUCTURED,
        "bad_value",
    ),
    "structured: bare event": (Wire().bare(), STRUCTURED, "missing_field"),
    "structured: broken": (b"{", STRUCTURED, "not_json"),
    "structured: NaN": (Wire(amount_minor=float("nan")).envelope(), STRUCTURED, "bad_value"),
    "a batch": (b"[]", (("content-type", b"application/cloudevents-batch+json"),), "not_json"),
    "avro": (b"\x00", (("content-type", b"application/cloudevents+avro"),), "not_json"),
}


@pytest.mark.parametrize("case", BAD_CLOUD_EVENTS)
def test_bad_cloud_event_has_its_reason(case: str) -> None:
    """A CloudEvent that does not hold up is refused with its reason."""
    value, headers, reason = BAD_CLOUD_EVENTS[case]
    assert reason == refusal(value, headers).reason


SECRET = "jane.doe@example.com"
TELLTALES = {
    **{
        f"a text as {name}": Wire(**{name: SECRET}).bare()
        for name in ("amount_minor", "occurred_at", "items", "schema_version")
    },
    "an enum": Wire(kind=SECRET).bare(),
    "a quoted enum": Wire(kind=f"` - at `$.{SECRET}").bare(),
    "an item": Wire(items=[{"sku": {"a": SECRET}}]).bare(),
    "a field": Wire(**{SECRET: float("nan")}).bare(),
    "broken": SECRET.encode(),
    "bytes": SECRET.encode() + b"\xff",
}


@pytest.mark.parametrize("case", TELLTALES)
def test_refusal_quotes_nothing(case: str) -> None:
    """No part of a refused value stands in what is said about it."""
    error = refusal(TELLTALES[case])
    assert "jane" not in f"{error}{error.detail}{error.reason}"
    assert error.__cause__ is error.__context__ is None


def test_refusal_names_the_place() -> None:
    """Where it can be said without quoting, the detail names field and type."""
    assert "Expected `int`, got `str` - at `$.amount_minor`" == refusal(Wire(amount_minor="1").bare()).detail
    assert "not one of the allowed values - at `$.kind`" == refusal(Wire(kind="gift").bare()).detail


@given(
    value=st.binary() | st.text().map(str.encode) | st.just(Wire().bare()) | st.just(Wire().envelope()),
    headers=st.lists(
        st.tuples(
            st.sampled_from(["ce_specversion", "ce_type", "ce_id", "ce_time", "content-type"]) | st.text(),
            st.sampled_from([b"1.0", b"winback.purchase.v1", b"application/cloudevents+json"])
            | st.binary()
            | st.none(),
        )
    ),
)
def test_any_bytes_decode_or_are_rejected(value: bytes, headers: Any) -> None:
    """Whatever the bytes and headers are, the answer is an event or Rejected with a known reason."""
    for decode in (decode_purchase, decode_login, decode_support_ticket):
        reason = None
        try:
            decode(value, tuple(headers))
        except Rejected as error:
            reason = error.reason
        assert reason in {None, *REASONS}


def trigger(body: type[ChurnRisk] | type[WinBack], kind: Any) -> ChurnRisk | WinBack:
    """A trigger of this kind."""
    return body(
        id="01KE6WAVN00000000000000000",
        customer_id="c-1",
        rule="risk_high",
        rule_version=1,
        kind=kind,
        episode="2026-01-05",
        step=0,
        due_at=NOON,
        detected_at=NOON + timedelta(seconds=2),
        windows=WINDOWS,
        holdout=False,
        suggested_action="Make an offer",
        cleared_by="an order",
        ended_at=None if kind in {"raised", "due"} else NOON + timedelta(days=1),
    )


HEALTH = CustomerHealth(
    customer_id="c-1",
    stage="at_risk",
    level="high",
    windows=WINDOWS,
    next_deadline=None,
    as_of=NOON,
    p_lapse=0.8,
)
OUTPUTS: dict[str, Output] = {
    **{
        f"winback.churn-risk.{kind}.v1": trigger(ChurnRisk, kind) for kind in ("raised", "cleared", "revoked")
    },
    **{f"winback.win-back.{kind}.v1": trigger(WinBack, kind) for kind in ("due", "achieved", "revoked")},
    "winback.customer-health.changed.v1": HEALTH,
}


@pytest.mark.parametrize("name", OUTPUTS)
def test_output_is_a_binary_cloud_event(name: str) -> None:
    """Each kind of output has its public type; the time is the due instant, the source constant."""
    headers, _ = headers_and_body(OUTPUTS[name])
    expected = {
        "ce_source": b"winback",
        "ce_specversion": b"1.0",
        "ce_type": name.encode(),
        "ce_time": b"2026-01-05T12:00:00Z",
        "content-type": b"application/json",
    }
    assert expected == {key: value for key, value in headers if key != "ce_id"}


@pytest.mark.parametrize("name", OUTPUTS)
def test_output_agrees_with_the_cloudevents_package(name: str) -> None:
    """CloudEvents' own implementation reads our records as valid events."""
    headers, body = headers_and_body(OUTPUTS[name])
    event = from_binary_event(
        KafkaMessage(
            headers={name: text for name, text in headers if text is not None}, key=b"c-1", value=body
        ),
        JSONFormat(),
    )
    assert (name, "winback", "1.0", NOON) == (
        event.get_type(),
        event.get_source(),
        event.get_specversion(),
        event.get_time(),
    )
    assert json.loads(body) == event.get_data()


@pytest.mark.parametrize("name", OUTPUTS)
def test_output_reads_back(name: str) -> None:
    """What we write, we read."""
    headers, body = headers_and_body(OUTPUTS[name])
    assert OUTPUTS[name] == decode_output(body, headers)


def test_trigger_id_is_the_cloud_events() -> None:
    """The id of a trigger is the id of its CloudEvent."""
    headers, _ = headers_and_body(OUTPUTS["winback.churn-risk.raised.v1"])
    assert b"01KE6WAVN00000000000000000" == dict(headers)["ce_id"]


def test_health_id_follows_from_its_body() -> None:
    """Two records of health have one id exactly when they say the same."""
    first, again = headers_and_body(HEALTH)[0][0], headers_and_body(msgspec.structs.replace(HEALTH))[0][0]
    other = headers_and_body(msgspec.structs.replace(HEALTH, as_of=NOON + timedelta(seconds=1)))[0][0]
    assert first == again
    assert first != other


def test_nothing_personal_in_headers() -> None:
    """No header of an output holds the customer's id."""
    headers = [header for output in OUTPUTS.values() for header in headers_and_body(output)[0]]
    assert [] == [header for header in headers if b"c-1" in (header[1] or b"")]


@pytest.mark.parametrize(
    ("value", "headers", "reason"),
    [
        (b"{}", (), "unknown_version"),
        (b"{}", (("ce_specversion", b"1.0"), ("ce_type", b"winback.win-back.due.v2")), "unknown_version"),
        (b"{}", (("ce_specversion", b"1.0"), ("ce_type", b"winback.win-back.due.v1")), "missing_field"),
        (b"{", (("ce_specversion", b"1.0"), ("ce_type", b"winback.win-back.due.v1")), "not_json"),
    ],
)
def test_foreign_output_is_rejected(value: bytes, headers: Any, reason: str) -> None:
    """What Winback has not written is no output."""
    with pytest.raises(Rejected) as caught:
        decode_output(value, headers)
    assert reason == caught.value.reason


@given(st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-9, minutes=-30))])))
def test_events_read_back(moment: datetime) -> None:
    """An event that we write (the simulator does) is the event that we read."""
    purchase = msgspec.structs.replace(PURCHASE, occurred_at=moment, items=(Item("s", quantity=2),))
    assert purchase == decode_purchase(encode_event(purchase))
