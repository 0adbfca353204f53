"""The embedded broker of the quick start: one binary out of the package index, up in half a second."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from agents.brokers.broker import on_free_ports, wait_until_answering
from agents.brokers.child import child


@dataclass(frozen=True, slots=True)
class EmbeddedBroker:
    """noida-db with its Kafka alone. For one worker: two did not always share its partitions."""

    start_seconds: float = 20.0

    @property
    def title(self) -> str:
        """What it is, for people."""
        return "the embedded broker (noida-db)"

    def obstacle(self) -> str | None:
        """Whether its package is installed; whether it runs here shows when it is started."""
        return None if _binary() else "its package is not installed (pip install winback[embedded])"

    @contextmanager
    def running(self) -> Iterator[str]:
        """Its bootstrap address while it runs; BrokerUnreachable where it does not come up."""

        def start(ports: Sequence[int]) -> AbstractContextManager[str]:
            return self._on(ports[0])

        with on_free_ports(1, start) as bootstrap:
            yield bootstrap

    @contextmanager
    def _on(self, port: int) -> Iterator[str]:
        with TemporaryDirectory(prefix="winback-embedded-", ignore_cleanup_errors=True) as scratch:
            root = Path(scratch)
            options = ["--only", "kafka", "--kafka-port", str(port), "--data-dir", str(root / "data")]
            with child([str(_binary()), "start", *options], root / "server.log", root) as process:
                yield wait_until_answering(self.title, [port], [process], self.start_seconds)


def _binary() -> Path | None:
    # Its own launcher would start the binary as a further process, which ending the launcher leaves behind.
    package = find_spec("noida_db")
    for place in (package.submodule_search_locations or ()) if package else ():
        for name in ("noida-db", "noida-db.exe"):
            if (found := Path(place) / name).is_file():
                found.chmod(0o755)
                return found
    return None
