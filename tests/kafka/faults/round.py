"""One round: a population of its own, a replay of its load under faults, then its silence under faults.

In the first replay the three topics are folded; in the second, up to a later end, nothing comes in any
more, and deadline after deadline fires. Before either customers ask to be forgotten, and during both:
each is obeyed by the replay that begins next, and where there is none, by a short third one. Then all
that was left is compared with the pure fold.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from functools import partial
from random import Random
from typing import Any

from agents.produce import send_records
from schemas.codec import encode_event
from schemas.errors import WinbackError
from schemas.events import Event
from schemas.instants import instant, since_epoch
from schemas.topics import CHANGELOG, SOURCES
from streams.clock import monotonic, wall_ms
from streams.core.playbook import Playbook
from streams.settings import Settings
from tests.flows.events import crowd, unruly
from tests.kafka.faults.accidents import LIVE_KINDS, Stage
from tests.kafka.faults.cluster import Cluster
from tests.kafka.faults.crew import Crew, crew_of
from tests.kafka.faults.petitions import Petitions, Population
from tests.kafka.faults.reader import Ledger
from tests.kafka.faults.schedule import Planned
from tests.kafka.faults.verdict import Verdict, judge, oracle
from tests.kafka.scene import Scene, scene_of
from tests.streams.memory import source_of

SERVED_SECONDS = 60.0
"""After a start or a fault all partitions get on within that; else the run counts as hung."""
FINISH_SECONDS = 120.0
SESSION_SECONDS = 3.0
BASE_DELAY_SECONDS = 0.01
"""Of every frame: it takes so long on any machine that a transaction is hit in its middle, and leaves
the processor to others."""
RUBBISH: Sequence[bytes] = (b"{", b"\xff\xfe", b'{"id": 1}', b"[]")
RUBBISH_EVERY = 9


@dataclass(frozen=True, slots=True)
class Size:
    """How much there is to do. silence: days without any event, at the end. erasures: asked for before
    each replay, besides those that are drawn as faults are."""

    customers: int = 400
    days: int = 90
    silence: int = 250
    partitions: int = 4
    slots: int = 3
    erasures: int = 40


@dataclass
class Happened:
    """One fault as it was. at: seconds from the round's start; served: seconds until all got on again."""

    kind: str
    slot: int
    phase: str
    at: float
    struck: bool
    lasted: float = 0.0
    served: float | None = None
    overlapping: bool = False


@dataclass
class Report:
    """What a round came to. hung: what did not get on, in words."""

    application: str
    faults: list[Happened] = field(default_factory=list)
    verdict: Verdict = field(default_factory=Verdict)
    seconds: float = 0.0
    commits: int = 0
    events: int = 0
    starts: int = 0
    slowest_leave: float = 0.0
    endings: dict[str, int] = field(default_factory=dict)
    strange_endings: list[str] = field(default_factory=list)
    unheard_errors: int = 0
    hung: str = ""

    @property
    def good(self) -> bool:
        """Whether nothing is lost, doubled, altered, hung or crashed."""
        return self.verdict.good and not self.hung and not self.strange_endings

    @property
    def struck(self) -> int:
        """How many faults happened."""
        return sum(fault.struck for fault in self.faults)

    def as_json(self) -> dict[str, Any]:
        """For a file."""
        return {**asdict(self), "good": self.good}


Tell = Callable[[str], object]


class Hung(Exception):
    """Something that should have got on did not."""


