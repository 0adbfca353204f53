"""`winback replay` on real Kafka: the pure fold of a time, and nothing of the live application changes."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from agents.configuration import environment_of
from agents.replay import Ending, prepare
from agents.worker import replayed, work
from schemas.codec import encode_event
from schemas.customer import LONG_AGO
from schemas.errors import ConfigurationError
from schemas.events import Event
from schemas.instants import since_epoch
from schemas.record import unpack_partition
from schemas.topics import CHANGELOG, CHURN_RISK, CUSTOMER_HEALTH, DEAD_LETTERS, SOURCES, WIN_BACK
from streams.connection import partition_counts
from streams.partitioner import partition_of
from streams.playbook_file import load_playbook
from streams.processor import Processor
from streams.replay import ReplaySettings, run_of
from streams.settings import Settings
from tests.flows.events import crowd, unruly
from tests.flows.pure_fold import Folded
from tests.kafka.scene import PATIENCE, Scene, folds_of, scene_of, until, worker
from tests.streams.memory import Written, source_of, triggers_of

PLAYBOOK = load_playbook(None, None)
PARTITIONS = 3
HISTORY = crowd(seed=7, customers=40, days=400)
EVENTS = unruly(HISTORY, seed=8)
"""In the order in which they came: some late, some twice."""
BEGIN = HISTORY[len(HISTORY) // 2].occurred_at
END = HISTORY[-1].occurred_at - timedelta(days=20)
BEGIN_MS, END_MS = since_epoch(BEGIN), since_epoch(END)
SPAN = ("--from", BEGIN.isoformat(), "--until", END.isoformat())
WRITTEN = (CHURN_RISK, WIN_BACK, CUSTOMER_HEALTH, *DEAD_LETTERS, CHANGELOG)
MISTAKE, INTERRUPTED = 2, 130


@pytest.fixture(scope="module")
def middle() -> list[Folded]:
    """What a replay from BEGIN to END must come to."""
    return folds_of([event for event in EVENTS if event.occurred_at >= BEGIN], PARTITIONS, PLAYBOOK, END_MS)


@pytest.fixture
async def scene(bootstrap: str, application_id: str) -> AsyncIterator[Scene]:
    """A live installation, its topics still empty."""
    async with scene_of(bootstrap, application_id, partitions=PARTITIONS) as scene:
        yield scene


@pytest.fixture
def trial(scene: Scene) -> Settings:
    """The live installation's settings, under the replay's name."""
    return scene.with_(application_id=f"{scene.settings.application_id}-trial")


async def come(scene: Scene, events: Iterable[Event], *, today: bool = False) -> None:
    """Events come as they did: each record is as old as the newest event up to it; or all of them now."""
    async with AIOKafkaProducer(bootstrap_servers=scene.settings.bootstrap) as producer:
        newest = LONG_AGO
        for event in events:
            newest = max(newest, since_epoch(event.occurred_at))
            key = event.customer_id.encode()
            await producer.send(
                scene.settings.topics.name(SOURCES[source_of(event)]),
                encode_event(event),
                key,
                partition_of(key, PARTITIONS),
                timestamp_ms=None if today else newest,
            )
        await producer.flush()


async def prepared(trial: Settings) -> ReplaySettings:
    """The settings of a replay from BEGIN to END, its topics there."""
    return await prepare(trial, BEGIN_MS, END_MS, PLAYBOOK)


def ending_of(settings: ReplaySettings) -> Ending:
    """What a process of the replay waits for."""
    return Ending(settings, run_of(settings, PLAYBOOK), lambda *_: None)


@asynccontextmanager
async def command(settings: Settings, *arguments: str) -> AsyncIterator[Process]:
    """`winback replay` as a process; killed at the end of the block if it still runs."""
    given = settings.model_copy(update={"application_id": "live"})
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "agents", "replay", "--application-id", settings.application_id, *arguments),
        env={**os.environ, **environment_of(given)},
        cwd=Path(__file__).parents[2],
        stdin=asyncio.subprocess.DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
    )
    try:
        yield child
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()


async def said(settings: Settings, *arguments: str) -> tuple[int | None, str, str]:
    """The exit code of `winback replay`, what it wrote to stdout, and to stderr."""
    async with command(settings, *arguments) as child:
        return await ended(child)


async def ended(child: Process) -> tuple[int | None, str, str]:
    """As `said`, of one that runs."""
    out, errors = await asyncio.wait_for(child.communicate(), PATIENCE)
    assert b"raceback" not in errors, errors.decode()
    return child.returncode, out.decode(), errors.decode()


def counts_of(folds: Sequence[Folded]) -> Counter[tuple[str, str]]:
    """Triggers by rule and kind."""
    return Counter((t.rule, t.kind) for fold in folds for t in triggers_of(fold.triggers))


@pytest.mark.parametrize("today", [False, True])
async def test_a_replay_from_the_middle_is_the_pure_fold(
    scene: Scene, trial: Settings, middle: Sequence[Folded], today: bool
) -> None:
    """Whether the records are as old as their events, or all of the history was loaded today."""
    await come(scene, EVENTS, today=today)
    settings = await prepared(trial)
    await work(settings, until=replayed)
    replay = Scene(settings)
    await replay.assert_is(middle)
    assert {"replay"} == {trigger.origin for trigger in await replay.triggers()}


async def test_what_is_older_than_the_beginning_is_not_even_read(scene: Scene, trial: Settings) -> None:
    """The broker finds where to begin by the records' own time, five minutes before the beginning."""
    await come(scene, EVENTS)
    settings = await prepared(trial)
    await work(settings, until=replayed)
    changelogs = await Scene(settings).records(CHANGELOG)
    for number, spec in enumerate(SOURCES):
        for records, changelog in zip(await scene.records(spec), changelogs, strict=True):
            written = [record.offset for record in records if record.timestamp >= BEGIN_MS - 300_000]
            begun = unpack_partition(changelog[0].value)
            assert 0 < written[0] == begun.sources[number].next_offset


