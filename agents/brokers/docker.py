"""Real Apache Kafka by Docker, where Maven and Java are not to be had."""

import secrets
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from agents.brokers.broker import LOOPBACK, on_free_ports, wait_until_answering
from agents.brokers.child import child

IMAGE: Final = "apache/kafka:4.1.0"
_ENGINE_SECONDS: Final = 15.0
_ENVIRONMENT: Final = {
    "KAFKA_NODE_ID": "1",
    "KAFKA_PROCESS_ROLES": "broker,controller",
    "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
    "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
    "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
    "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
    "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
    "KAFKA_SHARE_COORDINATOR_STATE_TOPIC_REPLICATION_FACTOR": "1",
    "KAFKA_SHARE_COORDINATOR_STATE_TOPIC_MIN_ISR": "1",
    "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
    "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
}


@dataclass(frozen=True, slots=True)
class DockerKafka:
    """One container, removed at the end. start_seconds: the image may have to be pulled first."""

    start_seconds: float = 300.0

    @property
    def title(self) -> str:
        """What it is, for people."""
        return f"Apache Kafka in Docker ({IMAGE})"

    def obstacle(self) -> str | None:
        """Whether there is a Docker whose engine answers."""
        if shutil.which("docker") is None:
            return "no Docker"
        try:
            done = subprocess.run(
                [_docker(), "info"], capture_output=True, check=False, timeout=_ENGINE_SECONDS
            )
        except (OSError, subprocess.TimeoutExpired):
            return "Docker does not answer"
        return "Docker's engine is not running" if done.returncode else None

    @contextmanager
    def running(self) -> Iterator[str]:
        """Its bootstrap address while it runs; BrokerUnreachable where it does not come up."""

        def start(ports: Sequence[int]) -> AbstractContextManager[str]:
            return self._on(ports[0])

        with on_free_ports(1, start) as bootstrap:
            yield bootstrap

    @contextmanager
    def _on(self, port: int) -> Iterator[str]:
        name = f"winback-{secrets.token_hex(6)}"
        with TemporaryDirectory(prefix="winback-docker-", ignore_cleanup_errors=True) as scratch:
            root = Path(scratch)
            try:
                # Asked to end, the client hands it on to the container; killed, it would leave it running.
                command = run_command(name, port)
                with child(command, root / "server.log", root, grace_seconds=10) as process:
                    yield wait_until_answering(self.title, [port], [process], self.start_seconds)
            finally:
                # The container is gone by now, unless its client was killed or ended by itself.
                with suppress(OSError, subprocess.TimeoutExpired):
                    subprocess.run(
                        [_docker(), "rm", "--force", name], capture_output=True, check=False, timeout=60
                    )


def run_command(name: str, port: int) -> list[str]:
    """The docker command that runs a broker of that name, reachable at loopback's `port` alone."""
    environment = {
        **_ENVIRONMENT,
        # The broker tells its clients where to come back to, so inside and outside share one port number.
        "KAFKA_LISTENERS": f"PLAINTEXT://0.0.0.0:{port},CONTROLLER://localhost:9093",
        "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://{LOOPBACK}:{port}",
    }
    variables = [part for key, value in environment.items() for part in ("--env", f"{key}={value}")]
    return [
        _docker(),
        "run",
        "--rm",
        "--name",
        name,
        "--publish",
        f"{LOOPBACK}:{port}:{port}",
        *variables,
        IMAGE,
    ]


def _docker() -> str:
    return shutil.which("docker") or "docker"
