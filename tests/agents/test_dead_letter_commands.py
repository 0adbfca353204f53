"""`winback dlt` as a newcomer meets it: help, wrong arguments, no terminal, no broker."""

from pathlib import Path

import pytest

from agents.cli import main
from tests.agents.test_cli import NOBODY


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Help and errors are not broken into short lines."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TERMINAL_WIDTH", "200")


@pytest.mark.parametrize("command", ["dlt", "dlt list", "dlt show", "dlt replay"])
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`-h` works everywhere, without a broker or an environment."""
    assert 0 == main([*command.split(), "-h"])
    assert f"winback {command}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["shw"], 2, "Did you mean 'show'?"),
        (["list", "--topic", "churn-risk"], 2, "choose purchases, logins, support-tickets"),
        (["show", "--reason", "nope"], 2, "--reason nope: choose empty_value"),
        (["show", "--count", "0"], 2, "--count"),
        (["replay", "--since", "soon"], 2, "--since soon: write a date"),
        (["replay"], 2, "no terminal to ask at: look with --dry-run, then send with --yes"),
        (["replay", "--yes", "--playbook", "missing.toml"], 2, "missing.toml: cannot be read"),
        (["list", "--bootstrap", NOBODY], 3, f"no Kafka broker answers at {NOBODY}"),
        (["show", "--bootstrap", NOBODY], 3, f"no Kafka broker answers at {NOBODY}"),
        (["replay", "--dry-run", "--bootstrap", NOBODY], 3, f"no Kafka broker answers at {NOBODY}"),
    ],
)
def test_a_mistake_is_one_line_and_an_exit_code(
    arguments: list[str],
    code: int,
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """What is wrong stands on stderr, nothing on stdout, and nowhere a stack trace."""
    monkeypatch.chdir(tmp_path)
    assert code == main(["dlt", *arguments])
    out, err = capsys.readouterr()
    assert said in err
    assert not out
    assert "Traceback" not in err
