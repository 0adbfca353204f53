"""What tells a replay apart from the live application."""

from datetime import UTC, datetime

import pytest

from schemas.instants import since_epoch
from schemas.topics import (
    CHANGELOG,
    CHURN_RISK,
    CUSTOMER_HEALTH,
    DEAD_LETTERS,
    READ,
    WIN_BACK,
    TopicSpec,
)
from streams.playbook_file import load_playbook
from streams.replay import ReplaySettings, refusal, run_of
from streams.run import UNREADABLE, Run
from streams.settings import Settings

PLAYBOOK = load_playbook(None, None)
LIVE = Settings(application_id="trial", topic_prefix="eu.")
FROM, UNTIL = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)
REPLAY = ReplaySettings(
    application_id="trial", topic_prefix="eu.", clock="event", begin_instant=FROM, end_instant=UNTIL
)
ASKED = Run(since_epoch(FROM), since_epoch(UNTIL), open_end=False, model=1, playbook=2)


def changed(**members: object) -> Run:
    """Another run than ASKED."""
    values = {name: getattr(ASKED, name) for name in ASKED.__struct_fields__}
    return Run(**{**values, **members})


def test_a_replay_reads_the_topics_of_the_live_application() -> None:
    """What others write has one name for all."""
    assert [LIVE.topics.name(spec) for spec in READ] == [REPLAY.topics.name(spec) for spec in READ]


@pytest.mark.parametrize("spec", [CHURN_RISK, WIN_BACK, CUSTOMER_HEALTH, *DEAD_LETTERS])
def test_a_replay_writes_to_topics_of_its_own(spec: TopicSpec) -> None:
    """Named after its application id, as the changelog is."""
    names = {spec.name for spec in REPLAY.topics.all()}
    assert f"eu.trial-{spec.name}" in names
    assert LIVE.topics.name(spec) not in names


def test_its_application_id_in_the_prefix_finds_what_it_said() -> None:
    """So `winback watch` shows it, and `winback dlt list` its dead letters."""
    looking = Settings(topic_prefix="eu.trial-")
    for spec in (CHURN_RISK, WIN_BACK, *DEAD_LETTERS):
        assert REPLAY.topics.name(spec) == looking.topics.name(spec)


def test_the_changelog_has_one_name_for_both() -> None:
    """So that each finds the other's state, and refuses it."""
    assert LIVE.topics.name(CHANGELOG) == REPLAY.topics.name(CHANGELOG)


def test_what_a_replay_was_asked_for_follows_from_its_settings() -> None:
    """Both instants, and what it decides by; a worker's settings ask for none."""
    expected = changed(model=PLAYBOOK.fingerprint_model, playbook=PLAYBOOK.fingerprint_playbook)
    assert expected == run_of(REPLAY, PLAYBOOK)
    assert run_of(LIVE, PLAYBOOK) is None


@pytest.mark.parametrize("run", [None, ASKED])
def test_the_same_again_is_carried_on(run: Run | None) -> None:
    """A replay as it was begun, and a live application."""
    assert refusal(run, run, REPLAY) is None


@pytest.mark.parametrize(
    ("recorded", "wanted", "why"),
    [
        (None, ASKED, "trial has a state already, in eu.trial-customers-changelog: choose another"),
        (ASKED, None, "the state in eu.trial-customers-changelog is that of a replay"),
        (UNREADABLE, None, "is that of a replay"),
        (
            ASKED,
            changed(begin=0, open_end=True),
            "--until 2026-03-01T00:00Z, in eu.trial-customers-changelog: not --from 1970-01-01T00:00Z. Go on",
        ),
        (changed(end=ASKED.end + 1), ASKED, "--until 2026-03-01T00:00:00.001Z"),
        (ASKED, changed(playbook=0), "made with another playbook"),
        (ASKED, changed(model=0), "made with another model"),
    ],
)
def test_anything_else_is_refused_and_named(recorded: Run | None, wanted: Run | None, why: str) -> None:
    """A state that is no replay's, a replay's where none is wanted, and another replay's."""
    assert why in (refusal(recorded, wanted, REPLAY) or "")
