"""Check-in: what becomes a stimulus, what a dead letter, and with which reason."""

import dataclasses
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from hashlib import blake2b
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import Rejected
from schemas.reasons import REASONS
from schemas.topics import SOURCES
from streams.checked import CheckedIn, Refused, SourceRecord
from streams.core.model import Model
from streams.core.playbook import Playbook
from streams.core.stimuli import LoggedIn, Ordered, Priority, Status, TicketStep
from streams.intake import (
    CHECK_IN,
    CLOCK_TOLERANCE_MS,
    CUT,
    LARGEST_DEAD_LETTER,
    LARGEST_VALUE,
    check_in_login,
    check_in_purchase,
    check_in_support_ticket,
    dead_letter,
    hash_of,
)

PLAYBOOK = Playbook(
    model=Model(r=0.637, alpha=7.310, a=0.807, b=1.228, p=6.28, q=3.62, gamma=14.98),
    rates=MappingProxyType({"EUR": Fraction("1.08"), "XTS": Fraction(1, 2)}),
)
AT = 1_767_614_400_123
"""2026-01-05T12:00:00.123Z"""

PURCHASE = {
    "id": "p-1",
    "customer_id": "c-1",
    "occurred_at": "2026-01-05T12:00:00.123Z",
    "order_id": "o-1",
    "amount_minor": 1299,
    "currency": "USD",
}
LOGIN = {"id": "l-1", "customer_id": "c-1", "occurred_at": "2026-01-05T12:00:00.123Z"}
STEP = {**LOGIN, "id": "s-1", "ticket_id": "t-1", "status": "reopened", "priority": "urgent"}


def record(value: bytes | None, **changes: Any) -> SourceRecord:
    """A record of a source topic, written at the event's own time."""
    fields = {
        "topic": "purchases",
        "partition": 3,
        "offset": 41,
        "timestamp": AT,
        "key": b"c-1",
        "value": value,
    }
    return SourceRecord(**{**fields, **changes})


def purchase(event: Mapping[str, Any] = MappingProxyType({}), **changes: Any) -> CheckedIn | Refused:
    """The outcome for a purchase with changed fields, in a record with changed fields."""
    return check_in_purchase(record(json.dumps({**PURCHASE, **event}).encode(), **changes), PLAYBOOK)


def ordered(outcome: CheckedIn | Refused) -> Ordered:
    """The order that was checked in."""
    assert isinstance(outcome, CheckedIn), outcome
    assert isinstance(outcome.stimulus, Ordered)
    return outcome.stimulus


def reason(outcome: CheckedIn | Refused) -> str:
    """Why it was refused."""
    assert isinstance(outcome, Refused), outcome
    return outcome.rejected.reason


def first_8(identifier: str) -> int:
    """The first 8 bytes of BLAKE2b, as its definition has them, as a signed number."""
    found = int(blake2b(identifier.encode()).hexdigest()[:16], 16)
    return found - 2**64 if found >> 63 else found


def test_purchase_is_an_order() -> None:
    """A purchase becomes an order, with key, offset and the record it came in."""
    came = record(json.dumps(PURCHASE).encode())
    checked = check_in_purchase(came, PLAYBOOK)
    order = ordered(checked)
    assert isinstance(checked, CheckedIn)
    assert (b"c-1", 41, came) == (checked.key, checked.offset, checked.record)
    assert (AT, first_8("p-1"), first_8("o-1")) == (order.at, order.event, order.order)
    assert (1299, False, False) == (order.amount, order.refund, order.accept_late)


def test_refund_is_negative() -> None:
    """A refund's amount is subtracted."""
    order = ordered(purchase({"kind": "refund"}))
    assert (-1299, True) == (order.amount, order.refund)


