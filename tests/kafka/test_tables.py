"""Recovery from a real changelog: committed records alone, up to the end, and only what is new."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from aiokafka import AIOKafkaProducer, codec
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.admin.records_to_delete import RecordsToDelete
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.structs import TopicPartition

from schemas.customer import Customer
from schemas.errors import BrokerUnreachable, Gap, StateError
from schemas.positions import PartitionRecord, SourcePosition
from schemas.record import PARTITION_KEY, Fingerprint, pack, pack_partition
from streams.clock import monotonic
from streams.settings import Settings
from streams.tables import LoadReport, Shard, load, newest_position
from tests.kafka.conftest import CreateTopics
from tests.kafka.scene import PATIENCE, until
from tests.streams.wire import sealed, wire

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


async def send_as_it_is(bootstrap: str, topic: str, batch: bytes) -> None:
    """Produce a record batch to partition 0, byte by byte as it stands."""
    client = AIOKafkaClient(bootstrap_servers=bootstrap)
    await client.bootstrap()
    await client.set_topics([topic])
    leader = client.cluster.leader_for_partition(TopicPartition(topic, 0))
    request = ProduceRequest(None, required_acks=-1, timeout=5000, topics=[(topic, [(0, batch)])])
    async with asyncio.timeout(PATIENCE):
        # The leader of a new topic does not know so yet, and nobody tells when it does.
        while (await client.send(leader, request)).topics[0][1][0][1]:  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.05)
    await client.close()


async def configure(bootstrap: str, topic: str, configuration: dict[str, str]) -> None:
    """Change settings of a topic."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configuration)])
    await admin.close()


@asynccontextmanager
async def transactional(settings: Settings, name: str) -> AsyncIterator[AIOKafkaProducer]:
    """A producer of another application."""
    client = AIOKafkaProducer(
        bootstrap_servers=settings.bootstrap, transactional_id=f"{settings.application_id}-{name}"
    )
    await client.start()
    yield client
    await client.stop()


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
    assert [{0: [b"a"]}, {0: [b"c"]}, {}] == [shards[partition].deadlines for partition in range(3)]


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
    """Each damaged record is named; all others are there, and the next load tells only what is new."""
    await commit(producer, topic, 0, {b"a": b"\x01", b"b": customer(1), b"c": b"\x09" * 40})
    shards: dict[int, Shard] = {}
    report = await load(settings, topic, shards, {0})
    assert [(0, "damaged"), (2, "unknown_version")] == [(e.offset, e.reason) for e in report.errors]
    assert ({b"b": customer(1)}, {b"a", b"c"}) == (shards[0].records, set(shards[0].quarantined))
    await commit(producer, topic, 0, {b"a": customer(2)})
    report = await load(settings, topic, shards, {0})
    assert ([], {b"c"}) == (list(report.errors), set(shards[0].quarantined))


async def test_a_header_that_is_not_utf8_spoils_its_record_alone(
    bootstrap: str, settings: Settings, topic: str
) -> None:
    """Kafka takes it, aiokafka's reader gives up on it; here those around it are read."""
    log = wire((b"a", customer(1)), (b"b", customer(2), [("?", b"")]), (b"c", customer(3)))
    at = log.index(b"?")
    await send_as_it_is(bootstrap, topic, sealed(log[:at] + b"\xe9" + log[at + 1 :]))
    shards: dict[int, Shard] = {}
    report = await load(settings, topic, shards, {0})
    assert [(1, "bad_header")] == [(error.offset, error.reason) for error in report.errors]
    assert {b"a": customer(1), b"c": customer(3)} == shards[0].records


