"""What goes back to its topic and how, and what is kept back and why."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from agents.configuration import read_settings
from agents.dead_letter_replay import Terms, judge
from agents.dead_letters import DeadLetter, parsed
from schemas.codec import encode_event
from schemas.events import Event
from schemas.instants import instant
from schemas.topics import LOGINS, PURCHASES, SOURCES, SUPPORT_TICKETS, TopicSpec
from streams.checked import SourceRecord
from streams.intake import ACCEPT_LATE
from streams.partitioner import partition_of
from streams.playbook_file import load_playbook
from tests.agents.test_dead_letters import REFUSED, WRITTEN, letter
from tests.flows.events import login, purchase, ticket
from tests.streams.memory import TOPICS

PARTITIONS = 5
NOW = WRITTEN + 3_600_000
MINUTE = 60_000


def terms(*, accept_late: bool = False, now: int = NOW) -> Terms:
    """Judged an hour after the record was written, by the packaged playbook."""
    settings = read_settings(application_id="test", topic_prefix="prefix.")
    counts = {TOPICS.name(source): PARTITIONS for source in SOURCES}
    return Terms(settings, load_playbook(None, None), counts, now, accept_late)


def good(reason: str = "unknown_currency", at: int = WRITTEN, **more: Any) -> DeadLetter:
    """A purchase that nothing is wrong with any more."""
    return letter(reason, value=encode_event(purchase("c", at)), **more)


def sent(judged: SourceRecord | str) -> SourceRecord:
    """What was judged fit."""
    assert isinstance(judged, SourceRecord), judged
    return judged


def test_a_record_goes_back_as_it_came() -> None:
    """To its topic, with its key, value, headers and timestamp, and nothing of the refusal's."""
    headers = [("traceparent", b"00-ab"), ("empty", None)]
    record = sent(judge(good(headers=headers), terms()))
    place = ("prefix.purchases", partition_of(b"c", PARTITIONS), 40)
    assert place == (record.topic, record.partition, record.offset)
    assert (WRITTEN, b"c", headers) == (record.timestamp, record.key, record.headers)
    assert encode_event(purchase("c", WRITTEN)) == record.value


@pytest.mark.parametrize(
    ("source", "event"),
    [(PURCHASES, purchase), (LOGINS, login), (SUPPORT_TICKETS, ticket)],
    ids=lambda given: getattr(given, "name", ""),
)
def test_each_topic_s_dead_letters_go_back_to_it(
    source: TopicSpec, event: Callable[[str, int], Event]
) -> None:
    """Purchases, logins and support tickets alike."""
    again = sent(judge(letter(source=source, value=encode_event(event("c", WRITTEN))), terms()))
    assert TOPICS.name(source) == again.topic


def test_accept_late_marks_what_goes_back() -> None:
    """Whatever it was refused for: it may have become too late meanwhile."""
    assert [ACCEPT_LATE] == sent(judge(good(), terms(accept_late=True))).headers
    late = good("too_late", WRITTEN - 40 * 86_400_000)
    assert [ACCEPT_LATE] == sent(judge(late, terms(accept_late=True))).headers


def test_what_was_marked_before_is_not_marked_for_ever() -> None:
    """The mark is this replay's alone."""
    assert [] == sent(judge(good(headers=[ACCEPT_LATE]), terms())).headers


def test_what_lay_ahead_is_judged_as_of_now() -> None:
    """Refused for the future, and its instant has passed since: it goes with a new timestamp."""
    ahead = good("future", WRITTEN + 50 * MINUTE)
    assert NOW == sent(judge(ahead, terms())).timestamp
    assert "would be refused again (future)" == judge(ahead, terms(now=WRITTEN + 44 * MINUTE))


def test_what_was_refused_for_something_else_is_not_excused_from_the_future() -> None:
    """Its own timestamp speaks against it, however long ago that was."""
    assert "would be refused again (future)" == judge(good("not_json", WRITTEN + 6 * MINUTE), terms())


@pytest.mark.parametrize("timestamp", [-1, NOW + 1, 2**62])
def test_a_record_without_a_sensible_time_of_its_own_gets_the_present(timestamp: int) -> None:
    """None at all, or one still to come, which the broker would refuse."""
    assert NOW == sent(judge(good(timestamp=timestamp), terms())).timestamp


@pytest.mark.parametrize(
    ("dead", "why"),
    [
        (letter(value=b"{"), "would be refused again (not_json)"),
        (letter("no_key", key=None, value=encode_event(purchase("c", WRITTEN))), "(no_key)"),
        (letter("key_mismatch", key=b"d", value=encode_event(purchase("c", WRITTEN))), "(key_mismatch)"),
        (letter(value=encode_event(purchase("c", WRITTEN, currency="XTS"))), "(unknown_currency)"),
        (letter("too_large", value=b"n" * 300_000), "would be refused again (too_large)"),
        (letter("too_large", value=b"n" * 2_000_000), "its value had to be cut, so only its producer"),
        (good(headers=[("h", b"n" * 2_000_000)]), "its headers had to be cut, so only its producer"),
        (good("too_late"), "too late still; --accept-late has it folded"),
        (good(topic="elsewhere.purchases"), "comes from another topic than prefix.purchases"),
        (
            parsed(PURCHASES, SourceRecord("prefix.purchases-dlt", 0, 0, REFUSED, b"c", b"{}")),
            "not written by Winback",
        ),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_what_would_only_come_back_is_kept_back(dead: DeadLetter, why: str) -> None:
    """Else two replays would make four letters of one."""
    judged = judge(dead, terms())
    assert isinstance(judged, str)
    assert why in judged


def test_a_login_that_is_too_late_is_kept_back_in_any_case() -> None:
    """The engine never folds it, marked or not."""
    late = letter("too_late", source=LOGINS, value=encode_event(login("c", WRITTEN)))
    for accept_late in (False, True):
        assert "a login that is too late is never folded, its rates are final" == judge(
            late, terms(accept_late=accept_late)
        )


def test_why_never_quotes_the_record() -> None:
    """What is kept back may be personal."""
    dead = letter("bad_value", value=json.dumps({"id": "ann@example.com"}).encode(), key=b"ann@example.com")
    assert "would be refused again (missing_field)" == judge(dead, terms())
    assert instant(NOW) > instant(WRITTEN)
