"""Brokers that can be killed and started again, each with a road of its own for each worker.

A broker has one listener a worker slot and advertises the road (road.py) in front of it: so a worker
that was told of one road finds all brokers by its own roads, and nothing of it goes another way.
What the tests themselves write and read goes straight to the brokers.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from agents.brokers.apache import (
    VERSION,
    ApacheKafka,
    _cluster_id,
    _format,
    _write_configuration,
)
from agents.brokers.broker import LOOPBACK, PortTaken, free_ports, wait_until_answering
from agents.brokers.child import Child, child
from agents.brokers.jars import java, kafka_jars
from tests.kafka.faults.road import Road

START_SECONDS: Final = 120.0
_TRIES: Final = 3

_HASTY: Final = {
    # Faults heal within seconds, and what is to be aborted is aborted at once.
    "group.min.session.timeout.ms": "1000",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "500",
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
}


class Node:
    """One broker: its data stay when it is killed."""

    def __init__(self, root: Path, number: int, port: int, configuration: Path, heap_megabytes: int) -> None:
        self.port = port
        self._root = root
        self._number = number
        self._configuration = configuration
        self._heap = heap_megabytes
        self._starts = 0
        self._running = ExitStack()
        self.child: Child | None = None

    def start(self) -> Child:
        """Start it; nobody waits until it answers."""
        # A directory a start: whoever ends it removes that, and must leave the data alone.
        self._starts += 1
        directory = self._root / f"run-{self._number}-{self._starts}"
        directory.mkdir()
        command = [
            java(),
            f"-Xmx{self._heap}m",
            "-XX:+ExitOnOutOfMemoryError",
            f"-Dlog4j2.configurationFile={self._configuration.parent / 'log4j2.properties'}",
            *("-cp", f"{kafka_jars(VERSION)}/*", "kafka.Kafka", str(self._configuration)),
        ]
        self.child = self._running.enter_context(child(command, directory / "server.log", directory))
        return self.child

    def kill(self) -> None:
        """kill -9."""
        self._running.close()
        self.child = None


class Cluster:
    """The brokers and the roads. roads: for each worker slot one road to each broker."""

    def __init__(self, nodes: Sequence[Node], roads: Sequence[Sequence[Road]]) -> None:
        self.nodes = nodes
        self.roads = roads

    @property
    def bootstrap(self) -> str:
        """Straight to the brokers."""
        return ",".join(f"{LOOPBACK}:{node.port}" for node in self.nodes)

    @asynccontextmanager
    async def open_roads(self) -> AsyncIterator["Cluster"]:
        """The roads are open until the block ends."""
        async with AsyncExitStack() as stack:
            for ways in self.roads:
                for road in ways:
                    await stack.enter_async_context(road.open())
            yield self

    def bootstrap_of(self, slot: int) -> str:
        """By the roads of one worker slot."""
        return ",".join(f"{LOOPBACK}:{road.port}" for road in self.roads[slot])

    async def kill(self, number: int) -> None:
        """kill -9 of one broker."""
        await asyncio.to_thread(self.nodes[number].kill)

    async def start(self, number: int) -> None:
        """Start one broker anew; returns when all answer."""
        self.nodes[number].start()
        await self.answering()

    async def answering(self) -> None:
        """Until all brokers answer, and know each other."""
        await asyncio.to_thread(_wait, self.nodes)


@contextmanager
def cluster_of(nodes: int, slots: int) -> Iterator[Cluster]:
    """A cluster of so many brokers, with roads for so many workers; the roads are still to be opened.

    Raises BrokerUnreachable where it does not come up.
    """
    with ExitStack() as stack:
        for _ in range(_TRIES - 1):
            with suppress(PortTaken):
                yield stack.enter_context(_on_ports(nodes, slots))
                return
        yield stack.enter_context(_on_ports(nodes, slots))


@contextmanager
def _on_ports(nodes: int, slots: int) -> Iterator[Cluster]:
    with ExitStack() as stack:
        directory = TemporaryDirectory(prefix="winback-faults-", ignore_cleanup_errors=True)
        root = Path(stack.enter_context(directory))
        ports = free_ports(nodes * (2 + 2 * slots))
        brokers, controllers = ports[:nodes], ports[nodes : 2 * nodes]
        ends = iter(ports[2 * nodes :])
        roads = [[Road(next(ends), next(ends)) for _ in range(nodes)] for _ in range(slots)]
        identifier, made = _cluster_id(), []
        for number, port in enumerate(brokers):
            apache = ApacheKafka(nodes, {**_HASTY, **_listeners(number, port, controllers[number], roads)})
            folder = root / f"node-{number}"
            configuration = _write_configuration(
                folder, apache._properties(folder, number, port, controllers)
            )
            _format(kafka_jars(VERSION), configuration, identifier)
            made.append(Node(root, number, port, configuration, 512 if nodes == 1 else 320))
        for node in made:
            stack.callback(node.kill)
            node.start()
        _wait(made)
        yield Cluster(made, roads)


def _wait(nodes: Sequence[Node]) -> None:
    children = [node.child for node in nodes if node.child is not None]
    wait_until_answering("Apache Kafka", [node.port for node in nodes], children, START_SECONDS)


def _listeners(number: int, port: int, controller: int, roads: Sequence[Sequence[Road]]) -> dict[str, str]:
    """One listener for the tests, one for controllers, one for each worker slot."""
    names = [f"SLOT{slot}" for slot in range(len(roads))]
    own = [f"{name}://{LOOPBACK}:{ways[number].upstream}" for name, ways in zip(names, roads, strict=True)]
    told = [f"{name}://{LOOPBACK}:{ways[number].port}" for name, ways in zip(names, roads, strict=True)]
    plain = f"PLAINTEXT://{LOOPBACK}:{port}"
    return {
        "listeners": ",".join([plain, *own, f"CONTROLLER://{LOOPBACK}:{controller}"]),
        "advertised.listeners": ",".join([plain, *told]),
        "listener.security.protocol.map": ",".join(
            f"{name}:PLAINTEXT" for name in ["PLAINTEXT", "CONTROLLER", *names]
        ),
        "inter.broker.listener.name": "PLAINTEXT",
        "min.insync.replicas": "1" if len(roads[0]) == 1 else "2",
    }
