"""`winback forget` as a newcomer meets it: help, wrong arguments, no terminal, no broker."""

import pytest

from agents.cli import main
from agents.forget import request_of
from schemas.errors import ConfigurationError
from streams.clock import wall_ms
from tests.agents.test_cli import NOBODY


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 2, "Missing argument"),
        (["c-1"], 2, "no terminal to ask at: say --yes"),
        ([""], 2, "a customer's id has 1 to 256 characters"),
        (["x" * 257], 2, "a customer's id has 1 to 256 characters"),
        (["c-1", "--at", "soon"], 2, "--at soon: write a date"),
        (["c-1", "--at", "2026-01-31T12:00"], 2, "or an instant with a zone"),
        (["c-1", "--at", "2999-01-01", "--yes"], 2, "lies in the future"),
        (["c-1", "--yes", "--bootstrap", NOBODY], 3, f"no Kafka broker answers at {NOBODY}"),
    ],
)
def test_a_mistake_is_one_line_and_an_exit_code(
    arguments: list[str],
    code: int,
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is wrong stands on stderr, nothing on stdout, and nowhere a stack trace."""
    monkeypatch.setenv("COLUMNS", "200")
    assert code == main(["forget", *arguments])
    out, err = capsys.readouterr()
    assert said in err
    assert not out
    assert "Traceback" not in err


def test_without_an_instant_it_is_now() -> None:
    """To the millisecond."""
    before = wall_ms()
    assert before <= request_of("c-1", None).at <= wall_ms()


def test_a_date_is_the_start_of_its_day() -> None:
    """In UTC, as everywhere."""
    assert 1_769_817_600_000 == request_of("c-1", "2026-01-31").at


def test_the_reserved_key_is_nobody() -> None:
    """No customer's id holds a NUL."""
    with pytest.raises(ConfigurationError):
        request_of("\x00winback.partition", None)
