"""Lines of a history file become rows, or are refused with place and reason."""

import io
from typing import cast

import msgspec
import pytest

from agents.identify import identified
from agents.rows import COMPLETE, NO_ID, NO_ORDER, BadRow, Form, Row, read_rows
from schemas.events import Event
from schemas.topics import LOGINS, PURCHASES, SUPPORT_TICKETS, TopicSpec
from streams.checked import CheckedIn, SourceRecord
from streams.intake import CHECK_IN
from streams.playbook_file import load_playbook

NOW = 1_750_000_000_000  # 2025-06-15T15:06:40Z


def read(
    text: str | bytes, topic: TopicSpec = PURCHASES, rates: frozenset[str] = frozenset()
) -> list[Row | BadRow]:
    """What a file of this content gives."""
    content = text.encode() if isinstance(text, str) else text
    form = Form(topic, cast(type[Event], topic.body), NOW, "USD", 2, rates)
    return list(read_rows(io.BufferedReader(io.BytesIO(content)), "file", 0, form))


def one_bad(text: str | bytes, topic: TopicSpec = PURCHASES) -> str:
    """The report on a file whose only line after the header is wrong."""
    (row,) = read(text, topic)
    return str(row)


def value_of(row: Row | BadRow) -> dict[str, object]:
    """The JSON of a good row."""
    assert not isinstance(row, BadRow), row
    return cast(dict[str, object], msgspec.json.decode(row[2]))


HEADER = "customer_id,occurred_at,amount\n"


def test_a_csv_line_becomes_an_event() -> None:
    """A date is the start of its UTC day, the amount exact minor units, the key the customer."""
    (row,) = read(HEADER + "c1,2025-01-02,10.29\n")
    assert not isinstance(row, BadRow)
    assert (1_735_776_000_000, b"c1", NO_ID | NO_ORDER) == (row[0], row[1], row[4])
    assert {
        "customer_id": "c1",
        "occurred_at": "2025-01-02T00:00:00Z",
        "amount_minor": 1029,
        "currency": "USD",
    } == value_of(row)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_the_delimiter_is_read_off_the_header(delimiter: str) -> None:
    """Commas, semicolons and tabs are told apart; blank cells are absent fields."""
    header = "customer_id,occurred_at,amount_minor,order_id,kind,channel\n"
    text = header + "c1,2025-01-02T03:04:05+01:00,7,o1,refund,\n"
    (row,) = read("\ufeff" + text.replace(",", delimiter))
    assert {
        "customer_id": "c1",
        "occurred_at": "2025-01-02T02:04:05Z",
        "amount_minor": 7,
        "order_id": "o1",
        "kind": "refund",
        "currency": "USD",
    } == value_of(row)


def test_a_json_line_goes_out_as_it_came() -> None:
    """A complete event keeps its bytes, fields of the producer's own included."""
    line = b'{"id":"1", "customer_id":"c1", "occurred_at":"2025-01-01T00:00:00Z", "mine":[1]}'
    assert [(1_735_689_600_000, b"c1", line, 0, COMPLETE)] == read(b"\n" + line + b"\n\n", LOGINS)[0:1]


def test_a_json_line_may_lack_its_ids() -> None:
    """What is missing is marked, for the ids that are made from the content."""
    line = (
        '{"customer_id":"c1","occurred_at":"2025-01-01T00:00:00Z","amount_minor":5,"currency":"USD","id":"7"}'
    )
    (row,) = read(line)
    assert row[4] == NO_ORDER  # type: ignore[index]


@pytest.mark.parametrize(
    ("line", "report"),
    [
        ("c1,2025-01-02,10.505", "file, line 2, column amount: more than 2 decimal places"),
        ("c1,2025-01-02,ten", "file, line 2, column amount: not a number with a decimal point"),
        ("c1,2025-01-02,NaN", "file, line 2, column amount: not a number with a decimal point"),
        ("c1,2025-01-02,Infinity", "file, line 2, column amount: not a number with a decimal point"),
        ("c1,2025-01-02,", "file, line 2, column amount: not a number with a decimal point"),
        (
            "c1,2025-01-02,-1",
            "file, line 2, column amount: negative; a refund is kind=refund with a positive amount",
        ),
        ("c1,2025-01-02,1e18", "file, line 2, column amount_minor: expected `int` <= 1000000000000"),
        (
            "c1,2025-13-02,1",
            "file, line 2, column occurred_at: neither RFC 3339 (2026-01-31T12:00:00Z) nor a date",
        ),
        (
            "c1,2025-01-02T10:00:00,1",
            "file, line 2, column occurred_at: no time zone; write 2026-01-31T12:00:00Z",
        ),
        ("c1,1969-12-31,1", "file, line 2, column occurred_at: before 1970"),
        ("c1,2025-06-15T15:11:41Z,1", "file, line 2, column occurred_at: in the future"),
        (",2025-01-02,1", "file, line 2, column customer_id: missing"),
        ("c\0,2025-01-02,1", "file, line 2, column customer_id: holds a NUL character"),
        ("c1,2025-01-02", "file, line 2: 2 cells, and the header has 3"),
        ("c1,2025-01-02,1,2", "file, line 2: 4 cells, and the header has 3"),
    ],
)
def test_a_bad_csv_line_is_refused_with_place_and_reason(line: str, report: str) -> None:
    """File, line, column and reason, and never what the line holds."""
    assert report == one_bad(HEADER + line + "\n")


