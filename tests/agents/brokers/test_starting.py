"""What happens where a broker does not come up, without any broker."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from agents.brokers.broker import PortTaken, free_ports, on_free_ports, wait_until_answering
from agents.brokers.child import child
from schemas.errors import BrokerUnreachable
from tests.agents.brokers.waiting import eventually


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """A directory of a child's own; it goes with the child."""
    directory = tmp_path / "scratch"
    directory.mkdir()
    return directory


def test_ports_are_all_different() -> None:
    """A cluster gets as many ports as it asks for, none of them twice."""
    assert 20 == len(set(free_ports(20)))


@pytest.mark.parametrize(
    ("says", "error"),
    [
        ("no room on this disk", BrokerUnreachable),
        ("java.net.BindException: Address already in use", PortTaken),
    ],
)
def test_a_server_that_ends_is_quoted(scratch: Path, says: str, error: type[BrokerUnreachable]) -> None:
    """The error holds the end of the log, and tells a port that was taken from everything else."""
    with child(python(f"print({says!r})"), scratch / "log", scratch) as process:
        with pytest.raises(BrokerUnreachable, match=says) as raised:
            wait_until_answering("a server", free_ports(1), [process], within=30)
    assert error is raised.type


def test_a_server_that_stays_silent_is_given_up(scratch: Path) -> None:
    """After the deadline the error says how long that was, and what the log held."""
    command = python("import sys, time; print('thinking', flush=True); time.sleep(60)")
    with child(command, scratch / "log", scratch) as process:
        with pytest.raises(BrokerUnreachable, match=r"(?s)did not answer within 1 s.*thinking"):
            wait_until_answering("a server", free_ports(1), [process], within=1)


def test_a_snatched_port_is_tried_again_elsewhere() -> None:
    """Somebody else may bind a port first; another one is taken then."""
    tried: list[Sequence[int]] = []

    @contextmanager
    def start(ports: Sequence[int]) -> Iterator[str]:
        tried.append(ports)
        if len(tried) < 3:
            raise PortTaken("taken")
        yield "there"

    with on_free_ports(1, start) as bootstrap:
        assert "there" == bootstrap
    assert 3 == len(tried)


def test_ports_are_not_tried_for_ever() -> None:
    """The third failure is the caller's."""

    def start(ports: Sequence[int]) -> AbstractContextManager[str]:
        raise PortTaken("taken")

    with pytest.raises(PortTaken), on_free_ports(1, start):
        pass


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_child_with_grace_is_asked_to_end(tmp_path: Path, scratch: Path) -> None:
    """A docker client hands the request on to its container: it must not be killed at once."""
    farewell = tmp_path / "farewell"
    script = f"trap 'echo bye > {farewell}; exit 0' TERM; echo ready; while :; do sleep 0.1; done"
    with child(["/bin/sh", "-c", script], scratch / "log", scratch, grace_seconds=10) as process:
        eventually(lambda: process.log_tail() == "ready")
    assert "bye\n" == farewell.read_text(encoding="utf-8")
    assert not scratch.exists()


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_child_that_is_deaf_is_killed(scratch: Path) -> None:
    """After the grace it ends all the same."""
    with child(
        ["/bin/sh", "-c", "trap '' TERM; echo $$; while :; do sleep 0.1; done"],
        scratch / "log",
        scratch,
        grace_seconds=0.2,
    ) as process:
        eventually(lambda: process.log_tail().isdigit())
        number = int(process.log_tail())
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)


@pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")
def test_a_child_that_is_slow_to_end_is_left_to_its_guard(
    scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No error of ours, and what it leaves is removed all the same."""
    monkeypatch.setattr("agents.brokers.child._END_SECONDS", 0.0)
    with child(
        python("import time; print('up', flush=True); time.sleep(60)"), scratch / "log", scratch
    ) as process:
        eventually(lambda: process.log_tail() == "up")
    eventually(lambda: not scratch.exists())


def python(code: str) -> list[str]:
    """The command that runs it."""
    return [sys.executable, "-c", code]