async def test_nothing_of_the_live_application_changes(
    scene: Scene, trial: Settings, middle: Sequence[Folded]
) -> None:
    """Its triggers, health, dead letters and state are what they were; the replay's table stands apart."""
    await come(scene, EVENTS)
    live = Scene(scene.with_(clock="event", end_instant=END))
    await work(live.settings, until=replayed)
    before = await everything(live)
    code, out, _ = await said(trial, *SPAN, "--json")
    assert 0 == code
    assert before == await everything(live)
    report = json.loads(out)
    assert counts_of(middle) == {(row["rule"], row["kind"]): row["count"] for row in report["triggers"]}
    letters = Counter(
        (source.name, (dict(headers)["winback-reason"] or b"").decode())
        for fold in middle
        for source, spec in zip(SOURCES, DEAD_LETTERS, strict=True)
        for _, _, headers in fold.written.get(spec.name, [])
    )
    assert letters == {(row["topic"], row["reason"]): row["count"] for row in report["dead_letters"]}


async def everything(scene: Scene) -> list[list[list[Written]]]:
    """All that an application has written."""
    return [await scene.written(spec) for spec in WRITTEN]


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT])
async def test_an_interrupted_replay_goes_on(
    scene: Scene, trial: Settings, middle: Sequence[Folded], sent: signal.Signals
) -> None:
    """Killed or told to stop in the middle, the same command goes on; another one is refused."""
    await come(scene, EVENTS)
    slow = trial.model_copy(update={"batch_max_records": 3})
    replay = Scene(ReplaySettings(**slow.model_dump(exclude_unset=True), begin_instant=BEGIN))

    async def under_way() -> bool:
        return child.returncode is not None or any(clock not in {None, LONG_AGO} for clock in await clocks())

    async def clocks() -> list[int | None]:
        return await replay.clocks() if await created(replay) else []

    async with command(slow, *SPAN) as child:
        await until(under_way)
        assert child.returncode is None, await ended(child)
        child.send_signal(sent)
        code, _, errors = await ended(child)
    if sent == signal.SIGINT:
        assert INTERRUPTED == code
        assert "interrupted: the same command goes on from here" in errors
    assert [END_MS] * PARTITIONS != await replay.clocks()
    code, _, errors = await said(trial, *SPAN[:2])
    assert MISTAKE == code
    assert f"not --from {BEGIN.isoformat(timespec='milliseconds').replace('+00:00', 'Z')}. Go on" in errors
    code, out, errors = await said(trial, *SPAN)
    assert 0 == code, errors
    assert f"{sum(counts_of(middle).values()):,} triggers from " in out
    await replay.assert_is(middle)


