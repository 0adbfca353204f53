"""A worker as a process of its own, and what it says of itself.

Its CPU time and memory are read here and not in /proc, so that they are of the same moment as its counts.
"""

import asyncio
import os
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from agents.brokers.broker import LOOPBACK, free_ports
from agents.configuration import environment_of
from bench.children import child
from streams.clock import monotonic
from streams.settings import Settings

PATIENCE = 600.0
"""Seconds a worker may take for anything; a recovery of three million customers is the longest."""
LOOK_SECONDS = 0.1
"""Between two looks at a worker's figures: each look costs it some milliseconds."""
_LEAVE_SECONDS = 60.0
"""What a worker may take to end when it is asked to, before it is killed."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A worker's figures at one moment: each metric's sum over all labels, by sample name.

    read_at: seconds of the monotonic clock.
    """

    figures: dict[str, float]
    read_at: float

    def __getitem__(self, name: str) -> float:
        """A figure; 0 where the worker has not counted that yet."""
        return self.figures.get(name, 0.0)

    @property
    def folded(self) -> float:
        """Records taken from the source topics, whatever became of them."""
        return self["winback_records_total"]

    @property
    def cpu_seconds(self) -> float:
        """Of the process since its start, all its threads."""
        return self["process_cpu_seconds_total"]

    @property
    def megabytes(self) -> float:
        """Resident now."""
        return self["process_resident_memory_bytes"] / 1e6


def reading(metrics: str, read_at: float) -> Reading:
    """The figures of a page in Prometheus' text format."""
    figures: dict[str, float] = defaultdict(float)
    for family in text_string_to_metric_families(metrics):
        for sample in family.samples:
            figures[sample.name] += sample.value
    return Reading(dict(figures), read_at)


class Worker:
    """A running `winback worker`."""

    def __init__(
        self, process: asyncio.subprocess.Process, session: aiohttp.ClientSession, views: str
    ) -> None:
        self.process = process
        self._session = session
        self._views = views

    async def read(self) -> Reading | None:
        """Its figures; None while it does not answer yet. SystemExit where it has ended."""
        if self.process.returncode is not None:
            raise SystemExit(f"a worker ended with code {self.process.returncode}")
        try:
            async with self._session.get(f"{self._views}/metrics") as response:
                return reading(await response.text(), monotonic())
        except aiohttp.ClientError:
            return None

    async def ready(self) -> Reading:
        """Its figures, once it has joined and recovered."""
        await until(self._is_ready)
        found = await self.read()
        assert found is not None
        return found

    async def _is_ready(self) -> bool:
        if self.process.returncode is not None:
            raise SystemExit(f"a worker ended with code {self.process.returncode}")
        try:
            async with self._session.get(f"{self._views}/readyz") as response:
                return response.status == 200
        except aiohttp.ClientError:
            return False


def variables_of(settings: Settings) -> dict[str, str]:
    """What tells a worker its settings; it serves its views on a port that is free now."""
    return {**environment_of(settings), "WINBACK_HTTP_PORT": str(free_ports(1)[0])}


@asynccontextmanager
async def worker(settings: Settings) -> AsyncIterator[Worker]:
    """A worker until the end of the block, which asks it to end if it still runs."""
    variables = variables_of(settings)
    async with (
        aiohttp.ClientSession() as session,
        child(
            [sys.executable, "-m", "agents", "worker"],
            {**os.environ, **variables},
            grace_seconds=_LEAVE_SECONDS,
            stdout=asyncio.subprocess.DEVNULL,
        ) as process,
    ):
        yield Worker(process, session, f"http://{LOOPBACK}:{variables['WINBACK_HTTP_PORT']}")


async def until(condition: Callable[[], Awaitable[object]], seconds: float = PATIENCE) -> None:
    """Until the condition holds; a TimeoutError tells that it never did."""
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - a condition is all that is known
            await asyncio.sleep(LOOK_SECONDS)