def test_login_is_a_sign_in() -> None:
    """A login becomes a sign-in."""
    came = record(json.dumps(LOGIN).encode(), topic="logins")
    checked = check_in_login(came, PLAYBOOK)
    assert isinstance(checked, CheckedIn)
    assert isinstance(checked.stimulus, LoggedIn)
    assert (b"c-1", 41, came) == (checked.key, checked.offset, checked.record)
    login = checked.stimulus
    assert (AT, first_8("l-1"), False) == (login.at, login.event, login.accept_late)


def test_support_ticket_is_a_step() -> None:
    """A step of a ticket becomes one, its status and priority as numbers."""
    came = record(json.dumps(STEP).encode(), topic="support-tickets")
    checked = check_in_support_ticket(came, PLAYBOOK)
    assert isinstance(checked, CheckedIn)
    assert isinstance(checked.stimulus, TicketStep)
    assert (b"c-1", 41, came) == (checked.key, checked.offset, checked.record)
    step = checked.stimulus
    assert (AT, first_8("s-1"), first_8("t-1")) == (step.at, step.event, step.ticket)
    assert (Status.REOPENED, Priority.URGENT, False) == (step.status, step.priority, step.accept_late)


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("priority", Priority)
def test_statuses_and_priorities_are_the_cores(status: Status, priority: Priority) -> None:
    """Each status and priority of the wire is the one of that name in the core."""
    event = {**STEP, "status": status.name.lower(), "priority": priority.name.lower()}
    outcome = check_in_support_ticket(record(json.dumps(event).encode()), PLAYBOOK)
    assert isinstance(outcome, CheckedIn)
    assert isinstance(outcome.stimulus, TicketStep)
    assert (status, priority) == (outcome.stimulus.status, outcome.stimulus.priority)


def test_every_source_is_checked_in() -> None:
    """There is a check for each source topic."""
    assert [source.name for source in SOURCES] == list(CHECK_IN)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00.0019999Z", 2),
        ("2026-01-05T17:30:00.123+05:30", AT),
        ("2026-01-05T12:00:00.123999Z", AT),
        ("2001-09-09T01:46:39.999Z", 999_999_999_999),
    ],
)
def test_instants_are_whole_milliseconds(text: str, at: int) -> None:
    """An instant is exact to the millisecond it falls into (the decoder rounds to microseconds)."""
    assert at == ordered(purchase({"occurred_at": text})).at