@pytest.mark.parametrize(
    ("line", "report"),
    [
        ('{"broken', "file, line 1: not a JSON object in UTF-8"),
        (
            '{"customer_id":5,"occurred_at":"2025-01-01T00:00:00Z"}',
            "file, line 1, column customer_id: expected `str`, got `int`",
        ),
        ('{"customer_id":"c"}', "file, line 1, column occurred_at: missing"),
        ('{"x":' + "[" * 100_000, "file, line 1: not a JSON object in UTF-8"),
        ('{"x":"' + "y" * 300_000 + '"}', "file, line 1: longer than 262,144 bytes"),
    ],
)
def test_a_bad_json_line_is_refused_with_place_and_reason(line: str, report: str) -> None:
    """Broken, mistyped, incomplete, bottomless and oversized lines."""
    assert report == one_bad(line, LOGINS)


@pytest.mark.parametrize(
    ("text", "report"),
    [
        ("", "the header lacks amount, customer_id, occurred_at (it has nothing)"),
        (
            "customer,occurred_at,amount\n",
            "the header lacks customer_id (it has customer, occurred_at, amount)",
        ),
        ("customer_id,occurred_at,amount,amount_minor\n", "both amount and amount_minor; keep one"),
        ("customer_id,occurred_at,amount,kind,kind\n", "the header names kind twice"),
        ('[{"id":1}]', "a JSON array; write one object a line instead"),
    ],
)
def test_a_file_of_the_wrong_shape_is_one_report(text: str, report: str) -> None:
    """A wrong header is said once, for line 1, and not for each line after it."""
    assert f"file, line 1: {report}" == one_bad(text + "c1,2025-01-01,1\n" if text.endswith("\n") else text)


def test_a_file_for_another_topic_is_refused() -> None:
    """Purchases hold all that a login needs, so that a wrong --topic would pass unnoticed."""
    report = "file, line 1: the column amount belongs to purchases: is --topic logins right?"
    assert report == one_bad(HEADER + "c1,2025-01-02,5\n", LOGINS)


def test_bytes_that_are_no_text_spoil_their_line_alone() -> None:
    """The lines before and after a line that is not UTF-8 are read."""
    rows = read(HEADER.encode() + b"c1,2025-01-02,1\nc\xff,2025-01-02,1\nc3,2025-01-02,1\n")
    assert [False, True, False] == [isinstance(row, BadRow) for row in rows]
    assert str(rows[1]) == "file, line 3: not UTF-8"


def test_an_oversized_line_does_not_hide_the_next() -> None:
    """Reading goes on after the end of the line that was too long."""
    good = '{"id":"1","customer_id":"c","occurred_at":"2025-01-01T00:00:00Z"}'
    rows = read('{"x":"' + "y" * 700_000 + '"}\n' + good, LOGINS)
    assert [True, False] == [isinstance(row, BadRow) for row in rows]


def test_major_units_are_of_the_base_currency_alone() -> None:
    """Nobody knows the decimal places that a file of another currency means."""
    text = "customer_id,occurred_at,amount,currency\nc1,2025-01-02,5,JPY\n"
    assert "file, line 2, column amount: not in USD: give amount_minor for other currencies" == one_bad(text)


def test_a_currency_needs_a_rate() -> None:
    """Without one the engine would refuse the event, so the loader says it first."""
    text = "customer_id,occurred_at,amount_minor,currency\nc1,2025-01-02,5,EUR\n"
    assert "file, line 2, column currency: no rate for it in the playbook" == one_bad(text)
    assert not isinstance(read(text, rates=frozenset({"EUR"}))[0], BadRow)


@pytest.mark.parametrize(
    ("topic", "text"),
    [
        (PURCHASES, HEADER + "c1,2025-01-02,10.29\nc2,2025-06-15T15:11:40Z,0\n"),
        (LOGINS, "customer_id,occurred_at,method\nc1,2025-01-02,password\n"),
        (SUPPORT_TICKETS, "customer_id,occurred_at,ticket_id,status\nc1,2025-01-02,t1,opened\n"),
    ],
)
def test_what_is_loaded_is_checked_in(topic: TopicSpec, text: str) -> None:
    """A row that the loader lets through is never a dead letter of the engine."""
    rows = [row for row in read(text, topic) if not isinstance(row, BadRow)]
    assert text.count("\n") - 1 == len(rows)
    playbook = load_playbook(None, None)
    for key, value in identified(rows, topic.name):
        record = SourceRecord(topic.name, 0, 0, NOW, key, value)
        assert isinstance(CHECK_IN[topic.name](record, playbook), CheckedIn)