@pytest.mark.skipif(codec.has_zstd(), reason="this aiokafka knows the compression")
async def test_a_compression_that_is_unknown_here_is_counted(
    bootstrap: str, settings: Settings, topic: str, producer: AIOKafkaProducer
) -> None:
    """Somebody had the broker compress the changelog for a while: what stood in between is told."""
    here = {PARTITION_KEY: pack_partition(POSITIONS)}
    await commit(producer, topic, 0, {b"a": customer(1), **here})
    told: list[str] = []
    loaded: list[tuple[LoadReport, Shard]] = []

    # The broker takes up a setting some time after it has acknowledged it.
    async def is_refused() -> bool:
        await commit(producer, topic, 0, {b"b": customer(2), **here})
        try:
            await load(settings, topic, {}, {0})
        except StateError as error:
            told.append(str(error))
        return bool(told)

    async def is_read() -> bool:
        await commit(producer, topic, 0, {b"c": customer(3), **here})
        shards: dict[int, Shard] = {}
        with suppress(StateError):
            loaded.append((await load(settings, topic, shards, {0}), shards[0]))
        return bool(loaded)

    await configure(bootstrap, topic, {"compression.type": "zstd"})
    await until(is_refused)
    assert re.search(rf"{topic}, partition 0, offset \d+: unknown_compression.*aiokafka", told[0])
    await configure(bootstrap, topic, {"compression.type": "producer"})
    await until(is_read)
    ((report, shard),) = loaded
    assert {"unknown_compression"} == {error.reason for error in report.errors}
    assert 2 <= sum(error.records for error in report.errors)
    assert (customer(1), customer(3)) == (shard.records[b"a"], shard.records[b"c"])
    assert POSITIONS == shard.partition_record


async def test_a_damaged_partition_record_is_a_failure_that_says_what_to_do(
    settings: Settings, topic: str, producer: AIOKafkaProducer
) -> None:
    """Going on from an older one would count twice what lies between."""
    await commit(producer, topic, 0, {b"a": customer(1), PARTITION_KEY: pack_partition(POSITIONS)})
    await commit(producer, topic, 0, {PARTITION_KEY: b"\x01 nothing of the kind"})
    with pytest.raises(StateError, match=r"offset 3: damaged .* where partition 0 stands.*start anew"):
        await load(settings, topic, {}, {0})


async def test_a_transaction_that_others_left_open_hides_nothing(
    settings: Settings, topic: str, producer: AIOKafkaProducer
) -> None:
    """What was committed behind it cannot be read yet: that is a failure, and no early end."""
    async with transactional(settings, "stranger") as stranger:
        await stranger.begin_transaction()
        await stranger.send_and_wait(topic, customer(9), key=b"z", partition=0)
        await commit(producer, topic, 0, {b"a": customer(1)})
        began = monotonic()
        with pytest.raises(BrokerUnreachable, match=r"has stood at offset 0 of 3 for 0\.5 s.*left a"):
            await load(settings, topic, {}, {0}, stalled_seconds=0.5)
        assert monotonic() - began < 10
        shards: dict[int, Shard] = {}
        waiting = asyncio.create_task(load(settings, topic, shards, {0}))
        await stranger.abort_transaction()
        await waiting
    assert {b"a": customer(1)} == shards[0].records


async def test_small_fetches_and_many_transactions_are_read_alike(
    settings: Settings, topic: str, producer: AIOKafkaProducer
) -> None:
    """Committed and aborted ones in turn, in all partitions, up to the end of each."""
    wanted: dict[int, dict[bytes, bytes]] = {partition: {} for partition in range(3)}
    for number in range(60):
        partition, key, value = number % 3, b"%d" % (number % 7), customer(number)
        aborted = number % 4 == 3
        await commit(producer, topic, partition, {key: value}, abort=aborted)
        if not aborted:
            wanted[partition][key] = value
    shards: dict[int, Shard] = {}
    report = await load(settings, topic, shards, range(3))
    assert wanted == {partition: shard.records for partition, shard in shards.items()}
    assert (45, []) == (report.records, report.errors)
    assert [40, 40, 40] == [shards[partition].changelog_next for partition in range(3)]


async def test_the_newest_position_of_a_partition_is_found_from_its_end(
    settings: Settings, topic: str, producer: AIOKafkaProducer
) -> None:
    """Also one that stands before what fits in a first look; none where there is none."""
    assert (await newest_position(settings, topic, 0)).partition_record is None
    await commit(producer, topic, 0, {PARTITION_KEY: pack_partition(POSITIONS)})
    assert POSITIONS == (await newest_position(settings, topic, 0)).partition_record
    await commit(producer, topic, 0, {b"%d" % number: customer(1) for number in range(11_000)})
    assert POSITIONS == (await newest_position(settings, topic, 0)).partition_record


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
