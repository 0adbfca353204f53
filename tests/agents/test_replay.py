"""`winback replay`: what time it is about."""

from datetime import UTC, datetime, timedelta

import pytest

from agents.cli import main
from agents.replay import span
from schemas.errors import ConfigurationError
from schemas.instants import since_epoch

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
NOW = since_epoch(NOON + timedelta(days=30))


def test_both_ends_are_instants_of_events() -> None:
    """RFC 3339, or a date: the start of that UTC day; without an end nobody has named one."""
    assert (since_epoch(NOON), NOW) == span("2026-01-31T12:00Z", "2026-03-02T13:00+01:00", NOW)
    assert (since_epoch(NOON) - 12 * 3_600_000, None) == span("2026-01-31", None, NOW)


@pytest.mark.parametrize(
    ("since", "until", "why"),
    [
        ("yesterday", None, "--from yesterday: write a date"),
        ("2026-01-31T12:00", None, "an instant with a zone"),
        ("2026-01-31", "2026-01-31", "nothing lies between --from 2026-01-31 and --until 2026-01-31"),
        ("2026-04-01", None, "nothing lies between --from 2026-04-01 and now"),
        ("2026-01-31", "2026-04-01", "--until 2026-04-01 is still to come"),
    ],
)
def test_a_time_without_sense_is_refused(since: str, until: str | None, why: str) -> None:
    """What cannot be read, an empty time, and one that has not passed."""
    with pytest.raises(ConfigurationError, match=why):
        span(since, until, NOW)


def test_a_replay_must_be_named(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The application id of the environment is the live one's."""
    monkeypatch.setenv("WINBACK_APPLICATION_ID", "live")
    assert 2 == main(["replay", "--from", "2026-01-01"])
    assert "error: name the replay: --application-id NEW" in capsys.readouterr().err


def test_a_name_before_the_command_counts(capsys: pytest.CaptureFixture[str]) -> None:
    """As every option does; what is wrong here is the time."""
    assert 2 == main(["--application-id", "trial", "replay", "--from", "tomorrow"])
    assert "error: --from tomorrow: " in capsys.readouterr().err