@given(st.integers(0, 253_402_300_799_999))
def test_instants_are_exact(milliseconds: int) -> None:
    """No instant up to the year 9999 is off by one."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
    outcome = purchase({"occurred_at": moment.isoformat()}, timestamp=milliseconds)
    assert milliseconds == ordered(outcome).at


@pytest.mark.parametrize(
    ("amount", "currency", "kind", "expected"),
    [
        (100, "EUR", "purchase", 108),
        (1, "XTS", "purchase", 0),
        (3, "XTS", "purchase", 2),
        (5, "XTS", "purchase", 2),
        (3, "XTS", "refund", -2),
        (10**12, "EUR", "purchase", 108 * 10**10),
        (10**12 - 1, "EUR", "purchase", 1_079_999_999_999),
    ],
)
def test_other_currencies_are_converted_half_to_even(
    amount: int, currency: str, kind: str, expected: int
) -> None:
    """Another currency with a rate is converted exactly, and half a cent goes to the even one."""
    event = {"amount_minor": amount, "currency": currency, "kind": kind}
    assert expected == ordered(purchase(event)).amount


def test_an_amount_that_no_rate_explains_is_refused() -> None:
    """A thousand times the largest amount is the most that a conversion may make of one."""
    weak = dataclasses.replace(PLAYBOOK, rates={"XTS": Fraction(1000)})
    event = {**PURCHASE, "currency": "XTS", "amount_minor": 10**12}
    assert 10**15 == ordered(check_in_purchase(record(json.dumps(event).encode()), weak)).amount
    weaker = dataclasses.replace(PLAYBOOK, rates={"XTS": Fraction(1001)})
    outcome = check_in_purchase(record(json.dumps(event).encode()), weaker)
    assert isinstance(outcome, Refused)
    assert "bad_value" == outcome.rejected.reason


def test_late_mark_is_read_beside_other_headers() -> None:
    """The header of a replayed dead letter lets a late event in; any other value does not."""
    marked = (("traceparent", b"x"), ("winback-accept-late", b"1"))
    assert ordered(purchase(headers=marked)).accept_late
    assert not ordered(purchase(headers=(("winback-accept-late", b"0"),))).accept_late
    for check_in, event in ((check_in_login, LOGIN), (check_in_support_ticket, STEP)):
        outcome = check_in(record(json.dumps(event).encode(), headers=marked), PLAYBOOK)
        assert isinstance(outcome, CheckedIn)
        assert outcome.stimulus.accept_late


def test_customer_ids_may_hold_any_letter() -> None:
    """The key is compared as UTF-8, escapes in the JSON or not."""
    assert b"\xc3\xa9\xf0\x9f\x90\x9f" == getattr(
        purchase({"customer_id": "é🐟"}, key="é🐟".encode()), "key", None
    )


FUTURE = AT + CLOCK_TOLERANCE_MS


@pytest.mark.parametrize(
    ("timestamp", "expected"),
    [(AT - CLOCK_TOLERANCE_MS, None), (AT - CLOCK_TOLERANCE_MS - 1, "future"), (-1, "future")],
)
def test_future_is_judged_by_the_record(timestamp: int, expected: str | None) -> None:
    """Five minutes past the record's own timestamp is still the present; one millisecond more is not."""
    outcome = purchase(timestamp=timestamp)
    assert expected == (reason(outcome) if isinstance(outcome, Refused) else None)


NOISE = bytes(range(256)) * 4096
BAD_VALUES: dict[str, tuple[bytes | None, str]] = {
    "no value": (None, "empty_value"),
    "an empty value": (b"", "empty_value"),
    "broken JSON": (b'{"id": ', "not_json"),
    "invalid UTF-8": (b'{"id": "\xff"}', "not_utf8"),
    "a megabyte of noise": (NOISE, "too_large"),
    "noise": (NOISE[:LARGEST_VALUE], "not_utf8"),
}
BAD_FIELDS: dict[str, tuple[dict[str, Any], str]] = {
    "wrong type": ({"amount_minor": "1299"}, "wrong_type"),
    "null for a text": ({"order_id": None}, "wrong_type"),
    "NaN": ({"amount_minor": float("nan")}, "bad_value"),
    "negative amount": ({"amount_minor": -1}, "bad_value"),
    "absurd amount": ({"amount_minor": 10**12 + 1}, "bad_value"),
    "absurd items": ({"items": [{"sku": "s", "quantity": 10**9}]}, "bad_value"),
    "currency without a rate": ({"currency": "CHF"}, "unknown_currency"),
    "currency with a line break": ({"currency": "USD\n"}, "unknown_currency"),
    "currency in small letters": ({"currency": "usd"}, "bad_value"),
    "no currency": ({"currency": ""}, "bad_value"),
    "unknown version": ({"schema_version": 2}, "unknown_version"),
    "in the future": ({"occurred_at": "2026-01-05T12:05:00.124Z"}, "future"),
    "before 1970": ({"occurred_at": "1969-12-31T23:59:59.999Z"}, "before_1970"),
    "at the beginning of time": ({"occurred_at": "0001-01-01T00:00:00+23:59"}, "before_1970"),
    "at the end of time": ({"occurred_at": "9999-12-31T23:59:59-23:59"}, "future"),
}
BAD_KEYS: dict[str, tuple[dict[str, Any], bytes | None, str]] = {
    "no key": ({}, None, "no_key"),
    "an empty key": ({}, b"", "no_key"),
    "another customer's key": ({}, b"c-2", "key_mismatch"),
    "the key in quotes": ({}, b'"c-1"', "key_mismatch"),
    "a key that is no text": ({}, b"\xff", "key_mismatch"),
    "a NUL in the customer": ({"customer_id": "c\x001"}, b"c\x001", "bad_value"),
    "the reserved key": ({"customer_id": "\x00winback.partition"}, b"\x00winback.partition", "bad_value"),
}


