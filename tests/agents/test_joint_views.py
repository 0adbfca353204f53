"""What several processes show as one."""

from collections.abc import AsyncIterator, Callable, Collection, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import pytest
from aiohttp import ClientSession, hdrs
from prometheus_client import CollectorRegistry, Counter, Histogram, Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from agents.brokers.broker import free_ports
from agents.joint_views import joint_views
from agents.views import Views, views_of


@dataclass
class Process:
    """A process with views of its own."""

    number: int
    port: int | None = None
    stuck: list[int] = field(default_factory=list)
    is_recovered: bool = True

    def stuck_partitions(self, within_seconds: float) -> Collection[int]:
        """As the test says."""
        del within_seconds
        return self.stuck

    def recovered(self) -> bool:
        """As the test says."""
        return self.is_recovered

    @property
    def registry(self) -> CollectorRegistry:
        """A counter, and a histogram of one observation."""
        registry = CollectorRegistry()
        counter = Counter("winback_records", "Records, by topic", ["topic"], registry=registry)
        counter.labels("purchases").inc(10 * self.number)
        Histogram("winback_fold_seconds", "Folding", buckets=(1.0,), registry=registry).observe(0.5)
        return registry


@pytest.fixture
async def processes() -> AsyncIterator[list[Process]]:
    """Two that serve."""
    found = [Process(1), Process(2)]
    async with AsyncExitStack() as stack:
        for process in found:
            views = Views(views_of(process.registry, process), host="127.0.0.1", port=0)
            process.port = (await stack.enter_async_context(views)).port
        yield found


@pytest.fixture
async def client(processes: list[Process]) -> AsyncIterator[ClientSession]:
    """A client of their joint views."""
    async with (
        Views(joint_views(processes), host="127.0.0.1", port=0) as views,
        ClientSession(f"http://127.0.0.1:{views.port}") as session,
    ):
        yield session


async def answer(client: ClientSession, path: str) -> tuple[int, object]:
    """Status and body."""
    async with client.get(path) as response:
        return response.status, await response.json()


@pytest.mark.parametrize(
    ("accept", "parse"),
    [("*/*", parse_text), ("application/openmetrics-text;version=1.0.0", parse_openmetrics)],
)
async def test_each_sample_says_which_process_it_is_of(
    client: ClientSession, accept: str, parse: Callable[[str], Iterable[Metric]]
) -> None:
    """One family of each name, in either format; sums over processes are what they were."""
    async with client.get("/metrics", headers={hdrs.ACCEPT: accept}) as response:
        assert 200 == response.status
        families = {family.name: family for family in parse(await response.text())}
    records = {
        sample.labels["process"]: (sample.labels["topic"], sample.value)
        for sample in families["winback_records"].samples
        if sample.name.endswith("_total")
    }
    assert {"1": ("purchases", 10.0), "2": ("purchases", 20.0)} == records
    folds = [sample for sample in families["winback_fold_seconds"].samples if sample.name.endswith("_count")]
    assert [("1", 1.0), ("2", 1.0)] == [(sample.labels["process"], sample.value) for sample in folds]
    assert "histogram" == families["winback_fold_seconds"].type


async def test_there_are_no_metrics_without_one_of_them(
    client: ClientSession, processes: list[Process]
) -> None:
    """Half of the sums would look like a loss: who is missing is said, never having served ..."""
    processes[1].port = None
    async with client.get("/metrics") as response:
        assert (503, "process 2 does not answer\n") == (response.status, await response.text())


async def test_a_process_that_no_longer_answers_is_not_alive(
    client: ClientSession, processes: list[Process]
) -> None:
    """... or has served, and is silent now."""
    (processes[0].port,) = free_ports(1)
    assert (503, {"alive": False, "stuck_partitions": []}) == await answer(client, "/livez")
    assert (503, {"ready": False}) == await answer(client, "/readyz")
    async with client.get("/metrics") as response:
        assert (503, "process 1 does not answer\n") == (response.status, await response.text())


async def test_the_stuck_partitions_of_all_are_named(client: ClientSession, processes: list[Process]) -> None:
    """One is enough."""
    assert (200, {"alive": True, "stuck_partitions": []}) == await answer(client, "/livez")
    processes[0].stuck, processes[1].stuck = [7], [3]
    assert (503, {"alive": False, "stuck_partitions": [3, 7]}) == await answer(client, "/livez")


async def test_all_are_ready_or_none(client: ClientSession, processes: list[Process]) -> None:
    """A process that recovers or has only been started is alive, and the whole is not ready."""
    assert (200, {"ready": True}) == await answer(client, "/readyz")
    processes[1].is_recovered = False
    assert (503, {"ready": False}) == await answer(client, "/readyz")
    processes[1].port = None
    assert (503, {"ready": False}) == await answer(client, "/readyz")
    assert (200, {"alive": True, "stuck_partitions": []}) == await answer(client, "/livez")
