"""Dead letters as people and programs see them."""

import msgspec

from agents.dead_letter_report import described, printable, shown
from agents.dead_letters import parsed
from schemas.topics import PURCHASES
from streams.checked import SourceRecord
from tests.agents.test_dead_letters import REFUSED, letter


def test_a_dead_letter_is_described() -> None:
    """Where it stands, when and why it was refused, its key, whence it came, its headers."""
    text = described(letter(headers=[("traceparent", b"00-ab")]), with_value=False).plain
    assert [
        "prefix.purchases-dlt 2:7  2025-06-15 15:06:40Z  not_json  JSON is malformed or ends too soon",
        "  key     c",
        "  from    prefix.purchases 2:40, written 2025-06-15 15:06:40Z",
        "  header  traceparent: 00-ab",
    ] == text.splitlines()


def test_values_are_shown_to_those_alone_who_ask() -> None:
    """They may be personal."""
    secret = letter(value=b'{"mail": "ann@example.com"')
    assert "ann@" not in described(secret, with_value=False).plain
    assert "ann@" not in msgspec.json.encode(shown(secret, with_value=False)).decode()
    assert described(secret, with_value=True).plain.endswith('  value   {"mail": "ann@example.com"')
    assert '{"mail": "ann@example.com"' == shown(secret, with_value=True).value


def test_what_was_cut_is_said() -> None:
    """A shortened value is not to be taken for the whole."""
    assert "  cut     value" in described(letter(value=b"n" * 2_000_000), with_value=False).plain


def test_what_is_not_ours_is_described_too() -> None:
    """No reason, no original, no key, no value; a header without one, a time that says nothing."""
    record = SourceRecord("prefix.purchases-dlt", 0, 0, -1, None, None, [("empty", None)])
    stray = parsed(PURCHASES, record)
    assert [
        "prefix.purchases-dlt 0:0  at no known time  (none)",
        "  key     none",
        "  header  empty: none",
        "  value   none",
    ] == described(stray, with_value=True).plain.splitlines()
    assert {
        "topic": "prefix.purchases-dlt",
        "partition": 0,
        "offset": 0,
        "refused_at": None,
        "reason": None,
        "detail": "",
        "key": None,
        "original": None,
        "cut": [],
        "headers": [["empty", None]],
        "value": None,
    } == msgspec.json.decode(msgspec.json.encode(shown(stray, with_value=True)))


def test_what_is_no_text_is_base64_in_json() -> None:
    """Bytes come through whole, and are told from text."""
    odd = letter(key=b"\xff\xfe", headers=[("trace", b"\x80")])
    assert {
        "key": {"base64": "//4="},
        "headers": [["trace", {"base64": "gA=="}]],
        "original": {
            "topic": "prefix.purchases",
            "partition": 2,
            "offset": 40,
            "written_at": "2025-06-15T15:06:40Z",
        },
        "refused_at": "2025-06-15T15:06:40.500000Z",
    }.items() <= msgspec.json.decode(msgspec.json.encode(shown(odd, with_value=False))).items()
    assert 500 == REFUSED % 1000


def test_a_time_that_no_calendar_holds_harms_nobody() -> None:
    """Whatever a producer writes as its record's timestamp."""
    assert "written at no known time" in described(letter(timestamp=2**62), with_value=False).plain


def test_no_record_can_play_with_the_terminal() -> None:
    """Escape sequences and line breaks are shown, not obeyed; other scripts stay readable."""
    assert "\\x1b[31m日本\\n\\xff\\u202e" == printable(
        "\x1b[31m日本\n".encode() + b"\xff" + "\u202e".encode()
    )
    assert "[red]" in described(letter(key=b"[red]c[/red]"), with_value=False).plain
