"""A bounded replay on real Kafka is the pure fold: whatever the fetches, the workers, the accidents."""

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

import pytest
from aiokafka import AIOKafkaProducer

from schemas.instants import since_epoch
from schemas.topics import DEAD_LETTERS, PURCHASES
from schemas.triggers import Trigger
from streams.playbook_file import load_playbook
from tests.flows.events import crowd
from tests.flows.pure_fold import Folded
from tests.kafka.scene import Scene, folds_of, replay, scene_of
from tests.streams.memory import triggers_of

PLAYBOOK = load_playbook(None, None)
PARTITIONS = 3
FEW = crowd(seed=7, customers=10, days=250)
MANY = crowd(seed=7, customers=60, days=400)
END = MANY[-1].occurred_at - timedelta(days=20)


@pytest.fixture(scope="module")
def few() -> list[Folded]:
    """What a replay of FEW must come to."""
    return folds_of(FEW, PARTITIONS, PLAYBOOK, since_epoch(END))


@pytest.fixture(scope="module")
def many() -> list[Folded]:
    """What a replay of MANY must come to."""
    return folds_of(MANY, PARTITIONS, PLAYBOOK, since_epoch(END))


@pytest.fixture
async def scene(bootstrap: str, application_id: str) -> AsyncIterator[Scene]:
    """An installation that is to replay up to END."""
    async with scene_of(
        bootstrap, application_id, partitions=PARTITIONS, clock="event", end_instant=END
    ) as scene:
        yield scene


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(("size", "order"), [(100, (2, 1, 0)), (4000, (1, 2, 0))])
async def test_fetches_workers_and_order_of_loading_change_nothing(
    scene: Scene, many: Sequence[Folded], size: int, order: Sequence[int], workers: int
) -> None:
    """The same triggers with the same bytes, each once, and the same state."""
    await scene.load(MANY, order)
    await replay(*[scene.with_(fetch_max_records=size, batch_max_records=size)] * workers)
    await scene.assert_is(many)


@pytest.mark.parametrize("workers", [1, 2])
async def test_records_one_by_one_change_nothing(scene: Scene, few: Sequence[Folded], workers: int) -> None:
    """Fetches of one record, and a transaction for each: the same again."""
    await scene.load(FEW)
    await replay(*[scene.with_(fetch_max_records=1, batch_max_records=1)] * workers)
    await scene.assert_is(few)


async def test_files_loaded_twice_say_nothing_more(scene: Scene, few: Sequence[Folded]) -> None:
    """Each file loaded twice before the run: what comes again fires nothing and changes nobody."""
    await scene.load(FEW)
    await scene.load(FEW)
    await replay(scene.settings)
    triggers = [trigger for fold in few for trigger in triggers_of(fold.triggers)]
    assert sorted(triggers, key=by_id) == sorted(await scene.triggers(), key=by_id)
    assert {k: c for fold in few for k, c in fold.customers.items()} == await scene.customers()


async def test_a_replay_that_has_ended_is_not_made_again(scene: Scene, few: Sequence[Folded]) -> None:
    """A second worker of the same run finds all done, and ends."""
    await scene.load(FEW)
    await replay(scene.settings)
    await replay(scene.settings)
    await scene.assert_is(few)


async def test_a_replay_without_a_single_record_ends(scene: Scene) -> None:
    """Empty topics are at their ends at once."""
    await replay(scene.settings)
    assert [since_epoch(END)] * PARTITIONS == await scene.clocks()


async def test_what_an_aborted_transaction_left_is_passed_over(scene: Scene, few: Sequence[Folded]) -> None:
    """Aborted events and markers, also at the very end of the topics, hold up nothing."""
    name = scene.settings.topics.name(PURCHASES)
    await scene.load(FEW)
    producer = AIOKafkaProducer(
        bootstrap_servers=scene.settings.bootstrap, transactional_id=scene.settings.application_id
    )
    await producer.start()
    try:
        await producer.begin_transaction()
        for partition in range(PARTITIONS):
            await producer.send_and_wait(name, b"{", key=b"aborted", partition=partition)
        await producer.abort_transaction()
    finally:
        await producer.stop()
    await replay(scene.settings)
    await scene.assert_is(few)
    assert [[]] * PARTITIONS == await scene.records(DEAD_LETTERS[0])


def by_id(trigger: Trigger) -> str:
    """Triggers of one replay differ in their ids."""
    return trigger.id
