"""What all brokers have in common, and how one waits until they answer."""

import asyncio
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from typing import Final, Protocol

from agents.brokers.child import Child
from schemas.errors import BrokerUnreachable, WinbackError
from streams.clock import monotonic
from streams.connection import admin
from streams.settings import Settings

LOOPBACK: Final = "127.0.0.1"

Start = Callable[[Sequence[int]], AbstractContextManager[str]]
"""Starts a broker on these ports and yields its bootstrap address while it runs."""

_POLL_SECONDS: Final = 0.05
_ANSWER_SECONDS: Final = 3.0


class Broker(Protocol):
    """A broker that can be started, or one that is there already."""

    @property
    def title(self) -> str:
        """What it is, for people: "Apache Kafka 4.1.0 (Maven and Java)"."""

    def obstacle(self) -> str | None:
        """Why it cannot be started on this machine, in a few words; None where nothing is in the way."""

    def running(self) -> AbstractContextManager[str]:
        """Its bootstrap address, host:port, while it runs; it answers from the first moment.

        Raises BrokerUnreachable where it does not come up in time, with the end of its log.
        """


class PortTaken(BrokerUnreachable):
    """Another program took a port between our choosing it and the broker's binding it."""


def free_ports(count: int) -> list[int]:
    """So many different ports of the loopback address that nobody listens on."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((LOOPBACK, 0))
        return [each.getsockname()[1] for each in sockets]


def wait_until_answering(title: str, ports: Sequence[int], children: Sequence[Child], within: float) -> str:
    """The bootstrap address, once each port of the cluster is served and all brokers have joined.

    within: seconds. Raises BrokerUnreachable with the end of the log where a child ends or the time
    runs out, PortTaken where it ends because its port is not free.
    """
    deadline = monotonic() + within
    bootstrap = ",".join(f"{LOOPBACK}:{port}" for port in ports)
    while not (all(map(_listening, ports)) and _members(bootstrap) >= len(ports)):
        for child in children:
            if child.ended:
                kind = PortTaken if "ddress already in use" in child.log_tail(200) else BrokerUnreachable
                raise kind(f"{title} ended while it started; the end of its log:\n{child.log_tail()}")
        if monotonic() > deadline:
            logs = "\n".join(child.log_tail() for child in children)
            raise BrokerUnreachable(
                f"{title} did not answer within {within:g} s; the end of its log:\n{logs}"
            )
        time.sleep(_POLL_SECONDS)
    return bootstrap


@contextmanager
def on_free_ports(count: int, start: Start, tries: int = 3) -> Iterator[str]:
    """Start on free ports; again on others where one of them was snatched away meanwhile."""
    with ExitStack() as stack:
        yield _started(stack, count, start, tries)


def _started(stack: ExitStack, count: int, start: Start, tries: int) -> str:
    for _ in range(tries - 1):
        with suppress(PortTaken):
            return stack.enter_context(start(free_ports(count)))
    return stack.enter_context(start(free_ports(count)))


def _listening(port: int) -> bool:
    # Asked first and without Kafka's protocol: the client logs each refused connection as an error.
    with socket.socket() as probe:
        probe.settimeout(_ANSWER_SECONDS)
        return probe.connect_ex((LOOPBACK, port)) == 0


def _members(bootstrap: str) -> int:
    """How many brokers the cluster says it has; 0 where it does not answer yet."""
    # A thread of its own, because the caller may be inside a running loop.
    with ThreadPoolExecutor(1) as executor:
        settings = Settings(bootstrap=bootstrap, security_protocol="PLAINTEXT")
        try:
            return executor.submit(asyncio.run, count_brokers(settings, _ANSWER_SECONDS)).result()
        except WinbackError:
            return 0


async def count_brokers(settings: Settings, seconds: float) -> int:
    """How many brokers the cluster has; raises as streams.connection.admin does."""
    async with admin(settings, seconds=seconds) as client:
        return len((await client.describe_cluster())["brokers"])
