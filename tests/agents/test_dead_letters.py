"""What a dead letter says of itself, and which ones a selection means."""

from collections.abc import Sequence

import pytest

from agents.dead_letters import DeadLetter, Original, Selection, parsed, read_selection
from schemas.errors import ConfigurationError, Rejected
from schemas.topics import LOGINS, PURCHASES, SOURCES, SUPPORT_TICKETS, TopicSpec, dead_letters
from streams.checked import SourceRecord
from streams.intake import LARGEST_DEAD_LETTER, dead_letter
from tests.streams.memory import TOPICS

WRITTEN = 1_750_000_000_000  # 2025-06-15T15:06:40Z
REFUSED = WRITTEN + 500


def letter(
    reason: str = "not_json",
    detail: str = "JSON is malformed or ends too soon",
    *,
    source: TopicSpec = PURCHASES,
    key: bytes | None = b"c",
    value: bytes | None = b"{",
    headers: Sequence[tuple[str, bytes]] = (),
    timestamp: int = WRITTEN,
    topic: str | None = None,
) -> DeadLetter:
    """The dead letter that a worker makes of a record: read as it is written."""
    topic = topic or TOPICS.name(source)
    record = SourceRecord(topic, 2, 40, timestamp, key, value, headers)
    key, value, written = dead_letter(record, Rejected(reason, detail))
    name = TOPICS.name(dead_letters(source))
    return parsed(source, SourceRecord(name, 2, 7, REFUSED, key, value, written))


def test_what_a_worker_writes_is_read_back() -> None:
    """Where it stands, why, whence it came; the original's headers apart from those of the refusal."""
    expected = DeadLetter(
        source=PURCHASES,
        topic="prefix.purchases-dlt",
        partition=2,
        offset=7,
        refused_at=REFUSED,
        reason="not_json",
        detail="JSON is malformed or ends too soon",
        key=b"c",
        value=b"{",
        headers=(("traceparent", b"00-ab"), ("traceparent", b"00-cd")),
        original=Original("prefix.purchases", 2, 40, WRITTEN),
        cut=(),
    )
    assert expected == letter(headers=[("traceparent", b"00-ab"), ("traceparent", b"00-cd")])


def test_what_was_cut_is_named() -> None:
    """A record too large to go out again with our headers on top."""
    large = b"n" * LARGEST_DEAD_LETTER
    assert ("value",) == letter(value=large).cut
    assert ("key", "value", "headers") == letter(key=large, value=large, headers=[("h", large)]).cut


def test_the_marks_of_an_earlier_replay_are_not_the_original_s() -> None:
    """A record that was sent back, marked, and refused once more goes back as it first came."""
    marked = [
        ("traceparent", b"00-ab"),
        ("winback-accept-late", b"1"),
        ("kafka_dlt-exception-stacktrace", b""),
    ]
    assert (("traceparent", b"00-ab"),) == letter(headers=marked).headers


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("kafka_dlt-original-topic", b"purchases")],
        [
            ("kafka_dlt-original-topic", b"purchases"),
            ("kafka_dlt-original-partition", b"first"),
            ("kafka_dlt-original-offset", b"\xff"),
            ("kafka_dlt-original-timestamp", None),
        ],
    ],
)
def test_what_somebody_else_has_written_is_read_too(headers: list[tuple[str, bytes]]) -> None:
    """No reason and no original; no header can stop the reading."""
    read = parsed(PURCHASES, SourceRecord("prefix.purchases-dlt", 0, 0, REFUSED, None, None, headers))
    assert ("", "", None) == (read.reason, read.detail, read.original)


def test_without_options_every_dead_letter_is_meant() -> None:
    """All topics, all reasons, all times."""
    assert Selection() == read_selection(None, None, None, None, None)
    assert Selection().takes(letter())


def test_topics_are_named_by_themselves_or_by_their_dead_letters() -> None:
    """In any order; they are read in ours."""
    assert (PURCHASES, LOGINS) == read_selection(["logins-dlt", "purchases"], None, None, None, None).sources
    assert SOURCES == read_selection([], None, None, None, None).sources
    assert (SUPPORT_TICKETS,) == read_selection(["support-tickets"] * 2, None, None, None, None).sources


@pytest.mark.parametrize(
    ("options", "taken"),
    [
        ({"reasons": ["not_json"]}, True),
        ({"reasons": ["too_late", "not_json"]}, True),
        ({"reasons": ["too_late"]}, False),
        ({"customer": "c"}, True),
        ({"customer": "d"}, False),
        ({"since": "2025-06-15"}, True),
        ({"since": "2025-06-16"}, False),
        ({"since": "2025-06-15T15:06:40.500Z"}, True),
        ({"since": "2025-06-15T15:06:40.501Z"}, False),
        ({"until": "2025-06-15T15:06:40.500Z"}, False),
        ({"until": "2025-06-15T17:06:40.501+02:00"}, True),
        ({"since": "2025-06-15", "until": "2025-06-16", "reasons": ["not_json"], "customer": "c"}, True),
        ({"since": "2025-06-15", "until": "2025-06-16", "reasons": ["not_json"], "customer": "d"}, False),
    ],
)
def test_a_selection_takes_what_fits_all_of_it(options: dict[str, object], taken: bool) -> None:
    """Since is included, until is not; several reasons are alternatives."""
    given: dict[str, object] = {"reasons": None, "since": None, "until": None, "customer": None, **options}
    assert taken == read_selection(None, **given).takes(letter())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"topics": ["churn-risk"]}, "--topic churn-risk: choose purchases, logins, support-tickets"),
        ({"reasons": ["nope"]}, "--reason nope: choose empty_value, too_large, "),
        ({"since": "yesterday"}, r"--since yesterday: write a date \(2026-01-31\) or an instant with a zone"),
        ({"until": "2026-01-31T12:00"}, "--until 2026-01-31T12:00: write a date"),
        ({"since": "1969-12-31"}, "--since 1969-12-31: write a date"),
        (
            {"since": "2026-02-01", "until": "2026-02-01"},
            "nothing lies between --since 2026-02-01 and --until 2026-02-01",
        ),
    ],
)
def test_an_option_that_makes_no_sense_is_named(options: dict[str, object], said: str) -> None:
    """One line that says what may stand there."""
    given = {"topics": None, "reasons": None, "since": None, "until": None, "customer": None, **options}
    with pytest.raises(ConfigurationError, match=f"^{said}"):
        read_selection(**given)  # type: ignore[arg-type]
