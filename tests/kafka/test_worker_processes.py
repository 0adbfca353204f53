"""`winback worker --processes N` is one worker: one verdict, one page, and nobody left behind."""

import os
import signal
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from bench.usage import descendants
from schemas.instants import since_epoch
from streams.playbook_file import load_playbook
from tests.flows.events import crowd
from tests.kafka.scene import Process, Scene, answers, folds_of, process, scene_of, until

FATAL, MISTAKE = 4, 2
PARTITIONS = 3
EVENTS = crowd(seed=7, customers=60, days=400)
END = EVENTS[-1].occurred_at - timedelta(days=20)


@pytest.fixture
async def scene(bootstrap: str, application_id: str) -> AsyncIterator[Scene]:
    """An installation without events."""
    async with scene_of(bootstrap, application_id, partitions=PARTITIONS) as scene:
        yield scene


async def test_a_replay_by_two_processes_is_the_pure_fold(scene: Scene) -> None:
    """The same triggers and the same state, and both processes end when the last of them is done."""
    await scene.load(EVENTS)
    settings = scene.with_(clock="event", end_instant=END, log_level="info")
    async with process(settings, "--processes", "2", "--until-done") as running:
        code, errors = await running.end()
    assert 0 == code, errors
    assert 1 == errors.count("replay_finished")
    await scene.assert_is(folds_of(EVENTS, PARTITIONS, load_playbook(None, None), since_epoch(END)))


async def test_workers_of_several_processes_end_together(scene: Scene) -> None:
    """Of four processes for three partitions one is idle, and each worker lacks what the other has done."""
    await scene.load(EVENTS)
    settings = scene.with_(clock="event", end_instant=END)
    arguments = ("--processes", "2", "--until-done")
    async with process(settings, *arguments) as one, process(settings, *arguments) as other:
        await one.leave()
        await other.leave()
    await scene.assert_is(folds_of(EVENTS, PARTITIONS, load_playbook(None, None), since_epoch(END)))


async def test_they_share_the_partitions_and_one_page(scene: Scene) -> None:
    """Both have some, under names of their own where the worker has one; SIGTERM ends them all."""
    async with process(scene.with_(instance="shop"), "--processes", "2") as running:
        await both_work(running)
        assert await answers(f"{running.views}/livez")
        processes = descendants(running.process.pid)
        assert 2 == len(processes)
        await running.terminate()
        await running.leave()
        assert not any(map(runs, processes))


async def test_where_one_is_killed_all_end(scene: Scene) -> None:
    """What is left would work on, and nobody would know that a part of the machine lies idle."""
    async with process(scene.settings, "--processes", "2") as running:
        await both_work(running)
        killed, other = descendants(running.process.pid)
        os.kill(killed, signal.SIGKILL)
        code, errors = await running.end()
        assert FATAL == code
        (line,) = [line for line in errors.splitlines() if line.startswith("error: ")]
        assert "was killed by signal 9" in line
        assert not runs(other)


async def test_nobody_outlives_the_one_that_started_them(scene: Scene) -> None:
    """Killed outright it can tell nobody; they notice, and leave."""
    async with process(scene.settings, "--processes", "2") as running:
        await both_work(running)
        processes = descendants(running.process.pid)
        os.kill(running.process.pid, signal.SIGKILL)

        async def gone() -> bool:
            return not any(map(runs, processes))

        await until(gone)


async def test_more_processes_than_partitions_are_a_mistake(scene: Scene) -> None:
    """It says how many there are, and what to change."""
    async with process(scene.settings, "--processes", "4") as running:
        code, errors = await running.end()
    assert MISTAKE == code
    (line,) = [line for line in errors.splitlines() if line.startswith("error: ")]
    assert "4 processes are more than the 3 partitions" in line
    assert "WINBACK_PROCESSES" in line


async def test_what_all_would_fail_of_is_said_once(scene: Scene, tmp_path: Path) -> None:
    """A playbook that is not there is one line, and not one of each process."""
    missing = tmp_path / "nowhere.toml"
    async with process(scene.with_(playbook=missing), "--processes", "2") as running:
        code, errors = await running.end()
    assert MISTAKE == code
    assert 1 == errors.count("nowhere.toml")


async def both_work(running: Process) -> None:
    """Until all is recovered, and each process has partitions."""
    await running.ready()

    async def share() -> bool:
        owned = [await running.metric("winback_partitions_owned", process=number) for number in "12"]
        return min(owned) > 0 and sum(owned) == PARTITIONS

    await until(share)


def runs(number: int) -> bool:
    """Whether a process is there, and not only remembered by who has not asked how it ended."""
    try:
        stat = Path(f"/proc/{number}/stat").read_text(encoding="utf-8")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in {"Z", "X"}
