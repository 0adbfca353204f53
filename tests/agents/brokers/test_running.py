"""Each broker that can be started here, from its start to its end."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from agents.brokers import ApacheKafka, Broker, EmbeddedBroker, GivenBroker
from agents.brokers.broker import free_ports
from schemas.errors import BrokerUnreachable
from tests.agents.brokers.waiting import eventually

HOLD_A_BROKER = """
import signal, sys
from agents.brokers import EmbeddedBroker
if "deaf" in sys.argv:
    signal.signal(signal.SIGINT, lambda *_: None)  # an ignored signal would be inherited
with EmbeddedBroker().running() as bootstrap:
    print(bootstrap, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(params=[pytest.param(ApacheKafka(), marks=pytest.mark.kafka), EmbeddedBroker()], ids=repr)
def broker(request: pytest.FixtureRequest) -> Broker:
    """Each broker; skipped where this machine lacks what it needs."""
    found: Broker = request.param
    if obstacle := found.obstacle():
        pytest.skip(f"{found.title}: {obstacle}")
    return found


@pytest.fixture
def embedded() -> EmbeddedBroker:
    """The broker that starts fast; skipped where it is not installed."""
    found = EmbeddedBroker()
    if obstacle := found.obstacle():
        pytest.skip(f"{found.title}: {obstacle}")
    return found


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory in which all temporary directories are made, so that a test can look what is left."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


async def test_a_record_goes_in_and_comes_out(broker: Broker, temporary: Path) -> None:
    """A broker takes and gives records from its first moment, and leaves neither port nor file behind."""
    with broker.running() as bootstrap:
        assert b"hello" == await send_and_receive(bootstrap)
    assert not listening(bootstrap)
    assert [] == list(temporary.glob("winback-*"))


def test_an_exception_ends_the_broker(embedded: EmbeddedBroker) -> None:
    """Ctrl-C in the block reaches the caller, and the broker has ended by then."""
    with pytest.raises(KeyboardInterrupt), embedded.running() as bootstrap:
        raise KeyboardInterrupt
    assert not listening(bootstrap)


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_the_broker_ends_with_a_killed_parent(
    embedded: EmbeddedBroker, temporary: Path, how: signal.Signals
) -> None:
    """A process that could not clean up leaves neither broker nor data behind."""
    with holder() as parent:
        bootstrap = said(parent)
        assert listening(bootstrap)
        assert [] != list(temporary.glob("winback-*"))
        parent.send_signal(how)
    eventually(lambda: not listening(bootstrap))
    eventually(lambda: [] == list(temporary.glob("winback-*")))


@pytest.mark.skipif(os.name != "posix", reason="signals")
async def test_ctrl_c_leaves_the_broker_to_its_parent(embedded: EmbeddedBroker) -> None:
    """A terminal's Ctrl-C does not reach the broker itself, so workers can still commit."""
    with holder("deaf") as parent:
        bootstrap = said(parent)
        os.killpg(parent.pid, signal.SIGINT)
        assert b"hello" == await send_and_receive(bootstrap)
        parent.kill()
    eventually(lambda: not listening(bootstrap))


def test_two_brokers_do_not_meet(embedded: EmbeddedBroker) -> None:
    """Each takes ports and a directory of its own."""
    with embedded.running() as one, embedded.running() as other:
        assert one != other


def test_a_given_broker_is_used_as_it_is(embedded: EmbeddedBroker) -> None:
    """Its address comes back once it has answered, and it is still there afterwards."""
    with embedded.running() as bootstrap:
        with GivenBroker(bootstrap).running() as address:
            assert bootstrap == address
        assert listening(bootstrap)


def test_a_given_broker_that_is_away_is_named() -> None:
    """Where nothing answers, the error says where that was."""
    (port,) = free_ports(1)
    with (
        pytest.raises(BrokerUnreachable, match=f"127.0.0.1:{port}"),
        GivenBroker(f"127.0.0.1:{port}").running(),
    ):
        pass


def holder(*arguments: str) -> "subprocess.Popen[str]":
    """A process in a group of its own that holds a broker until its input ends."""
    return subprocess.Popen(
        [sys.executable, "-c", HOLD_A_BROKER, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def said(process: "subprocess.Popen[str]") -> str:
    """The first line of its output."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


async def send_and_receive(bootstrap: str) -> bytes | None:
    """What comes out of a fresh topic after b"hello" went in."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic("greetings", 1, 1)])
    finally:
        await admin.close()
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    await producer.start()
    try:
        await producer.send_and_wait("greetings", b"hello")
    finally:
        await producer.stop()
    consumer = AIOKafkaConsumer("greetings", bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        value: bytes | None = (await consumer.getone()).value
        return value
    finally:
        await consumer.stop()


def listening(bootstrap: str) -> bool:
    """Whether somebody listens there."""
    host, port = bootstrap.split(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0