@pytest.mark.parametrize("case", BAD_VALUES)
def test_bad_value_is_refused(case: str) -> None:
    """A value that is no event is refused with its reason, on each topic."""
    value, expected = BAD_VALUES[case]
    outcomes = {reason(check_in(record(value), PLAYBOOK)) for check_in in CHECK_IN.values()}
    assert {expected} == outcomes


@pytest.mark.parametrize("case", BAD_FIELDS)
def test_bad_field_is_refused(case: str) -> None:
    """A field that does not hold up refuses the record with its reason."""
    fields, expected = BAD_FIELDS[case]
    assert expected == reason(purchase(fields))


def test_refused_currency_is_not_quoted() -> None:
    """What stands in its place may be anybody's address; the detail names the field."""
    refused = purchase({"currency": "jane.doe@example.com"})
    assert isinstance(refused, Refused)
    assert "not a currency's three capital letters - at `$.currency`" == refused.rejected.detail


@pytest.mark.parametrize("field", PURCHASE)
def test_missing_field_is_refused(field: str) -> None:
    """Each required field that is left out refuses the record."""
    value = json.dumps({name: value for name, value in PURCHASE.items() if name != field}).encode()
    assert "missing_field" == reason(check_in_purchase(record(value), PLAYBOOK))


@pytest.mark.parametrize("case", BAD_KEYS)
def test_bad_key_is_refused(case: str) -> None:
    """A record whose key is not its customer's id is refused."""
    fields, key, expected = BAD_KEYS[case]
    assert expected == reason(purchase(fields, key=key))


def test_next_good_record_is_handled() -> None:
    """A refusal leaves nothing behind: the record after it is checked in."""
    assert isinstance(purchase({"amount_minor": -1}), Refused)
    assert 1299 == ordered(purchase()).amount


def test_refusal_holds_no_frames() -> None:
    """What is kept until the dead letter is written holds neither traceback nor cause."""
    outcome = purchase({"amount_minor": -1})
    assert isinstance(outcome, Refused)
    assert (None, None) == (outcome.rejected.__traceback__, outcome.rejected.__context__)


header_names = st.sampled_from(["content-type", "ce_specversion", "ce_type", "ce_id", "winback-accept-late"])
header_values = st.sampled_from([b"1.0", b"1", b"winback.login.v1", b"application/cloudevents"])
fields = st.dictionaries(
    st.sampled_from([*PURCHASE, *STEP, "schema_version", "items"]),
    st.one_of(
        st.none(),
        st.integers(),
        st.floats(),
        st.text(),
        st.just("c-1"),
        st.just("USD"),
        st.just(PURCHASE["occurred_at"]),
        st.datetimes().map(lambda moment: f"{moment.isoformat()}Z"),
    ),
)


@given(
    value=st.one_of(st.none(), st.binary(), fields.map(lambda event: json.dumps(event).encode())),
    key=st.one_of(st.none(), st.binary(), st.just(b"c-1")),
    headers=st.lists(
        st.tuples(header_names | st.text(), header_values | st.binary() | st.none()), max_size=6
    ).map(tuple),
    timestamp=st.integers(-1, 2**63 - 1),
)
def test_any_record_is_checked_in_or_refused(
    value: bytes | None, key: bytes | None, headers: Any, timestamp: int
) -> None:
    """Whatever a record holds, nothing is raised, and what is refused has a dead letter."""
    came = record(value, key=key, headers=headers, timestamp=timestamp)
    for check_in in CHECK_IN.values():
        outcome = check_in(came, PLAYBOOK)
        if isinstance(outcome, Refused):
            assert outcome.rejected.reason in REASONS
            assert (key, value) == dead_letter(came, outcome.rejected)[:2]
        else:
            assert key == outcome.key


