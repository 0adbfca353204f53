"""Workers that come, go and die amid a bounded replay: state and triggers stay those of the pure fold."""

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

import pytest

from schemas.events import Event
from schemas.instants import instant, since_epoch
from streams.core.playbook import DAY, HOUR
from streams.playbook_file import load_playbook
from tests.flows.events import START, crowd, login, purchase, ticket
from tests.flows.pure_fold import Folded
from tests.kafka.scene import Process, Scene, folds_of, process, replay, scene_of, until

PLAYBOOK = load_playbook(None, None)
PARTITIONS = 4
EVENTS = crowd(seed=11, customers=60, days=400)
END = EVENTS[-1].occurred_at - timedelta(days=20)
PURCHASE, LOGIN, TICKET = range(3)
LEAVING = 20.0
"""Seconds that a worker may take to end when it is asked to, on a machine that is busy."""


@pytest.fixture(scope="module")
def folds() -> list[Folded]:
    """What a replay of EVENTS must come to."""
    return folds_of(EVENTS, PARTITIONS, PLAYBOOK, since_epoch(END))


@pytest.fixture
async def scene(bootstrap: str, application_id: str) -> AsyncIterator[Scene]:
    """A replay up to END with a transaction a record, so that there is a middle; failures heal fast."""
    async with scene_of(
        bootstrap,
        application_id,
        partitions=PARTITIONS,
        clock="event",
        end_instant=END,
        batch_max_records=1,
        session_timeout_seconds=6.0,
    ) as scene:
        yield scene


async def working(worker: Process, batches: int) -> None:
    """Until a worker has committed so many batches."""
    await until(lambda: has_done(worker, batches))


async def has_done(worker: Process, batches: int) -> bool:
    """Whether a worker has committed so many batches."""
    return await worker.metric("winback_batches_total") >= batches


async def shares(worker: Process, batches: int) -> None:
    """Until a worker owns some of the partitions, and has committed so many batches."""
    await until(lambda: has_share(worker, batches))


async def has_share(worker: Process, batches: int) -> bool:
    """Whether a worker works on some partitions of several."""
    owned = await worker.metric("winback_partitions_owned")
    return 0 < owned < PARTITIONS and await has_done(worker, batches)


async def all_alone(worker: Process) -> None:
    """Until a worker owns all partitions, and has done some more."""
    await until(lambda: owns_all(worker))
    await working(worker, int(await worker.metric("winback_batches_total")) + 20)


async def owns_all(worker: Process) -> bool:
    """Whether a worker owns all partitions."""
    return await worker.metric("winback_partitions_owned") == PARTITIONS


async def finish(scene: Scene) -> None:
    """Another worker does the rest, in a hurry; there must be some left."""
    assert any(clock is None or clock < since_epoch(END) for clock in await scene.clocks())
    await replay(scene.with_(batch_max_records=4000))


async def test_one_worker_joins_and_one_leaves_in_the_middle(scene: Scene, folds: Sequence[Folded]) -> None:
    """The second takes over half of the partitions amid the work, and then all of them."""
    await scene.load(EVENTS)
    async with process(scene.settings) as first:
        await working(first, 10)
        async with process(scene.settings) as second:
            await shares(second, 10)
            await shares(first, 20)
            await first.terminate()
            await first.leave(LEAVING)
            await all_alone(second)
            await second.terminate()
            await second.leave(LEAVING)
    await finish(scene)
    await scene.assert_is(folds)


async def test_a_worker_is_killed_and_another_takes_its_place(scene: Scene, folds: Sequence[Folded]) -> None:
    """kill -9 amid transactions, twice: nothing is lost and nothing said twice."""
    await scene.load(EVENTS)
    # Static membership: whoever comes next need not wait for the session's end.
    for batches in (20, 60):
        async with process(scene.with_(instance="the-only-one")) as victim:
            await working(victim, batches)
            await victim.kill()
    scene.settings = scene.with_(instance="the-only-one")
    await finish(scene)
    await scene.assert_is(folds)


async def test_a_killed_worker_is_replaced_by_its_neighbour(scene: Scene, folds: Sequence[Folded]) -> None:
    """Two share the work, one is killed: after the session's end the other has it all."""
    await scene.load(EVENTS)
    async with process(scene.settings) as victim, process(scene.settings) as neighbour:
        await shares(victim, 10)
        await shares(neighbour, 10)
        await victim.kill()
        await all_alone(neighbour)
        await neighbour.terminate()
        await neighbour.leave(LEAVING)
    await finish(scene)
    await scene.assert_is(folds)


async def test_workers_leave_and_join_while_one_topic_holds_back_the_others(
    bootstrap: str, application_id: str
) -> None:
    """A topic far ahead, held at a tiny buffer, keeps no worker from leaving, and loses nothing."""
    logins = [login(f"c{number % 40}", START + number * HOUR) for number in range(3000)]
    later = [purchase(f"c{number % 40}", START + 200 * DAY + number * HOUR) for number in range(400)]
    tickets = [ticket(f"c{number % 40}", START + 201 * DAY, of=f"t{number}") for number in range(40)]
    events: list[Event] = [*logins, *later, *tickets]
    end = START + 300 * DAY
    async with scene_of(
        bootstrap,
        application_id,
        partitions=PARTITIONS,
        clock="event",
        end_instant=instant(end),
        fetch_max_records=5,
        batch_max_records=5,
        merge_buffer_bytes=1,
    ) as scene:
        await scene.load(events)
        async with process(scene.settings) as first, process(scene.settings) as second:
            await shares(first, 10)
            await shares(second, 10)
            for leaving in (first, second):
                await leaving.terminate()
                await leaving.leave(LEAVING)
        assert await scene.folded(LOGIN) > 0
        assert 0 == await scene.folded(PURCHASE)
        await replay(scene.with_(fetch_max_records=4000, batch_max_records=4000))
        await scene.assert_is(folds_of(events, PARTITIONS, PLAYBOOK, end))
