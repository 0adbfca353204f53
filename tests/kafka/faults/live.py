"""A round on the wall clock: events that come as they happen or late, and silences that end in seconds.

What is said depends on timing here: a late order finds its silence said already, or prevents it. What
does not depend on it: what was raised, less what was revoked, is what the pure fold of all events in the
order of their instants raises; whatever was revoked had been raised; and nothing is said twice. The
workers' clocks are stepped, which changes nothing of that; and some customers are forgotten.
"""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from pathlib import Path
from random import Random
from tempfile import NamedTemporaryFile
from typing import Final

from aiokafka import AIOKafkaProducer

from schemas.codec import encode_event
from schemas.customer import NEVER
from schemas.errors import WinbackError
from schemas.events import Event
from schemas.instants import since_epoch
from schemas.topics import CHANGELOG, CHURN_RISK, ERASURES, SOURCES
from streams.clock import monotonic, wall_ms
from streams.core.playbook import DAY, HOUR, Playbook
from streams.partitioner import partition_of
from streams.playbook_file import load_playbook
from tests.flows.events import login, purchase, ticket
from tests.kafka.faults.accidents import Stage
from tests.kafka.faults.cluster import Cluster
from tests.kafka.faults.crew import STEPPED, crew_of
from tests.kafka.faults.live_verdict import judge_live
from tests.kafka.faults.petitions import Petitions
from tests.kafka.faults.reader import Ledger
from tests.kafka.faults.round import (
    FINISH_SECONDS,
    RUBBISH,
    Hung,
    Report,
    Size,
    Tell,
    line_of,
    look_back,
    settings_of,
    start_of,
    strike,
)
from tests.kafka.faults.schedule import Planned
from tests.kafka.faults.verdict import records_of, written
from tests.kafka.scene import Scene, scene_of, until
from tests.streams.memory import source_of

SECOND: Final = 1000
PLAYBOOK: Final = """[rules.second_order_due]
after = "20 days"
"""
"""So that an order which comes now, and is not too late, may have its deadline within seconds."""
FAULT_MS: Final = 7 * SECOND
"""How much time there is for each fault."""
PAST: Final = 5
"""How many events of somebody forgotten come again."""
UNFORGOTTEN: Final = 2 * HOUR
"""How much of the past some of those who are forgotten keep: enough for a breach within it."""


@dataclass(frozen=True, slots=True)
class Sent:
    """An event, or bytes that are none, and when it is sent (ms since the epoch)."""

    at: int
    source: int
    key: bytes
    value: bytes
    event: Event | None = None