async def created(scene: Scene) -> bool:
    """Whether the changelog is there."""
    name = scene.settings.topics.name(CHANGELOG)
    return name in await partition_counts(scene.settings, [name])


async def test_several_share_the_work_and_each_ends_when_all_is_done(
    scene: Scene, trial: Settings, middle: Sequence[Folded]
) -> None:
    """More processes than partitions: one of them has nothing to do but to wait for the others."""
    await come(scene, EVENTS)
    settings = await prepared(trial)
    seen: list[list[int | None]] = []

    async def ending(processor: Processor) -> None:
        await ending_of(settings)(processor)
        seen.append(await Scene(settings).clocks())

    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(*(work(settings, until=ending) for _ in range(PARTITIONS + 1)))
    assert [[END_MS] * PARTITIONS] * (PARTITIONS + 1) == seen
    await Scene(settings).assert_is(middle)


async def test_without_an_end_it_ends_when_it_first_began(scene: Scene, trial: Settings) -> None:
    """So the same command, given later, is the same replay."""
    await come(scene, EVENTS[:50])
    first = await prepare(trial, BEGIN_MS, None, PLAYBOOK)
    await work(first, until=replayed)
    again = await prepare(trial, BEGIN_MS, None, PLAYBOOK)
    assert first.end_instant == again.end_instant


async def test_an_application_that_has_a_state_is_left_alone(scene: Scene) -> None:
    """The changelog that speaks against it is named."""
    await work(scene.with_(clock="event", end_instant=END), until=replayed)
    code, _, errors = await said(scene.settings, *SPAN)
    assert MISTAKE == code
    changelog = scene.settings.topics.name(CHANGELOG)
    assert f"error: {scene.settings.application_id} has a state already, in {changelog}: " in errors
    assert 1 == errors.count("\n")


async def test_an_application_at_work_is_left_alone(scene: Scene) -> None:
    """Also while it has no state to be known by."""
    async with worker(scene.settings) as running:
        await running.ready()
        with pytest.raises(ConfigurationError, match=r"live workers of .* are running"):
            await prepared(scene.settings)


async def test_no_worker_takes_a_replay_for_its_state(scene: Scene, trial: Settings) -> None:
    """Neither live nor with the event clock: it knows nothing from before its beginning."""
    await come(scene, EVENTS[:50])
    await work(await prepared(trial), until=replayed)
    for clock in ("wall", "event"):
        settings = trial.model_copy(update={"clock": clock, "end_instant": END})
        with pytest.raises(ConfigurationError, match="is that of a replay"):
            async with asyncio.timeout(PATIENCE):
                await work(settings, until=replayed)


async def test_processes_that_were_asked_for_different_replays_say_so(scene: Scene, trial: Settings) -> None:
    """Begun at one instant, neither could see the other; at least one of them ends with what is wrong."""
    await come(scene, EVENTS)
    settings = await prepared(trial)
    other = settings.model_copy(update={"begin_instant": BEGIN - timedelta(days=1)})
    async with asyncio.timeout(PATIENCE):
        workers = [work(each, until=ending_of(each)) for each in (settings, other)]
        ends = await asyncio.gather(*workers, return_exceptions=True)
    wrong = [end for end in ends if end is not None]
    assert wrong
    for end in wrong:
        assert isinstance(end, ConfigurationError)
        assert "holds the replay" in str(end)


def test_the_time_has_something_of_everything(middle: Sequence[Folded]) -> None:
    """There is every kind of trigger, and a dead letter."""
    assert {"raised", "cleared", "revoked", "due", "achieved"} == {kind for _, kind in counts_of(middle)}
    assert any(fold.written.get(spec.name) for fold in middle for spec in DEAD_LETTERS)
