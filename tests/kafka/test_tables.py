"""Recovery from a real changelog: committed records alone, up to the end, and only what is new."""

from collections.abc import AsyncIterator

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete
from aiokafka.structs import TopicPartition

from schemas.customer import Customer, PartitionRecord, SourcePosition
from schemas.errors import BrokerUnreachable, Gap
from schemas.record import PARTITION_KEY, Fingerprint, pack, pack_partition
from streams.settings import Settings
from streams.tables import Shard, load
from tests.kafka.conftest import CreateTopics

POSITIONS = PartitionRecord(
    sources=(SourcePosition(1, 10), SourcePosition(2, 20), SourcePosition(3, 30)), clock=40
)


def customer(wake_at: int) -> bytes:
    """A packed customer."""
    return pack(Customer(wake_spell=wake_at), Fingerprint(1, 2))


@pytest.fixture
def settings(bootstrap: str, application_id: str) -> Settings:
    """Of the shared broker."""
    return Settings(bootstrap=bootstrap, application_id=application_id)


@pytest.fixture
async def topic(application_id: str, create_topics: CreateTopics) -> str:
    """A changelog of three partitions."""
    name = f"{application_id}-customers-changelog"
    await create_topics(name, partitions=3)
    return name


@pytest.fixture
async def producer(bootstrap: str, application_id: str) -> AsyncIterator[AIOKafkaProducer]:
    """A transactional producer, as the processor's."""
    client = AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id=application_id)
    await client.start()
    yield client
    await client.stop()


async def commit(
    producer: AIOKafkaProducer,
    topic: str,
    partition: int,
    records: dict[bytes, bytes | None],
    *,
    abort: bool = False,
) -> None:
    """One transaction."""
    await producer.begin_transaction()
    for key, value in records.items():
        await producer.send(topic, value, key=key, partition=partition)
    await (producer.abort_transaction() if abort else producer.commit_transaction())


async def test_committed_records_alone_are_loaded_up_to_the_end(
    settings: Settings, topic: str, producer: AIOKafkaProducer
) -> None:
    """Aborted records leave no trace, markers at the end keep nobody waiting."""
    await commit(producer, topic, 0, {b"a": customer(1), PARTITION_KEY: pack_partition(POSITIONS)})
    await commit(producer, topic, 0, {b"a": customer(2), b"x": customer(3)}, abort=True)
    await commit(producer, topic, 1, {b"b": customer(4)})
    await commit(producer, topic, 1, {b"b": None, b"c": customer(5)})
    await commit(producer, topic, 2, {b"y": customer(6)}, abort=True)
    shards: dict[int, Shard] = {}
    report = await load(settings, topic, shards, {0, 1, 2})
    assert (5, []) == (report.records, report.errors)
    assert {0: {b"a": customer(1)}, 1: {b"c": customer(5)}, 2: {}} == {
        p: s.records for p, s in shards.items()
    }
    assert [POSITIONS, None, None] == [shards[partition].partition_record for partition in range(3)]
    assert [[(1, b"a")], [(5, b"c")], []] == [shards[partition].deadlines for partition in range(3)]


async def test_a_shard_that_stays_is_only_read_on(
    settings: Settings, topic: str, producer: AIOKafkaProducer
) -> None:
    """The second load reads what came after the first, and drops what is ours no longer."""
    await commit(producer, topic, 0, {b"a": customer(1)})
    await commit(producer, topic, 1, {b"b": customer(2)})
    shards: dict[int, Shard] = {}
    await load(settings, topic, shards, {0, 1})
    await commit(producer, topic, 0, {b"a": customer(3)})
    await commit(producer, topic, 1, {b"b": customer(4)})
    report = await load(settings, topic, shards, {0})
    assert 1 == report.records
    assert {0: {b"a": customer(3)}} == {p: s.records for p, s in shards.items()}
    report = await load(settings, topic, shards, {0, 1})
    assert 2 == report.records
    assert {0: {b"a": customer(3)}, 1: {b"b": customer(4)}} == {p: s.records for p, s in shards.items()}


async def test_a_shard_whose_continuation_was_removed_is_read_anew(
    bootstrap: str, settings: Settings, topic: str, producer: AIOKafkaProducer
) -> None:
    """Where the log begins after what a shard knows, what it knows may be out of date."""
    await commit(producer, topic, 0, {b"a": customer(1)})
    shards: dict[int, Shard] = {}
    await load(settings, topic, shards, {0})
    await commit(producer, topic, 0, {b"a": None})
    await commit(producer, topic, 0, {b"b": customer(2)})
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.delete_records({TopicPartition(topic, 0): RecordsToDelete(before_offset=4)})
    await admin.close()
    await load(settings, topic, shards, {0})
    assert {b"b": customer(2)} == shards[0].records


async def test_a_changelog_that_became_shorter_is_a_gap(settings: Settings, topic: str) -> None:
    """A shard that knows more than the log holds is of another log."""
    with pytest.raises(Gap, match=f"{topic}, partition 1, ends at offset 0, but was read up to 9"):
        await load(settings, topic, {1: Shard(changelog_next=9)}, {1})


async def test_nothing_is_read_for_no_partitions(settings: Settings, topic: str) -> None:
    """A worker without partitions keeps no shards."""
    shards = {0: Shard()}
    report = await load(settings, topic, shards, ())
    assert ({}, 0) == (shards, report.records)


async def test_damaged_state_is_reported_and_does_not_hang(
    settings: Settings, topic: str, producer: AIOKafkaProducer
) -> None:
    """Each damaged record is named; all others are there."""
    await commit(producer, topic, 0, {b"a": b"nonsense", b"b": customer(1)})
    shards: dict[int, Shard] = {}
    report = await load(settings, topic, shards, {0})
    assert [f"{topic}, partition 0, offset 0"] == [str(error).split(":")[0] for error in report.errors]
    assert {b"b": customer(1)} == shards[0].records


async def test_progress_is_told(settings: Settings, topic: str, producer: AIOKafkaProducer) -> None:
    """Whoever watches over a recovery hears of it as records come."""
    await commit(producer, topic, 0, {b"a": customer(1)})
    heard: list[None] = []
    await load(settings, topic, {}, {0}, progress=lambda: heard.append(None))
    assert heard


async def test_no_broker_is_an_error(unused_tcp_port: int) -> None:
    """Within seconds."""
    with pytest.raises(BrokerUnreachable):
        await load(Settings(bootstrap=f"127.0.0.1:{unused_tcp_port}"), "any", {}, {0})
