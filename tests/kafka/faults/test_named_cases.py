"""Cases with a name: a death amid a silence, a zombie that wakes, a producer that hashes keys otherwise."""

from collections.abc import AsyncIterator
from datetime import timedelta
from zlib import crc32

import pytest
from aiokafka import AIOKafkaProducer

from agents.console import ExitCode
from schemas.codec import encode_event
from schemas.instants import since_epoch
from schemas.topics import CHANGELOG, CHURN_RISK, PURCHASES
from streams.clock import wall_ms
from streams.core.playbook import DAY
from streams.playbook_file import load_playbook
from tests.flows.events import crowd, purchase
from tests.kafka.faults.accidents import Stage
from tests.kafka.faults.cluster import Cluster
from tests.kafka.faults.crew import crew_of
from tests.kafka.faults.points import FENCED, Api, Point, Trap, error_of_end_txn
from tests.kafka.faults.reader import Ledger
from tests.kafka.faults.verdict import judge, oracle
from tests.kafka.scene import Scene, process, scene_of, until

PLAYBOOK = load_playbook(None, None)
SECOND = 1000
SESSION_SECONDS = 2.0


@pytest.fixture
async def live(cluster: Cluster, application_id: str) -> AsyncIterator[Scene]:
    """An installation on the wall clock, whose one worker has static membership: a restart is quick."""
    async with scene_of(cluster.bootstrap, application_id, partitions=2, instance="the-only-one") as scene:
        yield scene


async def kinds_of(scene: Scene) -> list[str]:
    """The kinds of all triggers about the second order, in order."""
    return [each.kind for each in await scene.triggers() if each.rule == "second_order_due"]


async def test_a_late_order_takes_back_what_a_dead_worker_had_said(live: Scene) -> None:
    """Silence is said, the worker dies, an order dated before that arrives: downstream gets `revoked`."""
    assert PLAYBOOK.second_order_due is not None
    due = wall_ms() + 3 * SECOND
    await live.load([purchase("late", due - PLAYBOOK.second_order_due.after, "first")])

    async def has_said(*kinds: str) -> bool:
        return await kinds_of(live) == list(kinds)

    async with process(live.settings) as victim:
        await until(lambda: has_said("raised"))
        await victim.kill()
    await live.load([purchase("late", due - 10 * DAY, "second")])
    async with process(live.settings) as successor:
        await until(lambda: has_said("raised", "revoked"))
        await successor.kill()
    raised, revoked = [each for each in await live.triggers() if each.rule == "second_order_due"]
    assert raised.episode == revoked.episode
    assert since_epoch(revoked.due_at) == due


async def test_what_a_dying_worker_had_not_committed_needs_no_taking_back(
    live: Scene, cluster: Cluster
) -> None:
    """It dies with the trigger written and not committed, and the late order arrives: nothing is said."""
    assert PLAYBOOK.second_order_due is not None
    due = wall_ms() + 3 * SECOND
    await live.load([purchase("late", due - PLAYBOOK.second_order_due.after, "first")])
    topic = live.settings.topics.name(CHURN_RISK)
    async with crew_of([live.with_(bootstrap=cluster.bootstrap_of(0))], cluster.roads[:1]) as crew:
        (slot,) = crew.slots
        commit = Trap(Point(Api.END_TXN, "before"), strike=slot.kill, drop=True)

        def await_commit() -> None:
            slot.wanted.clear()
            for road in slot.roads:
                road.traps.append(commit)

        async with slot.trapped(Trap(Point(Api.PRODUCE, "before", topic.encode()), strike=await_commit)):
            crew.employ()
            await reached(commit)
    await live.load([purchase("late", due - 10 * DAY, "second")])
    async with process(live.settings) as successor:
        await until(lambda: knows_two_days(live))
        await successor.kill()
    assert [] == await kinds_of(live)


async def knows_two_days(scene: Scene) -> bool:
    """Whether both orders are in the state."""
    customer = (await scene.customers()).get(b"late")
    return customer is not None and customer.purchases is not None and customer.purchases.days == 2


async def reached(trap: Trap) -> None:
    """Until the trap has sprung."""

    async def sprung() -> bool:
        return trap.reached.is_set()

    await until(sprung)


@pytest.mark.parametrize("api", [Api.END_TXN, Api.PRODUCE])
async def test_a_zombie_is_fenced_before_anything_of_it_is_readable(
    cluster: Cluster, application_id: str, api: Api
) -> None:
    """Frozen amid a transaction, it wakes when another has taken over: its commit is refused."""
    events = crowd(seed=5, customers=20, days=60)
    end = events[-1].occurred_at + timedelta(days=120)
    async with scene_of(
        cluster.bootstrap,
        application_id,
        partitions=2,
        clock="event",
        end_instant=end,
        batch_max_records=1,
        session_timeout_seconds=SESSION_SECONDS,
    ) as scene:
        await scene.load(events)
        folds = await oracle(scene, PLAYBOOK, [since_epoch(end)])
        ledger = Ledger(cluster.bootstrap, scene.settings.topics.name(CHANGELOG), scene.partitions)
        workers = [scene.with_(bootstrap=cluster.bootstrap_of(slot)) for slot in range(2)]
        async with ledger.following(), crew_of(workers, cluster.roads) as crew:
            stage = Stage(cluster, crew, ledger, since_epoch(end))
            for road in (road for ways in cluster.roads for road in ways):
                road.base_delay = 0.002
            crew.employ()
            zombie = crew.slots[0]
            commit = Trap(Point(api, "before", passing=5), strike=zombie.freeze, hold=True)
            async with zombie.trapped(commit):
                await reached(commit)
                assert await stage.served(wall_ms() + round(SESSION_SECONDS * SECOND), 40)
                commit.release.set()
                zombie.thaw()
                await until(lambda: has_answer(commit))
            if api is Api.END_TXN:
                assert error_of_end_txn(commit.answer) in FENCED
            crew.employ(lambda settings: settings.model_copy(update={"batch_max_records": 4000}))
            for slot in crew.slots:
                slot.terminate()
            await until(lambda: is_over(stage))
            await crew.dismiss()
        verdict = await judge(scene, folds)
    assert [] == verdict.examples
    assert verdict.good


async def test_a_producer_that_hashes_by_crc32_stops_the_worker(
    cluster: Cluster, application_id: str
) -> None:
    """Customers stand where they do not belong: the worker says what to set there, and writes no trigger."""
    async with scene_of(cluster.bootstrap, application_id, partitions=2) as scene:
        name = scene.settings.topics.name(PURCHASES)
        events = [purchase(f"c{number}", wall_ms() - DAY + number) for number in range(300)]
        producer = AIOKafkaProducer(bootstrap_servers=cluster.bootstrap)
        await producer.start()
        try:
            for event in events:
                key = event.customer_id.encode()
                await producer.send(name, encode_event(event), key=key, partition=crc32(key) % 2)
        finally:
            await producer.stop()
        async with process(scene.settings) as worker:
            code, words = await worker.end()
        assert ExitCode.MISTAKE == code
        assert "partitioner=murmur2_random" in words
        assert "raceback" not in words
        assert [] == await scene.triggers()


async def has_answer(trap: Trap) -> bool:
    """Whether the broker has answered what was held back."""
    return trap.answered.is_set()


async def is_over(stage: Stage) -> bool:
    """Whether the replay is through."""
    return stage.over