async def play(
    cluster: Cluster,
    application_id: str,
    playbook: Playbook,
    plan: Iterator[Planned],
    *,
    seed: int,
    faults: int,
    size: Size = Size(),
    tell: Tell = lambda _: None,
) -> Report:
    """Play one round with at most so many faults, half of them in the silence."""
    began = monotonic()
    report = Report(application_id)
    events = unruly(crowd(seed, size.customers, size.days), seed)
    last = max(event.occurred_at for event in events)
    ends = [since_epoch(last + timedelta(days=days)) + 1 for days in (0, size.silence, size.silence + 1)]
    people, random = Population(events), Random(f"erasures {seed}")
    asked: list[list[int]] = []
    settings = {**settings_of(cluster, size), "clock": "event"}
    async with scene_of(cluster.bootstrap, application_id, **settings) as scene:
        report.events = await put_in(scene, events)
        workers = [
            scene.with_(bootstrap=cluster.bootstrap_of(slot), http_port=0) for slot in range(size.slots)
        ]
        ledger = Ledger(cluster.bootstrap, scene.settings.topics.name(CHANGELOG), size.partitions)
        async with ledger.following(), crew_of(workers, cluster.roads) as crew:
            petitions = Petitions(scene)
            forget = partial(people.petition, petitions)
            try:
                for phase, end in zip(("load", "silence", "rest"), ends, strict=True):
                    if phase == "rest":
                        if await petitions.ends() == asked[-1]:
                            break
                    else:
                        await petitions.ask_for_many(people.draw(random, size.erasures))
                    # All of it is obeyed in this phase: whoever asks from now on does so when every
                    # partition has begun.
                    asked.append(await petitions.ends())
                    quota = {"load": faults // 2, "silence": faults - report.struck, "rest": 0}[phase]
                    stage = Stage(cluster, crew, ledger, end, forget)
                    await _phase(stage, phase, plan, quota, report, began, tell)
            except (Hung, TimeoutError, WinbackError) as error:
                report.hung = f"{type(error).__name__}: {error}"
            look_back(report, crew, ledger)
        if asked:
            folds = await oracle(scene, playbook, ends[: len(asked)], asked)
            report.verdict = await judge(scene, folds)
    report.seconds = monotonic() - began
    return report


def settings_of(cluster: Cluster, size: Size) -> dict[str, object]:
    """What both kinds of rounds set: failures heal fast. Every frame takes its time from now on."""
    for ways in cluster.roads:
        for road in ways:
            road.base_delay = BASE_DELAY_SECONDS
    return {
        "partitions": size.partitions,
        "replication_factor": min(3, len(cluster.nodes)),
        "session_timeout_seconds": SESSION_SECONDS,
        "rebalance_timeout_seconds": 10.0,
        "transaction_timeout_seconds": 5.0,
    }


async def put_in(scene: Scene, events: Sequence[Event]) -> int:
    """Load events in this order, with records in between that nobody can fold; how many records."""
    count = 0
    for source, spec in enumerate(SOURCES):
        records: list[tuple[bytes, bytes]] = []
        for number, event in enumerate(each for each in events if source_of(each) == source):
            if number % RUBBISH_EVERY == 0:
                key = f"nobody-{number}".encode()
                records.append((key, RUBBISH[number // RUBBISH_EVERY % len(RUBBISH)]))
            records.append((event.customer_id.encode(), encode_event(event)))
        count += await send_records(scene.settings, scene.settings.topics.name(spec), records)
    return count


async def _phase(
    stage: Stage, phase: str, plan: Iterator[Planned], quota: int, report: Report, began: float, tell: Tell
) -> None:
    """One replay, from the first worker's start to the last one's leave."""
    # A record, and a deadline, is a transaction of its own: so there is always one to hit.
    stage.crew.employ(lambda settings: _up_to(settings, stage.end, batch=1))
    await start_of(stage, phase)
    struck = 0
    while struck < quota and not stage.over:
        planned = next(plan)
        happened = await strike(stage, phase, planned, began)
        report.faults.append(happened)
        struck += happened.struck
        tell(line_of(happened))
    # What is left is done in a hurry.
    stage.crew.employ(lambda settings: _up_to(settings, stage.end, batch=4000))
    if not stage.over:
        for slot in stage.crew.slots:
            slot.terminate()
    async with asyncio.timeout(FINISH_SECONDS):
        while not stage.over:  # noqa: ASYNC110 - a condition is all that is known
            await asyncio.sleep(0.05)
    await stage.crew.dismiss()


async def start_of(stage: Stage, phase: str) -> None:
    """Until the workers have begun in every partition; Hung where they do not."""
    before = max(stage.ledger.moved_at.values(), default=0)
    if not await stage.served(before, SERVED_SECONDS):
        raise Hung(f"{phase}: no start within {SERVED_SECONDS:.0f} s")


async def strike(stage: Stage, phase: str, planned: Planned, began: float) -> Happened:
    """Let one fault happen, and wait until it has healed; began: monotonic seconds of the round's start."""
    await asyncio.sleep(planned.pause)
    at = monotonic()
    slot = stage.crew.slots[planned.slot]
    struck = await LIVE_KINDS[planned.kind](stage, slot, Random(planned.seed))
    healed, since = monotonic(), wall_ms()
    happened = Happened(
        planned.kind, planned.slot, phase, at - began, struck, healed - at, None, planned.overlapping
    )
    if not planned.overlapping:
        if not await stage.served(since, SERVED_SECONDS):
            raise Hung(f"not every partition got on within {SERVED_SECONDS:.0f} s of {planned.kind}")
        happened.served = monotonic() - healed
    return happened


def _up_to(settings: Settings, end: int, *, batch: int) -> Settings:
    return settings.model_copy(update={"end_instant": instant(end), "batch_max_records": batch})


def look_back(report: Report, crew: Crew, ledger: Ledger) -> None:
    """What the workers went through, into the report."""
    report.commits = ledger.commits
    report.starts = sum(slot.starts for slot in crew.slots)
    report.slowest_leave = max(slot.slowest_leave for slot in crew.slots)
    for ending in crew.endings:
        label = str(ending.code)
        report.endings[label] = report.endings.get(label, 0) + 1
        report.unheard_errors += ending.unheard
        if ending.strange:
            report.strange_endings.append(f"slot {ending.slot}, code {ending.code}: {ending.words[-2000:]}")


def line_of(happened: Happened) -> str:
    """A fault in one line, for people."""
    if not happened.struck:
        return f"{happened.phase:8}{happened.kind:22} did not happen"
    served = "not awaited" if happened.served is None else f"served again after {happened.served:.1f} s"
    return f"{happened.phase:8}{happened.kind:22} worker {happened.slot}, at {happened.at:5.1f} s, {served}"
