"""Workers on an installation of their own, what is put into its topics, and what they make of it."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.structs import ConsumerRecord
from prometheus_client.parser import text_string_to_metric_families

from agents.brokers.broker import LOOPBACK, free_ports
from agents.configuration import environment_of
from agents.produce import load_events
from agents.topics import create_topics
from agents.worker import replayed, work
from schemas.customer import Customer
from schemas.events import Event
from schemas.record import unpack
from schemas.topics import (
    CHANGELOG,
    CHURN_RISK,
    CUSTOMER_HEALTH,
    DEAD_LETTERS,
    ERASURE_RECEIPTS,
    SOURCES,
    WIN_BACK,
    TopicSpec,
)
from schemas.triggers import Trigger
from streams.connection import partition_counts
from streams.core.playbook import Playbook
from streams.settings import Settings
from streams.tables import Shard, load
from tests.flows.events import logs_of
from tests.flows.pure_fold import Folded, pure_fold
from tests.kafka.commands import everything_in, installation
from tests.streams.memory import Written, source_of, triggers_of

PATIENCE = 90.0
"""Seconds: how long a worker may take for anything on a machine that has other things to do."""


async def until(condition: Callable[[], Awaitable[object]], seconds: float = PATIENCE) -> None:
    """Until the condition holds; a TimeoutError tells that it never did."""
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - a condition is all that is known
            await asyncio.sleep(0.1)  # asking costs the worker time too


async def until_shown(client: AIOKafkaAdminClient, counts: dict[str, int]) -> None:
    """Until the broker shows each topic with so many partitions, some time after it acknowledged them."""

    async def shown() -> bool:
        described = await client.describe_topics()
        return counts.items() <= {topic["topic"]: len(topic["partitions"]) for topic in described}.items()

    await until(shown)


async def is_gone(settings: Settings, topic: str) -> bool:
    """Whether the broker no longer shows a topic."""
    return not await partition_counts(settings, [topic])


@dataclass
class Scene:
    """An application with topics of its own."""

    settings: Settings
    shards: dict[int, Shard] = field(default_factory=dict)

    @property
    def partitions(self) -> int:
        """Of each topic."""
        return self.settings.partitions

    def with_(self, **changes: object) -> Settings:
        """The settings of one worker."""
        return self.settings.model_copy(update=changes)

    # What is put in

    async def load(self, events: Iterable[Event], order: Sequence[int] = (0, 1, 2)) -> None:
        """Load events as `winback load` does, topic by topic in this order; each must be sorted."""
        events = list(events)
        for source in order:
            name = self.settings.topics.name(SOURCES[source])
            await load_events(self.settings, name, [e for e in events if source_of(e) == source])

    # What came out

    async def records(self, spec: TopicSpec) -> list[list[ConsumerRecord[bytes, bytes]]]:
        """The committed records of a topic, by partition."""
        name = self.settings.topics.name(spec)
        return await everything_in(self.settings.bootstrap, name, self.partitions)

    async def written(self, spec: TopicSpec) -> list[list[Written]]:
        """Key, value and headers of the committed records of a topic, by partition, in order."""
        return [
            [(record.key, record.value, tuple(record.headers)) for record in partition]
            for partition in await self.records(spec)
        ]

    async def triggers(self) -> list[Trigger]:
        """All triggers, those of churn-risk first."""
        return [
            trigger
            for spec in (CHURN_RISK, WIN_BACK)
            for partition in await self.written(spec)
            for trigger in triggers_of(partition)
        ]

    async def recover(self) -> dict[int, Shard]:
        """What the changelog holds; read on from where the last call ended."""
        changelog = self.settings.topics.name(CHANGELOG)
        report = await load(self.settings, changelog, self.shards, range(self.partitions))
        assert not report.errors
        return self.shards

    async def clocks(self) -> list[int | None]:
        """The committed clock of each partition, None for one that has not begun."""
        shards = await self.recover()
        records = [shards[number].partition_record for number in range(self.partitions)]
        return [None if record is None else record.clock for record in records]

    async def folded(self, source: int) -> int:
        """How many offsets of a topic have been folded, over all partitions."""
        shards = await self.recover()
        records = [shards[number].partition_record for number in range(self.partitions)]
        return sum(record.sources[source].next_offset for record in records if record is not None)

    async def customers(self) -> dict[bytes, Customer]:
        """The state."""
        shards = await self.recover()
        return {key: unpack(value) for shard in shards.values() for key, value in shard.records.items()}

    async def stable(self) -> None:
        """Until no transaction is open on any topic: what reads up to the committed end misses nothing."""
        specs = (CHURN_RISK, WIN_BACK, CUSTOMER_HEALTH, ERASURE_RECEIPTS, *DEAD_LETTERS, CHANGELOG)
        places = [
            TopicPartition(self.settings.topics.name(spec), number)
            for spec in specs
            for number in range(self.partitions)
        ]
        async with AsyncExitStack() as stack:
            readers = [
                await stack.enter_async_context(
                    AIOKafkaConsumer(bootstrap_servers=self.settings.bootstrap, isolation_level=level)
                )
                for level in ("read_committed", "read_uncommitted")
            ]

            async def no_transaction() -> bool:
                stable, all_of_it = [await reader.end_offsets(places) for reader in readers]
                return bool(stable == all_of_it)

            await until(no_transaction)

    async def assert_is(self, folds: Sequence[Folded]) -> None:
        """The same triggers and health in the same order, the same state: what the pure folds say."""
        for spec in (CHURN_RISK, WIN_BACK, CUSTOMER_HEALTH):
            assert [fold.written.get(spec.name, []) for fold in folds] == await self.written(spec)
        assert {k: c for fold in folds for k, c in fold.customers.items()} == await self.customers()
        assert [fold.clock for fold in folds] == await self.clocks()


def folds_of(events: Iterable[Event], partitions: int, playbook: Playbook, end: int) -> list[Folded]:
    """The pure fold of each partition."""
    events = list(events)
    return [pure_fold(logs_of(events, number, partitions), playbook, end) for number in range(partitions)]


@asynccontextmanager
async def scene_of(bootstrap: str, application_id: str, **settings: object) -> AsyncIterator[Scene]:
    """An installation with all its topics, still empty."""
    scene = Scene(
        installation(
            bootstrap, application_id, http_port=0, log_level="error", **{"partitions": 3, **settings}
        )
    )
    await create_topics(scene.settings)
    yield scene


# --------------------------------------------------------------------------------- a worker in here


@dataclass
class Worker:
    """A worker in this process."""

    task: asyncio.Task[None]
    ending: asyncio.Event
    views: str

    async def ready(self) -> None:
        """Until it has joined and recovered."""
        await until(self._answers)

    async def _answers(self) -> bool:
        return await answers(f"{self._running}/readyz")

    @property
    def _running(self) -> str:
        """Where its views are; raises what it failed of."""
        if self.task.done():
            self.task.result()
        return self.views

    async def stop(self) -> None:
        """As SIGTERM does; raises what it failed of, and TimeoutError where it hangs."""
        self.ending.set()
        await asyncio.wait_for(self.task, PATIENCE)

    async def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples that carry these labels."""
        return await metric(self._running, name, **labels)


