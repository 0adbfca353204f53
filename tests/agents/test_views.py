"""What a worker shows over HTTP."""

from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, field

import pytest
from aiohttp import ClientSession
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from agents.views import Views, views_of
from schemas.errors import ConfigurationError


@dataclass
class Worker:
    """A worker as its views see it. idle_seconds: by partition, how long it has made no progress."""

    idle_seconds: dict[int, float] = field(default_factory=dict)
    is_recovered: bool = False

    def stuck_partitions(self, within_seconds: float) -> Collection[int]:
        """Those without progress for longer."""
        return {partition for partition, idle in self.idle_seconds.items() if idle > within_seconds}

    def recovered(self) -> bool:
        """As the test says."""
        return self.is_recovered


@pytest.fixture
def worker() -> Worker:
    """A worker that has just started."""
    return Worker()


@pytest.fixture
async def client(worker: Worker) -> AsyncIterator[ClientSession]:
    """A client of the worker's views."""
    registry = CollectorRegistry()
    Counter("winback_batches", "Batches committed", registry=registry).inc(2)
    async with (
        Views(views_of(registry, worker, stuck_seconds=30), host="127.0.0.1", port=0) as views,
        ClientSession(f"http://127.0.0.1:{views.port}") as session,
    ):
        yield session


async def test_prometheus_gets_openmetrics(client: ClientSession) -> None:
    """Who accepts OpenMetrics gets it, in the version asked for."""
    accept = "application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5"
    async with client.get("/metrics", headers={"Accept": accept}) as response:
        assert response.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
        text = await response.text()
    families = parse_openmetrics(text)  # type: ignore[no-untyped-call]  # the client's parser has no types
    assert ["winback_batches"] == [family.name for family in families]
    assert text.endswith("# EOF\n")


async def test_everyone_else_gets_plain_text(client: ClientSession) -> None:
    """A browser or curl gets Prometheus' text format."""
    async with client.get("/metrics", headers={"Accept": "*/*"}) as response:
        assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        text = await response.text()
    assert "winback_batches_total 2.0" in text
    assert "winback_batches" in [family.name for family in parse_text(text)]


async def test_a_worker_that_recovers_is_alive_and_not_ready(client: ClientSession, worker: Worker) -> None:
    """Nobody should restart it, and nobody should count on it yet."""
    assert (200, {"alive": True, "stuck_partitions": []}) == await answer(client, "/livez")
    assert (503, {"ready": False}) == await answer(client, "/readyz")
    worker.is_recovered = True
    assert (200, {"ready": True}) == await answer(client, "/readyz")


async def test_a_stuck_partition_is_no_life(client: ClientSession, worker: Worker) -> None:
    """One partition without progress is enough, and it is named; readiness is another question."""
    worker.is_recovered = True
    worker.idle_seconds = {0: 0.1, 7: 31.0, 2: 300.0}
    assert (503, {"alive": False, "stuck_partitions": [2, 7]}) == await answer(client, "/livez")
    assert (200, {"ready": True}) == await answer(client, "/readyz")
    worker.idle_seconds = {7: 29.0}
    assert (200, {"alive": True, "stuck_partitions": []}) == await answer(client, "/livez")


@pytest.mark.parametrize("path", ["/", "/table/customers", "/metrics/", "/router", "/stats"])
async def test_there_is_no_other_view(client: ClientSession, path: str) -> None:
    """No path of Faust's shows state here."""
    async with client.get(path) as response:
        assert 404 == response.status


async def test_nothing_can_be_changed(client: ClientSession) -> None:
    """The views only answer questions."""
    async with client.post("/metrics") as response:
        assert 405 == response.status


async def test_a_taken_port_is_said_in_one_line(worker: Worker) -> None:
    """The error names the port and the setting that changes it, and the first server goes on."""
    async with Views(views_of(CollectorRegistry(), worker), host="127.0.0.1", port=0) as first:
        with pytest.raises(ConfigurationError) as raised:
            async with Views(views_of(CollectorRegistry(), worker), host="127.0.0.1", port=first.port):
                pass
        assert f"port {first.port} of 127.0.0.1 is taken" in str(raised.value)
        assert "WINBACK_HTTP_PORT" in str(raised.value)
        assert "\n" not in str(raised.value)
        async with (
            ClientSession() as session,
            session.get(f"http://127.0.0.1:{first.port}/livez") as response,
        ):
            assert 200 == response.status


async def test_an_address_of_another_machine_is_a_mistake(worker: Worker) -> None:
    """A host that is not this one is said in one line too."""
    with pytest.raises(ConfigurationError, match="WINBACK_HTTP_HOST"):
        async with Views(views_of(CollectorRegistry(), worker), host="192.0.2.1", port=0):
            pass


async def answer(client: ClientSession, path: str) -> tuple[int, object]:
    """Status and body."""
    async with client.get(path) as response:
        return response.status, await response.json()
