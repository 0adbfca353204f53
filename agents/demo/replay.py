"""The worker as a process of its own, and the triggers it commits, read while it works."""

import asyncio
import os
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

import aiohttp
from aiokafka.structs import TopicPartition

from agents.brokers.broker import free_ports
from agents.clients import need_topics, reader
from agents.configuration import environment_of
from agents.demo.verdict import Arrived
from schemas.codec import decode_output
from schemas.errors import Fatal
from schemas.topics import CHURN_RISK, WIN_BACK
from schemas.triggers import ChurnRisk, WinBack
from streams.clock import monotonic
from streams.settings import Settings

STOP_SECONDS: Final = 20.0
"""What the worker may take to end after SIGTERM."""

_GULP_SECONDS: Final = 0.5

Shown = Callable[[ChurnRisk | WinBack], None]
Progress = Callable[[int, int], None]
"""Called with how many records have been folded and how many triggers have come."""


async def replay(settings: Settings, log: Path, shown: Shown, progress: Progress) -> tuple[Arrived, float]:
    """What a worker made of the topics, and the seconds from its start to its end.

    shown: called with a trigger now and then. Raises Fatal where the worker failed.
    """
    [port] = free_ports(1)
    arrived, began = Arrived(), monotonic()
    async with _worker(settings, port, log) as worker, reader(settings) as consumer:
        topics = [settings.topics.name(spec) for spec in (CHURN_RISK, WIN_BACK)]
        partitions = await need_topics(settings, *topics)
        places = [TopicPartition(topic, n) for topic, total in partitions.items() for n in range(total)]
        consumer.assign(places)
        await consumer.seek_to_beginning()
        watching = asyncio.create_task(_watch(port, arrived, progress))
        try:
            while worker.returncode is None:
                # In gulps: whoever asks for each batch as it is committed keeps the broker and himself
                # as busy as the worker, on the same two cores.
                await asyncio.sleep(_GULP_SECONDS)
                _take(await consumer.getmany(timeout_ms=0), arrived, shown)
            seconds = monotonic() - began
            if worker.returncode:
                raise Fatal(f"the worker failed with exit code {worker.returncode}; its log is {log}")
            # A commit is acknowledged a moment before its marker stands: what is last becomes readable
            # only then, so the end is taken for the end when it has not moved for a while.
            before, ends = None, await consumer.end_offsets(places)
            while before != ends:
                while any([await consumer.position(place) < ends[place] for place in places]):
                    _take(await consumer.getmany(timeout_ms=200), arrived, shown)
                await asyncio.sleep(_GULP_SECONDS)
                before, ends = ends, await consumer.end_offsets(places)
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
    return arrived, seconds


def _take(fetched: Any, arrived: Arrived, shown: Shown) -> None:
    trigger: ChurnRisk | WinBack | None = None
    for records in fetched.values():
        for record in records:
            message = decode_output(record.value, record.headers)
            if isinstance(message, ChurnRisk | WinBack):
                trigger = message
                arrived.add(message)
    if trigger is not None:
        shown(trigger)


async def _watch(port: int, arrived: Arrived, progress: Progress) -> None:
    """Ask the worker's own metrics how far it is, twice a second."""
    async with aiohttp.ClientSession() as session:
        while True:
            await asyncio.sleep(0.5)
            with suppress(aiohttp.ClientError):
                async with session.get(f"http://127.0.0.1:{port}/metrics") as response:
                    progress(_folded(await response.text()), len(arrived))


def _folded(metrics: str) -> int:
    lines = [line for line in metrics.splitlines() if line.startswith("winback_records_total{")]
    return round(sum(float(line.rpartition(" ")[2]) for line in lines))


@asynccontextmanager
async def _worker(settings: Settings, port: int, log: Path) -> AsyncIterator[Process]:
    """`winback worker` until it has finished, or the block is left."""
    environment = {**os.environ, **environment_of(settings), "WINBACK_HTTP_PORT": str(port)}
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as lines:
        worker = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "agents",
            "worker",
            "--until-done",
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=lines,
            stderr=lines,
            start_new_session=True,  # Ctrl-C reaches it as our SIGTERM, once
        )
        try:
            yield worker
        finally:
            if worker.returncode is None:
                worker.terminate()
                try:
                    await asyncio.wait_for(worker.wait(), STOP_SECONDS)
                except TimeoutError:
                    worker.kill()
                    await worker.wait()
