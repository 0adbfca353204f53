"""A broker that is away while a worker is at work."""

from collections.abc import AsyncIterator

import pytest

from streams.clock import wall_ms
from tests.flows.events import login
from tests.kafka.faults.cluster import Cluster
from tests.kafka.faults.road import Road
from tests.kafka.scene import Scene, answers, process, scene_of, until

LEAVING = 20.0
"""Seconds that a worker may take to end when it is asked to, on a machine that is busy."""


@pytest.fixture
async def live(cluster: Cluster, application_id: str) -> AsyncIterator[Scene]:
    """An installation on the wall clock, empty."""
    async with scene_of(cluster.bootstrap, application_id, partitions=2) as scene:
        yield scene


async def close(road: Road) -> None:
    """End all connections and let nobody through; returns when the worker has tried again and again."""
    road.closed = True
    road.cut()
    tries = road.turned_away + 50

    async def tried() -> bool:
        return road.turned_away >= tries

    await until(tried)


async def test_it_is_waited_for(live: Scene, cluster: Cluster) -> None:
    """Worker and probes stay; what has been written meanwhile is folded when the broker is back."""
    ((road,), *_) = cluster.roads
    async with process(live.with_(bootstrap=cluster.bootstrap_of(0))) as running:
        await running.ready()
        await close(road)
        await live.load([login("customer", wall_ms())])
        assert await answers(f"{running.views}/livez")
        road.closed = False

        async def folded() -> bool:
            return await running.metric("winback_records_total", outcome="folded") == 1

        await until(folded)
        await running.terminate()
        await running.leave()


async def test_a_worker_that_waits_for_it_ends_when_it_is_told_to(live: Scene, cluster: Cluster) -> None:
    """Within seconds and without a stack trace, and its log has not grown with each try."""
    ((road,), *_) = cluster.roads
    async with process(live.with_(bootstrap=cluster.bootstrap_of(0))) as running:
        await running.ready()
        await close(road)
        await running.terminate()
        code, errors = await running.end(LEAVING)
    assert 0 == code, errors
    assert "raceback" not in errors
    assert '"exception"' not in errors, errors
    assert len(errors.splitlines()) < road.turned_away
