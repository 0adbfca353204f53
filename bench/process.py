"""A worker as a process of its own: what it says of itself, and what it takes of the machine."""

import asyncio
import math
import os
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from agents.brokers.broker import LOOPBACK, free_ports
from agents.configuration import environment_of
from streams.clock import monotonic
from streams.settings import Settings

PATIENCE = 600.0
"""Seconds a worker may take for anything; a recovery of three million customers is the longest."""
LOOK_SECONDS = 0.1
"""Between two looks at a worker's figures: each look costs it some milliseconds."""


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


@asynccontextmanager
async def worker(settings: Settings) -> AsyncIterator[Worker]:
    """A worker until the end of the block, which asks it to end."""
    [port] = free_ports(1)
    environment = {**os.environ, **environment_of(settings), "WINBACK_HTTP_PORT": str(port)}
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "agents", "worker"),
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
        )
        stack.push_async_callback(_end, process)
        yield Worker(process, session, f"http://{LOOPBACK}:{port}")


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
    await asyncio.wait_for(process.wait(), PATIENCE)


async def until(condition: Callable[[], Awaitable[object]], seconds: float = PATIENCE) -> None:
    """Until the condition holds; a TimeoutError tells that it never did."""
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - a condition is all that is known
            await asyncio.sleep(LOOK_SECONDS)


def broker_cpu_seconds() -> float:
    """What the broker that this process has started has taken so far.

    nan where that cannot be told: a broker that was given, or a system without /proc.
    """
    spent = [cpu_seconds(stat) for stat in _descendants(os.getpid()) if "(java)" in stat]
    return sum(spent) if spent else math.nan


def cpu_seconds(stat: str) -> float:
    """User and system time from a process's /proc/PID/stat, as proc(5) has it."""
    # The name, in brackets, may hold blanks and brackets of its own.
    user, system = stat.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def _descendants(ancestor: int) -> list[str]:
    stats: dict[int, str] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            stats[int(path.parent.name)] = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue  # it has just ended
    family = {ancestor}
    found = []
    # A child may have a lower number than its parent where numbers have come round: look until none is new.
    while fresh := [
        number
        for number, stat in stats.items()
        if number not in family and int(stat.rpartition(")")[2].split()[1]) in family
    ]:
        family.update(fresh)
        found += [stats[number] for number in fresh]
    return found
