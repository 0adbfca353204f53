"""The command line as a newcomer meets it: wrong arguments, wrong files, no broker."""

import subprocess
import sys
from pathlib import Path

import pytest

from agents import console
from agents.cli import main
from agents.console import ExitCode, exit_code
from schemas.errors import BrokerUnreachable, Fenced, PlaybookError, StateError, TopicsError

NOBODY = "127.0.0.1:1"
"""Where no broker listens."""

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Help and errors are not broken into short lines."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TERMINAL_WIDTH", "200")


def test_each_error_has_its_exit_code() -> None:
    """Mistakes of the user, of the network and of the engine are told apart."""
    errors = [TopicsError(), PlaybookError(), BrokerUnreachable(), Fenced(), StateError()]
    assert [2, 2, 3, 4, 4] == [exit_code(error) for error in errors]


def test_help_names_every_command_and_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    """`winback --help` is the map."""
    assert main(["--help"]) == ExitCode.DONE
    shown = capsys.readouterr().out
    for name in ("worker", "replay", "topics", "load", "simulate", "watch", "explain", "fit", "demo"):
        assert f" {name} " in shown
    for code in (ExitCode.MISTAKE, ExitCode.UNREACHABLE, ExitCode.FATAL, ExitCode.INTERRUPTED):
        assert f"{code:d} " in shown.partition("Exit codes:")[2]


@pytest.mark.parametrize(
    "command",
    [
        "worker",
        "replay",
        "topics",
        "topics create",
        "topics check",
        "load",
        "simulate",
        "watch",
        "explain",
        "fit",
        "demo",
    ],
)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`-h` works everywhere, without a broker or an environment."""
    assert main([*command.split(), "-h"]) == ExitCode.DONE
    assert f"winback {command}" in capsys.readouterr().out


def test_the_version_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """`winback --version`, installed or from a source tree."""
    assert main(["--version"]) == ExitCode.DONE
    assert capsys.readouterr().out.startswith("winback")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["tpics"], 2, "Did you mean 'topics'?"),
        (["load"], 2, "Missing argument"),
        (["load", "x.csv"], 2, "Missing option '--topic'"),
        (["load", "missing.csv", "--topic", "purchases"], 2, "missing.csv cannot be read: No such file"),
        (["load", "x.csv", "--topic", "churn-risk"], 2, "choose purchases, logins, support-tickets"),
        (["simulate"], 2, "Give --out DIR for files, or --live"),
        (["simulate", "--customers", "0"], 2, "--customers"),
        (["worker", "--clock", "sundial"], 2, "--clock"),
        (["topics", "check", "--application-id", "a b"], 2, "--application-id: string should match pattern"),
        (["--application-id", "a b", "topics", "check"], 2, "--application-id: string should match pattern"),
        (["topics", "check", "--bootstrap", NOBODY], 3, f"no Kafka broker answers at {NOBODY}"),
        (["--bootstrap", NOBODY, "topics", "create"], 3, f"no Kafka broker answers at {NOBODY}"),
        (["watch", "--bootstrap", NOBODY], 3, f"no Kafka broker answers at {NOBODY}"),
        (["simulate", "--live", "--bootstrap", NOBODY], 3, f"no Kafka broker answers at {NOBODY}"),
        (
            ["load", "-", "--topic", "logins", "--bootstrap", NOBODY],
            3,
            f"no Kafka broker answers at {NOBODY}",
        ),
    ],
)
def test_a_mistake_is_one_line_and_an_exit_code(
    arguments: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is wrong stands on stderr, nothing on stdout, and nowhere a stack trace."""
    assert code == main(arguments)
    out, err = capsys.readouterr()
    assert said in err
    assert not out
    assert "Traceback" not in err


def test_options_of_the_command_win_over_those_before_it(capsys: pytest.CaptureFixture[str]) -> None:
    """The nearer one counts."""
    assert ExitCode.UNREACHABLE == main(
        ["--bootstrap", "127.0.0.1:2", "topics", "check", "--bootstrap", NOBODY]
    )
    assert NOBODY in capsys.readouterr().err


def test_a_wrong_variable_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The environment is read by every command, and its mistakes are the user's."""
    monkeypatch.setenv("WINBACK_HTTP_PORT", "many")
    assert ExitCode.MISTAKE == main(["topics", "check"])
    assert capsys.readouterr().err.startswith("error: WINBACK_HTTP_PORT: ")


def test_an_error_is_one_line_whatever_it_holds(capsys: pytest.CaptureFixture[str]) -> None:
    """Line breaks and markup in a message change nothing."""
    console.print_error("first\nsecond [bold]third[/bold]")
    assert "error: first second [bold]third[/bold]\n" == capsys.readouterr().err


def test_files_are_simulated_and_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`simulate --json` prints one line of JSON, and nothing else on stdout."""
    arguments = ["simulate", "--customers", "3", "--days", "50", "--out", str(tmp_path), "--json"]
    assert ExitCode.DONE == main(arguments)
    shown = capsys.readouterr().out
    assert 1 == shown.count("\n")
    assert '"truth.jsonl":3' in shown


def test_help_needs_neither_kafka_nor_numbers() -> None:
    """Start-up is what one waits for most often: nothing heavy is imported for it."""
    program = (
        "import sys; from agents.cli import main; main(['--help']); "
        "heavy = {'aiokafka', 'faust', 'numpy', 'scipy', 'pydantic_settings'} & set(sys.modules); "
        "sys.exit(', '.join(heavy) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (0, "") == (done.returncode, done.stderr)
