"""Real Apache Kafka by Maven and Java: for the tests, the benchmarks, and a demo without Docker."""

import base64
import secrets
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from agents.brokers.broker import LOOPBACK, on_free_ports, wait_until_answering
from agents.brokers.child import child
from agents.brokers.jars import java, kafka_jars, missing_tools
from schemas.errors import BrokerUnreachable

VERSION: Final = "4.1.0"

_LOGGING: Final = """\
status = warn
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d %p %c{1} %m%n
rootLogger.level = info
rootLogger.appenderRef.console.ref = console
"""
"""log4j2; the level info, since the log is read only where something has gone wrong."""


@dataclass(frozen=True, slots=True)
class ApacheKafka:
    """A cluster of `nodes` brokers, each its own controller (KRaft), in a temporary directory.

    The jars (54 MB) are fetched by Maven once, into the user's cache. properties: further or other
    lines of server.properties. heap_megabytes: of each node. start_seconds: from the start of the
    processes until all of them answer.
    """

    nodes: int = 1
    properties: Mapping[str, str] = field(default_factory=dict)
    heap_megabytes: int = 512
    start_seconds: float = 120.0

    @property
    def title(self) -> str:
        """What it is, for people."""
        return f"Apache Kafka {VERSION} (Maven and Java)"

    def obstacle(self) -> str | None:
        """What is missing on this machine."""
        return missing_tools(VERSION)

    @contextmanager
    def running(self) -> Iterator[str]:
        """Its bootstrap address while it runs.

        Raises BrokerUnreachable where the jars cannot be fetched or it does not come up.
        """
        jars = kafka_jars(VERSION)

        def start(ports: Sequence[int]) -> AbstractContextManager[str]:
            return self._cluster(jars, ports)

        with on_free_ports(2 * self.nodes, start) as bootstrap:
            yield bootstrap

    @contextmanager
    def _cluster(self, jars: Path, ports: Sequence[int]) -> Iterator[str]:
        brokers, controllers = ports[: self.nodes], ports[self.nodes :]
        cluster = _cluster_id()
        with ExitStack() as stack:
            # A broker that has just been killed may still be writing: what it leaves is not worth a failure.
            directory = TemporaryDirectory(prefix="winback-kafka-", ignore_cleanup_errors=True)
            root = Path(stack.enter_context(directory))
            children = []
            for number, port in enumerate(brokers):
                node = root / f"node-{number + 1}"
                configuration = _write_configuration(node, self._properties(node, number, port, controllers))
                _format(jars, configuration, cluster)
                command = [
                    java(),
                    f"-Xmx{self.heap_megabytes}m",
                    "-XX:+ExitOnOutOfMemoryError",
                    f"-Dlog4j2.configurationFile={node / 'log4j2.properties'}",
                    *("-cp", f"{jars}/*", "kafka.Kafka", str(configuration)),
                ]
                children.append(stack.enter_context(child(command, node / "server.log", root)))
            yield wait_until_answering(self.title, brokers, children, self.start_seconds)

    def _properties(self, node: Path, number: int, port: int, controllers: Sequence[int]) -> dict[str, str]:
        copies = str(min(3, self.nodes))
        in_sync = str(min(2, self.nodes))
        voters = ",".join(f"{index + 1}@{LOOPBACK}:{each}" for index, each in enumerate(controllers))
        return {
            "process.roles": "broker,controller",
            "node.id": str(number + 1),
            "controller.quorum.voters": voters,
            "controller.listener.names": "CONTROLLER",
            "listeners": f"PLAINTEXT://{LOOPBACK}:{port},CONTROLLER://{LOOPBACK}:{controllers[number]}",
            "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{port}",
            "log.dirs": str(node / "data"),
            "offsets.topic.replication.factor": copies,
            "offsets.topic.num.partitions": "4",
            "transaction.state.log.replication.factor": copies,
            "transaction.state.log.min.isr": in_sync,
            "transaction.state.log.num.partitions": "4",
            "share.coordinator.state.topic.replication.factor": copies,
            "share.coordinator.state.topic.min.isr": in_sync,
            "group.initial.rebalance.delay.ms": "0",
            "auto.create.topics.enable": "false",
            **self.properties,
        }


def _write_configuration(node: Path, properties: Mapping[str, str]) -> Path:
    node.mkdir()
    (node / "log4j2.properties").write_text(_LOGGING, encoding="utf-8")
    configuration = node / "server.properties"
    lines = "".join(f"{key}={value}\n" for key, value in properties.items())
    configuration.write_text(lines, encoding="utf-8")
    return configuration


def _cluster_id() -> str:
    """A random UUID as Kafka writes it: 16 bytes in base64 without padding, no dash in front."""
    while True:
        identifier = base64.urlsafe_b64encode(secrets.token_bytes(16)).decode().rstrip("=")
        if not identifier.startswith("-"):
            return identifier


def _format(jars: Path, configuration: Path, cluster: str) -> None:
    """Lay out a node's data directory; BrokerUnreachable with what the tool said where that fails."""
    tool = ("-cp", f"{jars}/*", "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(configuration))
    # Two seconds of one core, nearly all of it start-up: the first compiler will do.
    done = subprocess.run(
        [java(), "-XX:TieredStopAtLevel=1", *tool], capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = (done.stdout + done.stderr).strip()
        raise BrokerUnreachable(f"Apache Kafka {VERSION} could not lay out its data directory:\n{said}")