def script(seed: int, customers: int, begin: int, length: int, playbook: Playbook) -> list[Sent]:
    """What is sent, in order: each customer is of one of six kinds, its deadline within the window.

    begin, length: the window in which deadlines fall, ms.
    """
    assert playbook.second_order_due is not None
    assert playbook.sla_breach is not None
    random = Random(f"live {seed}")
    after, promised = playbook.second_order_due.after, playbook.sla_breach.within[-1]
    sent: list[Sent] = []

    def send(at: int, event: Event) -> None:
        sent.append(Sent(at, source_of(event), event.customer_id.encode(), encode_event(event), event))

    for number in range(customers):
        name = f"customer-{number}"
        due = begin + random.randrange(length)
        moment = begin + random.randrange(length)
        kind = number % 6
        if kind < 3:
            send(min(moment, due - SECOND), purchase(name, due - after, f"first {name}"))
            if kind == 1:
                # On a later day than the first, before the deadline: in time or too late, as it happens.
                at = due - random.randrange(1, after // DAY) * DAY
                send(max(moment, due - SECOND), purchase(name, at, f"late {name}"))
            elif kind == 2:
                send(due + SECOND, purchase(name, due + SECOND, f"next {name}"))
        else:
            send(min(moment, due - SECOND), ticket(name, due - promised))
            if kind == 4:
                send(moment + SECOND, ticket(name, due - random.randrange(1, HOUR // 2), "replied"))
            elif kind == 5:
                send(due + SECOND, ticket(name, due + SECOND, "replied"))
        for each in range(3):
            at = begin + random.randrange(length)
            send(at, login(name, at - random.choice((0, HOUR, 9 * DAY)), f"login {name} {each}"))
        if number % 4 == 0:
            value = RUBBISH[number // 4 % len(RUBBISH)]
            sent.append(Sent(moment, random.randrange(3), b"nobody-%d" % number, value))
    return sorted(sent, key=lambda each: each.at)


def residents(prefix: str, partitions: int) -> list[str]:
    """A customer for each partition."""
    found: dict[int, str] = {}
    numbers = count()
    while len(found) < partitions:
        name = f"{prefix}-{next(numbers)}"
        found.setdefault(partition_of(name.encode(), partitions), name)
    return [found[partition] for partition in range(partitions)]


def sentinels(partitions: int, at: int, playbook: Playbook) -> list[Sent]:
    """A ticket for each partition that breaches at `at`: once it has, all before it has fired too."""
    assert playbook.sla_breach is not None
    return [
        sent_now(ticket(name, at - playbook.sla_breach.within[-1]))
        for name in residents("sentinel", partitions)
    ]


def pulse(partitions: int, number: int) -> list[Sent]:
    """A login in each partition: a sign of life from each, also where no deadline is near."""
    now = wall_ms()
    # A few hundred at most for one customer, since so many are remembered.
    return [
        sent_now(login(name, now, f"pulse {name} {number}"))
        for name in residents(f"pulse-{number // 100}", partitions)
    ]


def sent_now(event: Event) -> Sent:
    """To be sent at once."""
    return Sent(0, source_of(event), event.customer_id.encode(), encode_event(event), event)


async def play_live(
    cluster: Cluster,
    application_id: str,
    plan: Iterator[Planned],
    *,
    seed: int,
    faults: int,
    size: Size,
    tell: Tell = lambda _: None,
) -> Report:
    """Play one round with at most so many faults, on the wall clock."""
    began = monotonic()
    report = Report(application_id)
    with NamedTemporaryFile("w", prefix="winback-playbook-", suffix=".toml") as file:
        file.write(PLAYBOOK)
        file.flush()
        playbook = load_playbook(Path(file.name), None)
        settings = {**settings_of(cluster, size), "clock": "wall", "playbook": Path(file.name)}
        async with scene_of(cluster.bootstrap, application_id, **settings) as scene:
            workers = [scene.with_(bootstrap=cluster.bootstrap_of(slot)) for slot in range(size.slots)]
            ledger = Ledger(cluster.bootstrap, scene.settings.topics.name(CHANGELOG), size.partitions)
            async with (
                ledger.following(),
                crew_of(workers, cluster.roads, STEPPED) as crew,
                Mouth(scene) as mouth,
            ):
                forget = partial(petition, mouth, Petitions(scene), 8 * faults, playbook)
                stage = Stage(cluster, crew, ledger, NEVER, forget)
                try:
                    await _under_faults(stage, mouth, playbook, plan, report, seed, faults, began, tell)
                except (Hung, TimeoutError, WinbackError) as error:
                    report.hung = f"live: {type(error).__name__}: {error}"
                look_back(report, crew, ledger)
            report.events = len(mouth.said)
            events = {each.value: each.event for each in mouth.said if each.event is not None}
            report.verdict = await judge_live(scene, events, playbook)
    report.seconds = monotonic() - began
    return report


async def _under_faults(
    stage: Stage,
    mouth: "Mouth",
    playbook: Playbook,
    plan: Iterator[Planned],
    report: Report,
    seed: int,
    faults: int,
    began: float,
    tell: Tell,
) -> None:
    stage.crew.employ()
    partitions = stage.ledger.partitions
    pulses = asyncio.create_task(mouth.beat(partitions))
    await start_of(stage, "live")
    begin, length = wall_ms() + SECOND, faults * FAULT_MS
    speech = asyncio.create_task(mouth.say(script(seed, 8 * faults, begin, length, playbook)))
    try:
        for planned in plan:
            if report.struck >= faults or wall_ms() > begin + length:
                break
            happened = await strike(stage, "live", planned, began)
            report.faults.append(happened)
            tell(line_of(happened))
        await speech
    finally:
        speech.cancel()
        pulses.cancel()
        await asyncio.gather(speech, pulses, return_exceptions=True)
    last = sentinels(partitions, wall_ms() + 2 * SECOND, playbook)
    await mouth.say(last)
    await until(lambda: _said(mouth.scene, last), FINISH_SECONDS)
    await _passed(mouth.scene, stage.ledger)
    await stage.crew.dismiss()


class Mouth:
    """Sends events to an installation, and remembers which."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.said: list[Sent] = []
        self._names = [scene.settings.topics.name(spec) for spec in SOURCES]
        self._producer = AIOKafkaProducer(bootstrap_servers=scene.settings.bootstrap, enable_idempotence=True)

    async def __aenter__(self) -> "Mouth":
        await self._producer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._producer.stop()

    async def say(self, sent: Sequence[Sent]) -> None:
        """Send each when it is time; returns when the broker has them all."""
        for each in sent:
            await asyncio.sleep(max(0, each.at - wall_ms()) / 1000)
            # Remembered first: what was on its way when the round ended may have arrived.
            self.said.append(each)
            partition = partition_of(each.key, self.scene.partitions)
            await self._producer.send_and_wait(
                self._names[each.source], each.value, key=each.key, partition=partition
            )

    async def beat(self, partitions: int) -> None:
        """A pulse each second, until cancelled."""
        for number in count():
            # Not broken off in its middle: who is said to have been sent has been.
            await asyncio.shield(asyncio.ensure_future(self.say(pulse(partitions, number))))
            await asyncio.sleep(1.0)


async def petition(
    mouth: "Mouth", petitions: Petitions, customers: int, playbook: Playbook, random: Random
) -> bool:
    """Somebody of the script asks to be forgotten; then the past comes again, and perhaps they do, too."""
    assert playbook.sla_breach is not None
    name = f"customer-{random.randrange(customers)}"
    at = await petitions.ask(name, wall_ms() - random.choice((0, 0, UNFORGOTTEN)))
    past = [
        each
        for each in mouth.said
        if each.event is not None
        and each.event.customer_id == name
        and since_epoch(each.event.occurred_at) <= at
    ]
    again = [replace(each, at=0) for each in past[:PAST]]
    if random.random() < 0.7:
        now = wall_ms()
        opened = now + SECOND - playbook.sla_breach.within[-1]
        back = ticket(name, opened, of=f"again {at}") if opened > at else purchase(name, max(now, at + 1))
        again.append(sent_now(back))
    await mouth.say(again)
    return True


async def _said(scene: Scene, last: Iterable[Sent]) -> bool:
    """Whether the breach of every sentinel can be read."""
    records = await written(scene, CHURN_RISK)
    keys = {key for partition in records for key, _, _ in partition}
    return all(each.key in keys for each in last)


async def _passed(scene: Scene, ledger: Ledger) -> None:
    """Until every partition has folded and obeyed all there is."""
    sources = [[len(part) for part in await records_of(scene, spec)] for spec in SOURCES]
    erasures = [len(part) for part in await records_of(scene, ERASURES)]

    async def passed() -> bool:
        return ledger.passed(sources, erasures)

    await until(passed, FINISH_SECONDS)
