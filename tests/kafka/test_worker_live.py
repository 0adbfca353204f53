"""A worker on the wall clock: silence that fires in time, what comes twice, and going live."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from schemas.events import Event
from schemas.instants import instant, since_epoch
from schemas.topics import CHURN_RISK, DEAD_LETTERS
from streams.clock import wall_ms
from streams.core.playbook import DAY, HOUR
from streams.playbook_file import load_playbook
from tests.flows.events import login, purchase, ticket
from tests.kafka.scene import Scene, Worker, folds_of, replay, scene_of, until, worker
from tests.streams.memory import triggers_of

SECOND = 1000


@pytest.fixture
async def scene(bootstrap: str, application_id: str) -> AsyncIterator[Scene]:
    """An installation on the wall clock."""
    async with scene_of(bootstrap, application_id) as scene:
        yield scene


async def said(scene: Scene, count: int) -> list[tuple[str, str, str]]:
    """Customer, rule and kind of each trigger, once there are so many."""
    await until(lambda: has_said(scene, count))
    return sorted((each.customer_id, each.rule, each.kind) for each in await scene.triggers())


async def has_said(scene: Scene, count: int) -> bool:
    """Whether there are at least so many triggers."""
    return len(await scene.triggers()) >= count


async def taken(worker: Worker, count: int) -> None:
    """Until the worker has settled so many records."""
    await until(lambda: has_taken(worker, count))


async def has_taken(worker: Worker, count: int) -> bool:
    """Whether the worker has settled so many records."""
    return await worker.metric("winback_records_total") >= count


async def has_partitions(worker: Worker) -> bool:
    """Whether the worker owns some partitions."""
    return await worker.metric("winback_partitions_owned") > 0


async def test_silence_fires_within_a_second_of_its_instant(scene: Scene) -> None:
    """Nothing is written to any topic any more, and still each breach is said when its hour is over."""
    async with worker(scene.settings) as running:
        await running.ready()
        due = [wall_ms() + 1500 + 300 * number for number in range(5)]
        await scene.load([ticket(f"c{number}", at - HOUR) for number, at in enumerate(due)])
        await said(scene, len(due))
    records = [record for partition in await scene.records(CHURN_RISK) for record in partition]
    late = {
        trigger.customer_id: record.timestamp - since_epoch(trigger.due_at)
        for record in records
        for trigger in triggers_of([(record.key, record.value, tuple(record.headers))])
    }
    assert {f"c{number}" for number in range(5)} == set(late)
    assert all(0 <= milliseconds < SECOND for milliseconds in late.values()), late


async def test_an_answer_in_time_keeps_the_breach_from_being_said(scene: Scene) -> None:
    """What is written before the deadline is read before it."""
    async with worker(scene.settings) as running:
        await running.ready()
        due = wall_ms() + 2 * SECOND
        await scene.load([ticket("prompt", due - HOUR), ticket("prompt", wall_ms(), "replied")])
        await scene.load([ticket("slow", due - HOUR + 1)])
        assert [("slow", "sla_breach", "raised")] == await said(scene, 1)


async def test_what_came_due_while_nobody_worked_is_said_at_the_start(scene: Scene) -> None:
    """After an outage dues are caught up with, those too old to act on marked."""
    now = wall_ms()
    await scene.load([ticket("old", now - 4 * DAY), ticket("recent", now - HOUR - 1)])
    async with worker(scene.settings):
        await said(scene, 2)
    assert {"old": ("backfill", True), "recent": ("live", False)} == {
        trigger.customer_id: (trigger.origin, trigger.stale) for trigger in await scene.triggers()
    }


async def test_a_file_loaded_twice_live_changes_nothing(scene: Scene) -> None:
    """The last twenty days once more: no state changes, nothing fires, nothing is a dead letter."""
    begin = wall_ms() - 20 * DAY
    events: list[Event] = []
    for number in range(40):
        at = begin + number * 11 * HOUR
        events += [purchase(f"c{number % 7}", at), login(f"c{number % 5}", at + 1)]
        events += [ticket(f"c{number % 3}", at + 2, of=f"t{number}")]
    async with worker(scene.settings) as running:
        await scene.load(events)
        await taken(running, len(events))
        folds = folds_of(events, scene.partitions, load_playbook(None, None), wall_ms())
        await said(scene, sum(len(fold.triggers) for fold in folds))
        customers, triggers = await scene.customers(), await scene.triggers()
        await scene.load(events)
        await taken(running, 2 * len(events))
        assert len(events) == await running.metric("winback_records_total", outcome="duplicate")
    assert customers == await scene.customers()
    assert triggers == await scene.triggers()
    assert not any([any(await scene.records(spec)) for spec in DEAD_LETTERS])


async def test_an_event_run_goes_live(scene: Scene) -> None:
    """History is replayed up to an instant; the live worker goes on from there, each trigger once."""
    now = wall_ms()
    end = now - 30 * 60 * SECOND
    live_at = now + 2 * SECOND
    await scene.load(
        [
            purchase("regular", now - 100 * DAY),
            ticket("past", now - 50 * DAY),
            ticket("waiting", live_at - HOUR),
            ticket("beyond", end),
            ticket("beyond", end + 1, "replied"),
        ]
    )
    await replay(scene.with_(clock="event", end_instant=instant(end)))
    before = await scene.triggers()
    assert {"replay"} == {trigger.origin for trigger in before}
    assert not any(trigger.customer_id == "waiting" for trigger in before)
    async with worker(scene.settings):
        await scene.load([ticket("new", wall_ms() - HOUR - 1)])
        await until(lambda: has_said(scene, len(before) + 2))
    after = await scene.triggers()
    assert {("waiting", "live"), ("new", "live")} == {
        (trigger.customer_id, trigger.origin) for trigger in after if trigger not in before
    }


async def test_a_playbook_changed_overnight_moves_deadlines(scene: Scene, tmp_path: Path) -> None:
    """What the new playbook puts into the past is said, and marked as moved by it."""
    now = wall_ms()
    await scene.load([ticket("c", now - HOUR // 2), ticket("d", now - HOUR // 4, priority="low")])
    async with worker(scene.settings) as running:
        await taken(running, 2)
    playbook = tmp_path / "playbook.toml"
    playbook.write_text('[rules.sla_breach]\nwithin = { urgent = "20 minutes" }\n')
    async with worker(scene.with_(playbook=playbook)):
        assert [("c", "sla_breach", "raised")] == await said(scene, 1)
    (trigger,) = await scene.triggers()
    assert "playbook" == trigger.moved_by


async def test_two_live_workers_share_the_customers(scene: Scene) -> None:
    """Each customer's breach is said once, by whoever owns the partition; one leaves, and it goes on."""
    async with worker(scene.settings) as first:
        await first.ready()
        async with worker(scene.settings) as second:
            await until(lambda: has_partitions(second))
            now = wall_ms()
            await scene.load([ticket(f"a{number:02}", now - HOUR - 1) for number in range(20)])
            await said(scene, 20)
            assert await first.metric("winback_triggers_total") > 0
            assert await second.metric("winback_triggers_total") > 0
        await scene.load([ticket(f"b{number:02}", now - HOUR - 1) for number in range(20)])
        everybody = [f"{letter}{number:02}" for letter in "ab" for number in range(20)]
        assert everybody == [customer for customer, _, _ in await said(scene, 40)]