@asynccontextmanager
async def worker(settings: Settings) -> AsyncIterator[Worker]:
    """A worker until the end of the block."""
    (port,) = free_ports(1)
    ending = asyncio.Event()
    task = asyncio.create_task(work(settings.model_copy(update={"http_port": port}), stop=ending))
    running = Worker(task, ending, f"http://{LOOPBACK}:{port}")
    try:
        yield running
    finally:
        ending.set()
        await asyncio.wait([task], timeout=PATIENCE)
    await running.stop()


async def replay(*settings: Settings) -> None:
    """Workers in this process, all at once, until each has nothing left to replay."""
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(*(work(each, until=replayed) for each in settings))


# ----------------------------------------------------------------------------- a process of its own


@dataclass
class Process:
    """A `winback` command as a process."""

    process: asyncio.subprocess.Process
    views: str

    async def ready(self) -> None:
        """Until it has joined and recovered."""
        await until(self._answers)

    async def _answers(self) -> bool:
        assert self.process.returncode is None, await self.end()
        return await answers(f"{self.views}/readyz")

    async def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples that carry these labels."""
        assert self.process.returncode is None, await self.end()
        return await metric(self.views, name, **labels)

    async def terminate(self) -> None:
        """SIGTERM."""
        self.process.send_signal(signal.SIGTERM)

    async def end(self, seconds: float = PATIENCE) -> tuple[int, str]:
        """Until it has ended: its exit code, and what it wrote to stderr."""
        _, errors = await asyncio.wait_for(self.process.communicate(), seconds)
        assert self.process.returncode is not None
        return self.process.returncode, errors.decode()

    async def leave(self, seconds: float = PATIENCE) -> None:
        """Until it has ended as asked: exit code 0, and no stack trace."""
        code, errors = await self.end(seconds)
        assert code == 0, errors
        assert "raceback" not in errors

    async def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        await self.process.wait()


@asynccontextmanager
async def process(settings: Settings, *arguments: str) -> AsyncIterator[Process]:
    """A worker in a process of its own; killed at the end of the block if it still runs."""
    (port,) = free_ports(1)
    given = settings.model_copy(update={"http_port": port})
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "agents", "worker", *arguments),
        env={**os.environ, **environment_of(given)},
        cwd=Path(__file__).parents[2],
        stdin=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    running = Process(child, f"http://{LOOPBACK}:{port}")
    try:
        yield running
    finally:
        if child.returncode is None:
            await running.kill()


# --------------------------------------------------------------------------------------- its views


async def answers(url: str) -> bool:
    """Whether a view answers 200."""
    try:
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            return response.status == 200
    except aiohttp.ClientError:
        return False


async def metric(views: str, name: str, **labels: str) -> float:
    """The sum of a metric's samples that carry these labels; 0 where no worker answers yet."""
    try:
        async with aiohttp.ClientSession() as session, session.get(f"{views}/metrics") as response:
            families = list(text_string_to_metric_families(await response.text()))
    except aiohttp.ClientError:
        return 0.0
    return sum(
        sample.value
        for family in families
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )
