"""What happens where a broker does not come up, without any broker."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from agents.brokers.broker import PortTaken, free_ports, on_free_ports, wait_until_answering
from agents.brokers.child import child
from schemas.errors import BrokerUnreachable


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
def test_a_server_that_ends_is_quoted(tmp_path: Path, says: str, error: type[BrokerUnreachable]) -> None:
    """The error holds the end of the log, and tells a port that was taken from everything else."""
    with child(python(f"print({says!r})"), tmp_path / "log", tmp_path) as process:
        with pytest.raises(BrokerUnreachable, match=says) as raised:
            wait_until_answering("a server", free_ports(1), [process], within=30)
    assert error is raised.type


def test_a_server_that_stays_silent_is_given_up(tmp_path: Path) -> None:
    """After the deadline the error says how long that was, and what the log held."""
    command = python("import sys, time; print('thinking', flush=True); time.sleep(60)")
    with child(command, tmp_path / "log", tmp_path) as process:
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


def python(code: str) -> list[str]:
    """The command that runs it."""
    return [sys.executable, "-c", code]
