"""A cluster whose brokers the tests may kill; it needs Maven and Java, since only processes can be killed."""

import os
from collections.abc import AsyncIterator, Iterator

import pytest

from agents.brokers import ApacheKafka
from tests.kafka.conftest import REQUIRED
from tests.kafka.faults.cluster import Cluster, cluster_of

SLOTS = 2


@pytest.fixture(scope="package")
def brokers() -> Iterator[Cluster]:
    """One broker that all tests of this folder share, with roads for two workers."""
    if (obstacle := ApacheKafka().obstacle()) is not None:
        reason = f"no broker to kill: {obstacle}"
        if os.environ.get(REQUIRED) == "1":
            pytest.exit(f"{REQUIRED}=1, and {reason}", returncode=1)
        pytest.skip(reason)
    with cluster_of(nodes=1, slots=SLOTS) as cluster:
        yield cluster


@pytest.fixture
async def cluster(brokers: Cluster) -> AsyncIterator[Cluster]:
    """The same, with its roads open."""
    async with brokers.open_roads():
        yield brokers
