"""A transaction whose requests or answers are lost on their way is written once, and as it was."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
from aiokafka.errors import IllegalStateError, MessageSizeTooLargeError

from agents.topics import create_topics
from schemas.topics import CHANGELOG, CHURN_RISK
from streams.changes import Record
from streams.connection import admin, start
from streams.record_writer import write_records
from streams.transactions import TransactionalProducer, Unsealed
from tests.kafka.faults.cluster import Cluster
from tests.kafka.faults.points import Api, Point, Trap
from tests.kafka.scene import PATIENCE, Scene, is_gone, scene_of, until

TRANSACTION = (Api.ADD_PARTITIONS_TO_TXN, Api.PRODUCE, Api.END_TXN)


@pytest.fixture
async def scene(cluster: Cluster, application_id: str) -> AsyncIterator[Scene]:
    """An installation whose worker would go by a road of its own."""
    async with scene_of(cluster.bootstrap, application_id, partitions=1) as scene:
        yield scene


@pytest.fixture
async def producer(scene: Scene, cluster: Cluster) -> AsyncIterator[TransactionalProducer]:
    """A producer on that road."""
    settings = scene.with_(bootstrap=cluster.bootstrap_of(0))
    producer = await start(TransactionalProducer(settings, f"{settings.application_id}-0"), settings)
    yield producer
    await producer.stop()


def batch(*values: bytes) -> Unsealed:
    """A record of each value."""
    return Unsealed(*write_records([Record(b"key", value) for value in values], 0, 10**9))


async def values_in(scene: Scene) -> list[list[bytes | None]]:
    """The committed values of both topics."""
    return [[value for _, value, _ in (await scene.written(spec))[0]] for spec in (CHURN_RISK, CHANGELOG)]


def of_both(scene: Scene, *batches: Unsealed) -> dict[str, Sequence[Unsealed]]:
    """The same batches for both topics."""
    return {scene.settings.topics.name(spec): batches for spec in (CHURN_RISK, CHANGELOG)}


@pytest.mark.parametrize("api", TRANSACTION)
@pytest.mark.parametrize("lost", ["request", "answer"])
async def test_what_is_lost_is_sent_again_and_written_once(
    scene: Scene, cluster: Cluster, producer: TransactionalProducer, api: Api, lost: str
) -> None:
    """The second of three transactions, of two batches a topic; its connection ends with what is lost."""
    await producer.write(0, of_both(scene, batch(b"1")))
    if lost == "request":
        trap = Trap(Point(api, "before"), drop=True)
    else:
        trap = Trap(Point(api, "during"), forget=True)
    (road,) = cluster.roads[0]
    road.traps.append(trap)
    await producer.write(0, of_both(scene, batch(b"2", b"3"), batch(b"4")))
    assert trap.reached.is_set()
    await producer.write(0, of_both(scene, batch(b"5")))
    assert [[b"1", b"2", b"3", b"4", b"5"]] * 2 == await values_in(scene)


async def test_a_road_that_is_cut_again_and_again_delays(
    scene: Scene, cluster: Cluster, producer: TransactionalProducer
) -> None:
    """Whatever is on its way when a connection ends is sent again, as long as it takes."""
    (road,) = cluster.roads[0]
    road.base_delay = 0.001
    written = asyncio.create_task(one_after_another(scene, producer, 60))
    while not written.done():
        road.cut()
        await asyncio.wait([written], timeout=0.1)
    await written
    assert [[b"%d" % number for number in range(60)]] * 2 == await values_in(scene)


async def one_after_another(scene: Scene, producer: TransactionalProducer, count: int) -> None:
    """So many transactions, numbered."""
    for number in range(count):
        await producer.write(0, of_both(scene, batch(b"%d" % number)))


async def test_a_topic_that_is_missing_is_waited_for(scene: Scene, producer: TransactionalProducer) -> None:
    """Deleted and made anew, it gets what is written from then on."""
    await producer.write(0, of_both(scene, batch(b"1")))
    name = scene.settings.topics.name(CHURN_RISK)
    async with admin(scene.settings) as client:
        await client.delete_topics([name])
        await until(lambda: is_gone(scene.settings, name))
        writing = asyncio.create_task(producer.write(0, of_both(scene, batch(b"2"))))
        await asyncio.wait([writing], timeout=0.5)
        assert not writing.done()
        await create_topics(scene.settings)
    await writing
    assert [[b"2"], [b"1", b"2"]] == await values_in(scene)


async def test_the_last_offset_of_each_topic_is_told(scene: Scene, producer: TransactionalProducer) -> None:
    """Of its last batch, that is; the end of a transaction takes an offset too."""
    names = [scene.settings.topics.name(spec) for spec in (CHURN_RISK, CHANGELOG)]
    first = {names[0]: [batch(b"1", b"2"), batch(b"3")], names[1]: [batch(b"1")]}
    assert {names[0]: 2, names[1]: 0} == await producer.write(0, first)
    assert {names[0]: 4} == await producer.write(0, {names[0]: [batch(b"4")]})


async def test_after_a_refusal_nothing_more_is_written(scene: Scene, producer: TransactionalProducer) -> None:
    """What the broker has of the transaction may not come along with the next."""
    with pytest.raises(MessageSizeTooLargeError):
        await producer.write(0, of_both(scene, batch(b"1"), batch(bytes(3_000_000))))
    with pytest.raises(IllegalStateError):
        await producer.write(0, of_both(scene, batch(b"2")))
    async with asyncio.timeout(PATIENCE):
        settings = scene.settings
        successor = await start(TransactionalProducer(settings, f"{settings.application_id}-0"), settings)
    await successor.write(0, of_both(scene, batch(b"3")))
    await successor.stop()
    assert [[b"3"]] * 2 == await values_in(scene)


async def test_an_empty_transaction_asks_nobody(scene: Scene, producer: TransactionalProducer) -> None:
    """Nothing to write is nothing to commit."""
    await producer.stop()
    assert {} == await producer.write(0, {})
    assert [[], []] == await values_in(scene)
