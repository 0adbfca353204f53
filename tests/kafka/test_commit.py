"""One transaction a batch: all of it or nothing, and only by whoever owns the partition."""

from asyncio import gather
from collections.abc import AsyncIterator

import pytest
from aiokafka import AIOKafkaProducer

from agents.topics import create_topics
from schemas.errors import Fatal, Fenced
from schemas.topics import CHANGELOG, CHURN_RISK, WIN_BACK
from streams.changes import Changes, Record
from streams.commit import BATCH_BYTES, Committer
from tests.kafka.scene import Scene, scene_of

PARTITION = 1


@pytest.fixture
async def scene(bootstrap: str, application_id: str) -> AsyncIterator[Scene]:
    """An installation without workers."""
    async with scene_of(bootstrap, application_id, partitions=2) as scene:
        yield scene


@pytest.fixture
async def committer(scene: Scene) -> AsyncIterator[Committer]:
    """The producer of a partition that has just been taken over."""
    committer = Committer(scene.settings, PARTITION)
    await committer.fence()
    yield committer
    await committer.close()


def changes(scene: Scene, **values: bytes) -> Changes:
    """A record of churn-risk and one of the changelog for each of these customers."""
    done = Changes()
    for key, value in values.items():
        for spec in (CHURN_RISK, CHANGELOG):
            done.add(scene.settings.topics.name(spec), Record(key.encode(), value, [("name", value)]))
    return done


async def stand(scene: Scene) -> list[list[tuple[bytes | None, bytes | None]]]:
    """Keys and values of the partition's committed records in churn-risk and in the changelog."""
    return [
        [(key, value) for key, value, _ in (await scene.written(spec))[PARTITION]]
        for spec in (CHURN_RISK, CHANGELOG)
    ]


async def test_a_batch_arrives_as_it_was(scene: Scene, committer: Committer) -> None:
    """Keys, values, headers and order, on the committer's own partition; None is a tombstone."""
    batch = changes(scene, a=b"1", b=b"2", c=b"3")
    batch.add(scene.settings.topics.name(CHANGELOG), Record(b"a", None))
    await committer.commit(batch)
    told = [(b"a", b"1"), (b"b", b"2"), (b"c", b"3")]
    assert [told, [*told, (b"a", None)]] == await stand(scene)
    assert [] == (await scene.written(CHURN_RISK))[0]
    assert (("name", b"2"),) == (await scene.written(CHURN_RISK))[PARTITION][1][2]


async def test_a_batch_beyond_one_request_is_one_transaction(scene: Scene, committer: Committer) -> None:
    """Record batches are cut below the broker's limit; readers see all of them."""
    batch = Changes()
    values = [bytes([number]) * 100_000 for number in range(40)]
    assert sum(map(len, values)) > 4 * BATCH_BYTES
    for value in values:
        batch.add(scene.settings.topics.name(CHURN_RISK), Record(b"key", value))
    await committer.commit(batch)
    told, _ = await stand(scene)
    assert values == [value for _, value in told]


async def test_whoever_takes_over_fences_the_predecessor(scene: Scene, committer: Committer) -> None:
    """A worker that was stopped and wakes up again cannot write any more."""
    await committer.commit(changes(scene, a=b"1"))
    successor = Committer(scene.settings, PARTITION)
    await successor.fence()
    try:
        with pytest.raises(Fenced):
            await committer.commit(changes(scene, b=b"2"))
        await successor.commit(changes(scene, c=b"3"))
    finally:
        await successor.close()
    assert [[(b"a", b"1"), (b"c", b"3")]] * 2 == await stand(scene)


async def test_a_batch_that_is_fenced_while_it_is_sent_says_so(scene: Scene, committer: Committer) -> None:
    """A topic that is not there yet makes it wait amid the batch, and the refusal overtakes it."""
    later = scene.with_(application_id=f"{scene.settings.application_id}-later")
    batch = changes(scene, a=b"1")
    batch.add(later.topics.name(CHANGELOG), Record(b"a", b"1"))
    successor = Committer(scene.settings, PARTITION)
    await successor.fence()
    try:
        with pytest.raises(Fenced):
            await gather(committer.commit(batch), create_topics(later))
    finally:
        await successor.close()
    assert [[], []] == await stand(scene)


async def test_a_long_batch_that_is_fenced_while_it_is_sent_says_so(
    scene: Scene, committer: Committer
) -> None:
    """A batch beyond one request waits for the one before it, which is refused."""
    batch = Changes()
    for _ in range(40):
        batch.add(scene.settings.topics.name(CHURN_RISK), Record(b"a", bytes(100_000)))
    successor = Committer(scene.settings, PARTITION)
    await successor.fence()
    try:
        with pytest.raises(Fenced):
            await committer.commit(batch)
    finally:
        await successor.close()
    assert [[], []] == await stand(scene)


async def test_other_partitions_are_not_touched(scene: Scene, committer: Committer) -> None:
    """Fencing is a partition's own affair."""
    neighbour = Committer(scene.settings, PARTITION - 1)
    await neighbour.fence()
    await neighbour.close()
    await committer.commit(changes(scene, a=b"1"))
    assert [[(b"a", b"1")]] * 2 == await stand(scene)


async def test_what_a_predecessor_left_open_is_aborted(scene: Scene) -> None:
    """A worker killed amid a transaction leaves nothing behind, and holds nobody up."""
    victim = AIOKafkaProducer(
        bootstrap_servers=scene.settings.bootstrap,
        transactional_id=f"{scene.settings.application_id}-{PARTITION}",
        transaction_timeout_ms=600_000,
    )
    await victim.start()
    await victim.begin_transaction()
    for spec in (CHURN_RISK, CHANGELOG):
        await victim.send_and_wait(scene.settings.topics.name(spec), b"half", b"a", PARTITION)
    committer = Committer(scene.settings, PARTITION)
    try:
        await committer.fence()
        await committer.commit(changes(scene, b=b"2"))
    finally:
        await committer.close()
        await victim.stop()
    assert [[(b"b", b"2")]] * 2 == await stand(scene)


async def test_a_batch_that_cannot_be_written_leaves_nothing(scene: Scene, committer: Committer) -> None:
    """Where one record is refused, those before it are not seen either."""
    batch = changes(scene, a=b"1")
    batch.add(scene.settings.topics.name(WIN_BACK), Record(b"b", bytes(3 * BATCH_BYTES)))
    with pytest.raises(Fatal):
        await committer.commit(batch)
    await committer.fence()
    await committer.commit(changes(scene, c=b"3"))
    assert [[(b"c", b"3")]] * 2 == await stand(scene)


async def test_nothing_is_written_without_a_producer(scene: Scene, committer: Committer) -> None:
    """A committer that was closed refuses; it can be fenced again."""
    await committer.close()
    with pytest.raises(Fatal, match="no producer"):
        await committer.commit(changes(scene, a=b"1"))
    await committer.fence()
    await committer.commit(changes(scene, b=b"2"))
    assert [[(b"b", b"2")]] * 2 == await stand(scene)
