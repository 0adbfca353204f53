"""What takes days on a broker as it comes, on one that forgets and compacts within seconds."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.structs import TopicPartition

from agents.brokers import ApacheKafka
from schemas.customer import Customer
from schemas.errors import Fenced
from schemas.positions import PartitionRecord, SourcePosition
from schemas.record import PARTITION_KEY, Fingerprint, pack, pack_partition
from schemas.topics import CHANGELOG
from streams.changes import Changes, Record
from streams.commit import Committer
from streams.settings import Settings
from streams.tables import Shard, load

PATIENCE = 60.0
IMPATIENT = {
    "transactional.id.expiration.ms": "1000",
    "transaction.remove.expired.transaction.cleanup.interval.ms": "200",
    "producer.id.expiration.ms": "1000",
    "producer.id.expiration.check.interval.ms": "200",
    "log.cleaner.backoff.ms": "100",
    "log.cleaner.min.cleanable.ratio": "0.01",
    "log.segment.delete.delay.ms": "0",
    "log.initial.task.delay.ms": "0",
}
HERE = PartitionRecord((SourcePosition(1, 10), SourcePosition(2, 20), SourcePosition(3, 30)), clock=40)
FURTHER = PartitionRecord((SourcePosition(9, 10), SourcePosition(9, 20), SourcePosition(9, 30)), clock=90)


@pytest.fixture(scope="module")
def impatient() -> Iterator[str]:
    """The address of such a broker."""
    broker = ApacheKafka(properties=IMPATIENT)
    if obstacle := broker.obstacle():
        pytest.skip(f"a broker with settings of its own: {obstacle}")
    with broker.running() as bootstrap:
        yield bootstrap


@pytest.fixture
async def admin(impatient: str) -> AsyncIterator[AIOKafkaAdminClient]:
    """Whoever makes topics."""
    client = AIOKafkaAdminClient(bootstrap_servers=impatient)
    await client.start()
    yield client
    await client.close()


@pytest.fixture
async def settings(impatient: str, application_id: str, admin: AIOKafkaAdminClient) -> Settings:
    """An application with a changelog, compacted as soon as it can be."""
    settings = Settings(bootstrap=impatient, application_id=application_id)
    configuration = {"cleanup.policy": "compact", "segment.bytes": "1048576", "delete.retention.ms": "0"}
    topic = NewTopic(settings.topics.name(CHANGELOG), 1, 1, topic_configs=configuration)
    assert not (await admin.create_topics([topic])).topic_errors[0][1]
    return settings


@pytest.fixture
async def committer(settings: Settings) -> AsyncIterator[Committer]:
    """The producer of partition 0, as after a recovery."""
    committer = Committer(settings, 0)
    await committer.fence()
    committer.changelog_next = 0
    yield committer
    await committer.close()


def customer(wake_at: int) -> bytes:
    """A packed customer."""
    return pack(Customer(wake_spell=wake_at), Fingerprint(1, 2))


def changes(settings: Settings, position: PartitionRecord, **customers: bytes) -> Changes:
    """What a batch did to these customers."""
    done, topic = Changes(), settings.topics.name(CHANGELOG)
    for key, value in customers.items():
        done.add(topic, Record(key.encode(), value))
    done.add(topic, Record(PARTITION_KEY, pack_partition(position)))
    return done


async def recovered(settings: Settings) -> Shard:
    """What the changelog holds."""
    shards: dict[int, Shard] = {}
    report = await load(settings, settings.topics.name(CHANGELOG), shards, [0])
    assert [] == list(report.errors)
    return shards[0]


async def forgotten(settings: Settings) -> None:
    """Until the broker knows the partition's transactional id no more: its own log then has a tombstone."""
    identity = f"{settings.application_id}-0".encode()
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.bootstrap)
    await consumer.start()
    try:
        places = [TopicPartition("__transaction_state", number) for number in range(4)]
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        known = True
        async with asyncio.timeout(PATIENCE):
            while known:
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    for record in records:
                        if record.key.endswith(identity):
                            known = record.value is not None
    finally:
        await consumer.stop()


# ------------------------------------------------------------------------------ an id that is forgotten


async def test_a_forgotten_transactional_id_is_taken_anew(settings: Settings, committer: Committer) -> None:
    """Nobody has written meanwhile: the very batch that met with it goes out, once."""
    await committer.commit(changes(settings, HERE, a=customer(1)))
    await forgotten(settings)
    await committer.commit(changes(settings, FURTHER, b=customer(2)))
    shard = await recovered(settings)
    assert ({b"a": customer(1), b"b": customer(2)}, FURTHER) == (shard.records, shard.partition_record)


async def test_a_forgotten_id_that_never_wrote_is_taken_anew(
    settings: Settings, committer: Committer
) -> None:
    """A partition in which nothing happened since it was opened."""
    await forgotten(settings)
    await committer.commit(changes(settings, HERE, a=customer(1)))
    assert HERE == (await recovered(settings)).partition_record


async def test_a_forgotten_id_that_another_has_used_since_is_fenced(
    settings: Settings, committer: Committer
) -> None:
    """The broker cannot tell any more who came first; the changelog can."""
    await committer.commit(changes(settings, HERE, a=customer(1)))
    await forgotten(settings)
    other = Committer(settings, 0)
    await other.fence()
    await other.commit(changes(settings, FURTHER, a=customer(2)))
    await forgotten(settings)
    with pytest.raises(Fenced, match="taken over by another worker while this one was idle"):
        await committer.commit(changes(settings, HERE, a=customer(3)))
    await other.close()
    shard = await recovered(settings)
    assert ({b"a": customer(2)}, FURTHER) == (shard.records, shard.partition_record)


# --------------------------------------------------------------------------------------- compaction


async def test_gaps_of_compaction_are_no_losses(
    impatient: str, settings: Settings, committer: Committer
) -> None:
    """Of many records of few customers a handful are left, far apart: the last of each is there."""
    for number in range(200):
        names = {f"c{(number + n) % 50}": customer(1000 * number + n) + bytes(500) for n in range(40)}
        await committer.commit(changes(settings, HERE, **names))
    await committer.commit(changes(settings, FURTHER, last=customer(7)))
    async with asyncio.timeout(PATIENCE):
        while await held(impatient, settings) > 4000:
            await committer.commit(changes(settings, FURTHER, last=customer(7)))
    shard = await recovered(settings)
    wanted = {f"c{(199 + n) % 50}".encode(): customer(1000 * 199 + n) + bytes(500) for n in range(40)}
    assert wanted == {key: shard.records[key] for key in wanted}
    assert (51, FURTHER) == (len(shard.records), shard.partition_record)


async def held(bootstrap: str, settings: Settings) -> int:
    """How many records the changelog still holds, for another reader."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, isolation_level="read_committed")
    await consumer.start()
    place = TopicPartition(settings.topics.name(CHANGELOG), 0)
    consumer.assign([place])
    await consumer.seek_to_beginning(place)
    end, count = (await consumer.end_offsets([place]))[place], 0
    while await consumer.position(place) < end:
        count += sum(map(len, (await consumer.getmany(place, timeout_ms=200)).values()))
    await consumer.stop()
    return count