@given(st.text(min_size=1, max_size=20, alphabet=st.characters(exclude_categories=["Cs"])))
def test_hash_is_the_head_of_blake2b(identifier: str) -> None:
    """An id's hash is the first 8 bytes of its BLAKE2b digest, signed, the same in each process."""
    assert first_8(identifier) == hash_of(identifier)


TOO_LATE = Rejected("too_late", "31 days behind the partition's clock")


def test_dead_letter_is_the_record_and_its_reason() -> None:
    """Key, value and headers are as they came; whence and why stand in Spring's headers."""
    came = record(b"value", headers=(("traceparent", b"00-1"),))
    expected = [
        ("traceparent", b"00-1"),
        ("kafka_dlt-original-topic", b"purchases"),
        ("kafka_dlt-original-partition", b"3"),
        ("kafka_dlt-original-offset", b"41"),
        ("kafka_dlt-original-timestamp", b"1767614400123"),
        ("kafka_dlt-exception-fqcn", b"schemas.errors.Rejected"),
        ("kafka_dlt-exception-message", b"too_late: 31 days behind the partition's clock"),
        ("winback-reason", b"too_late"),
    ]
    assert (b"c-1", b"value", expected) == dead_letter(came, TOO_LATE)


def test_dead_letter_of_a_replayed_one_has_one_reason() -> None:
    """A record that is refused again, after its replay, carries the newest refusal alone."""
    first = dead_letter(record(b"value"), Rejected("future", "-"))
    second = dead_letter(record(b"value", offset=99, headers=tuple(first[2])), TOO_LATE)
    names = [name for name, _ in second[2]]
    assert len(set(names)) == len(names)
    assert (b"99", b"too_late") == (
        dict(second[2])["kafka_dlt-original-offset"],
        dict(second[2])["winback-reason"],
    )


def test_dead_letter_of_a_megabyte_fits_the_broker() -> None:
    """A megabyte of noise is shortened to what a broker takes, and its header says so."""
    key, value, headers = dead_letter(record(NOISE), TOO_LATE)
    assert value is not None
    assert b"c-1" == key
    assert NOISE.startswith(value)
    assert LARGEST_DEAD_LETTER - 1000 < len(value) < LARGEST_DEAD_LETTER
    assert b"value" == dict(headers)[CUT]


def test_dead_letter_just_within_the_limit_is_whole() -> None:
    """Below the limit nothing is cut."""
    value = NOISE[: LARGEST_DEAD_LETTER - 1000]
    assert value == dead_letter(record(value), TOO_LATE)[1]


@given(
    sizes=st.tuples(*[st.sampled_from([0, 10, 400_000, 999_000, 1_500_000])] * 3),
)
def test_dead_letter_always_fits(sizes: tuple[int, int, int]) -> None:
    """However a megabyte is spread over key, value and headers, the dead letter can be written."""
    key, value, header = (b"x" * size for size in sizes)
    came = record(value, key=key, headers=(("big", header), ("small", b"1")))
    cut_key, cut_value, headers = dead_letter(came, TOO_LATE)
    total = len(cut_key or b"") + len(cut_value or b"")
    total += sum(len(name) + len(content or b"") for name, content in headers)
    assert total <= LARGEST_DEAD_LETTER
    assert b"too_late" == dict(headers)["winback-reason"]


def test_playbook_without_rates_takes_its_own_currency_alone() -> None:
    """Without rates, each currency but the base one is refused."""
    base = dataclasses.replace(PLAYBOOK, currency="EUR", rates=MappingProxyType({}))
    came = record(json.dumps(PURCHASE).encode())
    assert "unknown_currency" == reason(check_in_purchase(came, base))
