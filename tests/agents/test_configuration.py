"""Settings come from the environment and from options, and mistakes are one line."""

import pytest

from agents.configuration import environment_of, read_settings
from schemas.errors import ConfigurationError


def test_options_win_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """An option that is given overrides its variable; one that is not leaves it."""
    monkeypatch.setenv("WINBACK_BOOTSTRAP", "env:1")
    monkeypatch.setenv("WINBACK_APPLICATION_ID", "env")
    settings = read_settings(bootstrap="option:1", application_id=None)
    assert ("option:1", "env") == (settings.bootstrap, settings.application_id)


def test_a_wrong_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable, what is allowed, and what stood there."""
    monkeypatch.setenv("WINBACK_HTTP_PORT", "70000")
    with pytest.raises(
        ConfigurationError,
        match=r"^WINBACK_HTTP_PORT: input should be less than or equal to 65535, not '70000'$",
    ):
        read_settings()


def test_a_wrong_option_is_named() -> None:
    """The option as it is typed, not the variable behind it."""
    with pytest.raises(
        ConfigurationError, match=r"^--end-instant: input should be a valid datetime.*'soon'$"
    ):
        read_settings(end_instant="soon")


def test_every_mistake_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two wrong variables, one error."""
    monkeypatch.setenv("WINBACK_PARTITIONS", "0")
    monkeypatch.setenv("WINBACK_CLOCK", "sundial")
    with pytest.raises(ConfigurationError, match=r"WINBACK_CLOCK: .*; WINBACK_PARTITIONS: "):
        read_settings()


def test_a_secret_is_never_shown() -> None:
    """Not even a password of the wrong type."""
    with pytest.raises(ConfigurationError) as caught:
        read_settings(sasl_password=["hunter2"])
    assert "--sasl-password" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_worker_of_its_own_gets_what_was_set_and_no_secret() -> None:
    """Also a value that is the default, since the environment may hold another; a password stays out."""
    settings = read_settings(bootstrap="127.0.0.1:9092", clock="event", sasl_password="hush")
    given = environment_of(settings)
    assert {"WINBACK_BOOTSTRAP": "127.0.0.1:9092", "WINBACK_CLOCK": "event"} == {
        name: given[name] for name in ("WINBACK_BOOTSTRAP", "WINBACK_CLOCK")
    }
    assert "WINBACK_SASL_PASSWORD" not in given
