"""All runs: the input is made once, then each engine in turn, round after round.

In turn, so that a machine that grows slower or busier is so for everybody. What a run wrote is
verified and thrown away before the next.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from aiokafka.admin import NewTopic
from msgspec.structs import replace as altered

from agents.produce import send_records
from agents.topics import create_topics, topic_configuration
from bench.catalogue import Engine, Job, Order
from bench.command import Say
from bench.input import Expected, Size, purchases
from bench.installation import own_settings
from bench.measure import Failed, Figures, Watched, measure
from bench.programs import NotRun
from bench.report import Result, Run
from bench.verify import topics_of, triggers_in, verify
from schemas.errors import Fatal
from schemas.topics import CHANGELOG, PURCHASES, SOURCES, TopicSpec
from streams.clock import monotonic
from streams.connection import admin

PLAYBOOK: Final = "[rules.silent_for]\nenabled = true\n"
"""The packaged rules, and the one that is off among them."""
SLOWEST: Final = 500.0
"""Events a second; an engine that needs longer than that counts as stuck."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be run. slow: the input of engines that are too slow for all of it."""

    engines: Sequence[Engine]
    jobs: Sequence[Job]
    size: Size
    slow: Size
    runs: int

    def pairs(self) -> list[tuple[Job, Engine]]:
        """Job by job, in the order of the table."""
        return [(job, engine) for job in self.jobs for engine in self.engines if job in engine.jobs]


class Bench:
    """The runs of a plan against one broker.

    folder: for what engines keep on disk. broker_processes: what the broker's CPU seconds are of.
    """

    def __init__(
        self, bootstrap: str, plan: Plan, folder: Path, say: Say, *, broker_processes: Sequence[int]
    ) -> None:
        self._plan = plan
        self._folder = folder
        self._say = say
        playbook = folder / "playbook.toml"
        playbook.write_text(PLAYBOOK, encoding="utf-8")
        self._settings = own_settings(
            bootstrap,
            partitions=plan.size.partitions,
            playbook=playbook,
            clock="event",
            end_instant=plan.size.end,
        )
        self._name = self._settings.application_id
        self._watched = Watched(self._settings, self._name, broker_processes)
        self._inputs = {False: self._settings.topics.name(PURCHASES), True: f"{self._name}-slow-purchases"}
        self._expected = {False: Expected(), True: Expected()}
        self._results: dict[tuple[Job, str], Result] = {}

    @property
    def value_bytes(self) -> float:
        """Of a purchase, on average."""
        known = self._expected[False]
        return known.value_bytes / known.events if known.events else 0.0

    @property
    def results(self) -> list[Result]:
        """What has been measured so far, in the order of the table."""
        pairs = [(job, engine.name) for job, engine in self._plan.pairs()]
        return [self._results[pair] for pair in pairs if pair in self._results]

    async def run(self) -> None:
        """Everything; see `results`."""
        await self._make_input()
        for number in range(1, self._plan.runs + 1):
            for job, engine in self._plan.pairs():
                size = self._plan.slow if engine.prefix else self._plan.size
                known = self._results.get((job, engine.name))
                if known is None:
                    known = Result(job, engine.name, engine.settings, size.events)
                if not (known.not_run or known.failed):
                    known = await self._once_more(known, engine, job, number)
                self._results[job, engine.name] = known

    # The input

    async def _make_input(self) -> None:
        began, size = monotonic(), self._plan.size
        await create_topics(self._settings)
        await self._create([TopicSpec(self._inputs[True], None, compacted=False, retention_ms=None)])
        records = self._expected[False].watch(purchases(size))
        await send_records(self._settings, self._inputs[False], records)
        if any(engine.prefix for engine in self._plan.engines):
            part = islice(purchases(size), self._plan.slow.events)
            await send_records(self._settings, self._inputs[True], self._expected[True].watch(part))
        self._say(f"{size.events:,} purchases made in {monotonic() - began:.0f} s")

    # One run

    async def _once_more(self, known: Result, engine: Engine, job: Job, number: int) -> Result:
        name = f"{self._name}-{engine.name.replace(' ', '-')}-{job}-{number}"
        said = f"{job}, {engine.name}, run {number}: "
        try:
            with TemporaryDirectory(dir=self._folder) as folder:
                order = await self._order(name, engine, job, Path(folder))
                command = engine.command(order)
                patience = 60 + order.size.events / SLOWEST
                figures, versions = await measure(command, self._watched, patience=patience)
                await verify(engine, order, self._expected[engine.prefix])
                triggers = await triggers_in(order.settings) if _is_worker(engine, job) else 0
        except NotRun as error:
            self._say(f"{said}not run, {error}")
            return altered(known, not_run=str(error))
        except Failed as error:
            self._say("\n    ".join([f"{said}FAILED, {error}", *error.tail]))
            return altered(known, failed=str(error))
        finally:
            await self._clear()
        self._say(f"{said}{known.events / figures.seconds:,.0f} events/s")
        runs = [*known.runs, _run(figures)]
        return altered(known, runs=runs, versions=known.versions | versions, triggers=triggers)

    async def _order(self, name: str, engine: Engine, job: Job, folder: Path) -> Order:
        """What is to be run, its topics made."""
        size = self._plan.slow if engine.prefix else self._plan.size
        settings = self._settings.model_copy(update={"application_id": name})
        if _is_worker(engine, job):
            await create_topics(settings)
        else:
            settings = settings.model_copy(update={"topic_prefix": ""})
        order = Order(job, name, settings, self._inputs[engine.prefix], size, folder)
        if engine.own_alerts and job == "total":
            await self._create([replace(CHANGELOG, name=settings.topics.name(CHANGELOG))])
        elif not engine.own_alerts and job != "drain":
            await self._create([TopicSpec(order.alerts, None, compacted=False, retention_ms=None)])
        return order

    async def _create(self, specs: Sequence[TopicSpec]) -> None:
        topics = [
            NewTopic(
                name=spec.name,
                num_partitions=self._plan.size.partitions,
                replication_factor=1,
                topic_configs=topic_configuration(spec),
            )
            for spec in specs
        ]
        async with admin(self._settings) as client:
            response = await client.create_topics(topics)
        if wrong := [f"{name}: {message}" for name, code, message in response.topic_errors if code]:
            raise Fatal(f"a topic cannot be created: {'; '.join(wrong)}")

    async def _clear(self) -> None:
        """Delete what the run has written: all of ours but the inputs."""
        kept = {*self._inputs.values(), *(self._settings.topics.name(source) for source in SOURCES)}
        gone = [topic for topic in await topics_of(self._settings, self._name) if topic not in kept]
        if gone:
            async with admin(self._settings) as client:
                await client.delete_topics(gone)


def _is_worker(engine: Engine, job: Job) -> bool:
    """Whether it is the real worker, which needs all of its topics."""
    return engine.own_alerts and job == "retention"


def _run(figures: Figures) -> Run:
    return Run(figures.seconds, figures.cpu_seconds, figures.broker_cpu_seconds, figures.peak_megabytes)
