"""The driver on real Kafka: each record once and in order, whatever the group goes through."""

import asyncio
import os
import signal
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete
from aiokafka.structs import TopicPartition

from schemas.errors import BrokerUnreachable, Gap, StateError, TopicsError
from streams.app import build_app, check_topics, run
from streams.clock import monotonic, wall_ms
from streams.driver import TP, EndSight
from streams.driver.consumer import Consumer
from streams.settings import Settings
from tests.kafka.conftest import CreateTopics
from tests.kafka.recorder import Ledger, Recorder, until, worker
from tests.kafka.scene import PATIENCE

PARTITIONS = 2


@pytest.fixture
def settings(bootstrap: str, application_id: str) -> Settings:
    """Small fetches, so that there are many."""
    return Settings(bootstrap=bootstrap, application_id=application_id, fetch_max_records=50)


@pytest.fixture
async def topics(application_id: str, create_topics: CreateTopics) -> tuple[str, ...]:
    """Three source topics of the test's own."""
    names = tuple(f"{application_id}-{name}" for name in ("purchases", "logins", "tickets"))
    await create_topics(*names, partitions=PARTITIONS)
    return names


@pytest.fixture
async def producer(bootstrap: str) -> AsyncIterator[AIOKafkaProducer]:
    """A plain producer."""
    client = AIOKafkaProducer(bootstrap_servers=bootstrap, linger_ms=2)
    await client.start()
    yield client
    await client.stop()


async def fill(producer: AIOKafkaProducer, topics: Sequence[str], count: int) -> dict[TP, list[bytes]]:
    """`count` records more in each partition; what is in them, in order."""
    sent: dict[TP, list[bytes]] = {}
    for topic in topics:
        for partition in range(PARTITIONS):
            values = [f"{topic} {partition} {number}".encode() for number in range(count)]
            for value in values:
                await producer.send(topic, value, partition=partition)
            sent[TP(topic, partition)] = values
    await producer.flush()
    return sent


def driver_of(app: object) -> Consumer:
    """The driver itself, for what only its inside tells."""
    consumer = getattr(app, "consumer", None)
    assert isinstance(consumer, Consumer)
    return consumer


# ------------------------------------------------------------------------------------ what is delivered


async def test_every_record_comes_once_and_in_order(
    settings: Settings, topics: Sequence[str], producer: AIOKafkaProducer
) -> None:
    """A partition's batches put together are its log."""
    sent, ledger = await fill(producer, topics, 1000), Ledger()
    async with worker(settings, ledger, topics):
        await until(lambda: ledger.total() == 6000)
    assert sent == ledger.values


async def test_a_fetch_brings_no_more_records_than_asked(
    settings: Settings, topics: Sequence[str], producer: AIOKafkaProducer
) -> None:
    """With fetches of one record each, still all of them come once and in order."""
    sent, ledger = await fill(producer, topics, 40), Ledger()
    single = settings.model_copy(update={"fetch_max_records": 1})
    async with worker(single, ledger, topics) as running:
        await until(lambda: ledger.total() == 240)
        assert 6 == driver_of(running.app)._thread.sought
    assert 1 == ledger.largest
    assert sent == ledger.values


async def test_the_receiver_says_where_to_begin(
    settings: Settings, topics: Sequence[str], producer: AIOKafkaProducer
) -> None:
    """Delivery begins at the offset that `open` answered, though aiokafka had begun at the group's."""
    sent, ledger = await fill(producer, topics, 100), Ledger()
    async with worker(settings, ledger, topics) as running:
        await until(lambda: ledger.total() == 600)
        assert await running.recorder.driver.publish_offsets(
            dict.fromkeys(sent, 90), running.recorder.generation
        )
    for tp in sent:
        ledger.positions[tp], ledger.values[tp] = 30, sent[tp][:30]

    async def until_prefetched(partitions: frozenset[int]) -> None:
        consumer = driver_of(running.app)._thread._ensure_consumer()
        await until(lambda: len(consumer._fetcher._records) == len(sent))

    async with worker(settings, ledger, topics, opening=until_prefetched) as running:
        await until(lambda: ledger.total() == 600)
    assert sent == ledger.values


async def test_a_batch_is_current_only_as_long_as_its_assignment(
    settings: Settings, topics: Sequence[str], producer: AIOKafkaProducer
) -> None:
    """A batch that an agent still had in hand when a rebalance began can be told from the new ones."""
    ledger = Ledger()
    await fill(producer, topics, 10)
    async with worker(settings, ledger, topics) as first:
        await until(lambda: ledger.total() == 60)
        old = first.recorder.newest
        assert old is not None
        current = [old.current]
        async with worker(settings, ledger, topics):
            await until(lambda: len(first.recorder.opened) == 2 and first.recorder.ready.is_set())
            current.append(old.current)
            await fill(producer, topics, 10)
            await until(lambda: ledger.total() == 120)
            assert first.recorder.newest is not None
            current.append(first.recorder.newest.current)
    assert [True, False, True] == current


async def test_transactions_cost_no_rewind(
    bootstrap: str, settings: Settings, topics: Sequence[str], application_id: str
) -> None:
    """Markers and aborted records are passed over: nothing is sought again, and the end is reached."""
    client = AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id=application_id)
    await client.start()
    for number in range(20):
        await client.begin_transaction()
        await client.send_and_wait(topics[0], str(number).encode(), partition=0)
        await (client.abort_transaction() if number % 3 == 0 else client.commit_transaction())
    await client.stop()
    ledger, tp = Ledger(), TP(topics[0], 0)
    async with worker(settings, ledger, topics) as running:
        await until(lambda: ledger.positions[tp] == 40)
        await until(lambda: running.recorder.driver.end_sight(tp) is not None)
        assert 6 == driver_of(running.app)._thread.sought
    assert [str(number).encode() for number in range(20) if number % 3] == ledger.values[tp]


async def test_what_retention_took_is_counted(
    bootstrap: str, settings: Settings, topics: Sequence[str], producer: AIOKafkaProducer
) -> None:
    """Records gone before they were read are reported as lost, and the others still come."""
    sent, ledger = await fill(producer, topics, 100), Ledger()
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.delete_records({TopicPartition(topics[1], 1): RecordsToDelete(before_offset=60)})
    await admin.close()
    async with worker(settings, ledger, topics):
        await until(lambda: ledger.total() == 540)
    assert 60 == ledger.lost
    assert sent[TP(topics[1], 1)][60:] == ledger.values[TP(topics[1], 1)]


async def test_a_log_that_ends_before_our_position_stops_the_worker(
    settings: Settings, topics: Sequence[str], producer: AIOKafkaProducer
) -> None:
    """A topic deleted and made anew is a gap without an explanation."""
    await fill(producer, topics, 10)
    ledger = Ledger()
    ledger.positions[TP(topics[2], 0)] = 5000
    async with worker(settings, ledger, topics) as running:
        with pytest.raises(Gap, match="the next offset is 5000, but the log holds 0 to 10"):
            await asyncio.wait_for(asyncio.shield(running.task), PATIENCE)


# ------------------------------------------------------------------------------------- hold and the end


async def test_a_held_partition_waits_while_others_flow(
    settings: Settings, topics: Sequence[str], producer: AIOKafkaProducer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Holding stops one partition alone after a batch at most, and releasing delivers the rest.

    At once: a fetch that waits for ever is woken.
    """
    monkeypatch.setattr("streams.driver.consumer.FETCH_SECONDS", 10 * PATIENCE)
    held, ledger = TP(topics[0], 0), Ledger()
    async with worker(settings, ledger, topics) as running:
        await running.ready()
        running.recorder.driver.hold(held)
        sent = await fill(producer, topics, 500)
        await until(lambda: ledger.total() - ledger.positions[held] == 2500)
        assert ledger.positions[held] <= 50
        released = monotonic()
        running.recorder.driver.release(held)
        await until(lambda: ledger.positions[held] > 50)
        assert monotonic() - released < 0.5
        await until(lambda: ledger.total() == 3000)
    assert sent == ledger.values


async def test_a_worker_stops_while_a_topic_is_held(
    settings: Settings, topics: Sequence[str], producer: AIOKafkaProducer
) -> None:
    """A held topic keeps no worker from ending, and the next one delivers it."""
    sent, ledger = await fill(producer, topics, 300), Ledger()
    async with worker(settings, ledger, topics) as running:
        await running.ready()
        for partition in range(PARTITIONS):
            running.recorder.driver.hold(TP(topics[2], partition))
        await until(lambda: ledger.total() >= 1200)
        began = monotonic()
        await running.stop()
        assert monotonic() - began < 3
    async with worker(settings, ledger, topics):
        await until(lambda: ledger.total() == 1800)
    assert sent == ledger.values


async def test_a_rebalance_ends_every_hold(
    settings: Settings, topics: Sequence[str], producer: AIOKafkaProducer
) -> None:
    """A second worker joins while a topic is held: no hang, and all of it comes."""
    sent, ledger = await fill(producer, topics, 300), Ledger()
    async with worker(settings, ledger, topics) as first:
        await first.ready()
        for partition in range(PARTITIONS):
            first.recorder.driver.hold(TP(topics[0], partition))
        async with worker(settings, ledger, topics) as second:
            await until(lambda: ledger.total() == 1800)
            assert {frozenset({0}), frozenset({1})} == {first.recorder.opened[-1], second.recorder.opened[-1]}
    assert sent == ledger.values


async def test_a_sight_of_the_end_is_never_later_than_the_truth(
    settings: Settings, topics: Sequence[str], producer: AIOKafkaProducer
) -> None:
    """What was written before a fetch was sent lies below the end that its answer shows."""
    ledger, tp = Ledger(), TP(topics[0], 0)
    async with worker(settings, ledger, topics) as running:
        await running.ready()
        driver = running.recorder.driver
        for number in range(1, 40):
            await producer.send_and_wait(tp.topic, b"", partition=tp.partition)
            written = wall_ms()
            # Strictly after: within one millisecond nobody can tell which came first.
            await until(lambda: (sight := driver.end_sight(tp)) is not None and sight.sent_at > written)  # noqa: B023
            sight = driver.end_sight(tp)
            assert sight is not None
            assert number == sight.end_offset == driver.next_offset(tp)


async def test_a_sight_of_the_end_is_stamped_when_its_fetch_is_sent(
    settings: Settings, topics: Sequence[str]
) -> None:
    """The broker keeps an idle fetch for its whole wait: the stamp is that much older than the answer."""
    patient = settings.model_copy(update={"fetch_max_wait_ms": 800})
    tp = TP(topics[0], 0)
    async with worker(patient, Ledger(), topics) as running:
        await running.ready()
        driver = running.recorder.driver
        ages: dict[EndSight, int] = {}

        def seen_old() -> bool:
            if (sight := driver.end_sight(tp)) is not None:
                ages.setdefault(sight, wall_ms() - sight.sent_at)
            return max(ages.values(), default=0) >= 750

        await until(seen_old)


async def test_the_broker_keeps_no_fetch_beyond_an_instant_that_is_awaited(
    settings: Settings, topics: Sequence[str]
) -> None:
    """The first fetch after it is answered long before an idle one would be, and the receiver told once."""
    patience = 1500
    patient = settings.model_copy(update={"fetch_max_wait_ms": patience})
    tp = TP(topics[0], 0)
    async with worker(patient, Ledger(), topics) as running:
        await running.ready()
        driver = running.recorder.driver
        await until(lambda: driver.end_sight(tp) is not None)
        awaited = wall_ms() + patience
        driver.await_time([tp], awaited)
        await until(lambda: (sight := driver.end_sight(tp)) is not None and sight.sent_at > awaited)
        seen, sight = wall_ms(), driver.end_sight(tp)
        await until(lambda: driver.end_sight(tp) != sight)
        assert seen - awaited < patience
        assert 1 == running.recorder.times_passed


async def test_there_is_no_sight_of_the_end_while_records_wait(
    settings: Settings, topics: Sequence[str], producer: AIOKafkaProducer
) -> None:
    """A held partition with something to deliver is not at its end; an idle one is."""
    busy, idle = TP(topics[0], 0), TP(topics[0], 1)
    async with worker(settings, Ledger(), topics) as running:
        await running.ready()
        driver = running.recorder.driver
        driver.hold(busy)
        await producer.send_and_wait(busy.topic, b"", partition=busy.partition)
        written = wall_ms()
        await until(lambda: (sight := driver.end_sight(idle)) is not None and sight.sent_at > written)
        await until(lambda: driver.end_sight(busy) is None)
        driver.release(busy)
        await until(lambda: driver.end_sight(busy) is not None)


# ----------------------------------------------------------------------------------------- the group


async def test_a_restart_goes_on_where_it_stopped(
    settings: Settings, topics: Sequence[str], producer: AIOKafkaProducer
) -> None:
    """Three workers one after another, each stopped in the middle, deliver each record once."""
    sent, ledger = await fill(producer, topics, 2000), Ledger()
    for goal in (3000, 7000, 12000):
        async with worker(settings, ledger, topics):
            await until(lambda: ledger.total() >= goal)  # noqa: B023
    assert sent == ledger.values


async def test_a_worker_joins_and_leaves_under_load(
    settings: Settings, topics: Sequence[str], producer: AIOKafkaProducer
) -> None:
    """Each record comes once and in order, with one worker, two, and one again."""
    sent: dict[TP, list[bytes]] = defaultdict(list)
    ledger, enough = Ledger(), asyncio.Event()

    async def feed() -> None:
        while not enough.is_set():
            for tp, values in (await fill(producer, topics, 100)).items():
                sent[tp] += values

    feeding = asyncio.create_task(feed())
    async with worker(settings, ledger, topics) as first:
        await until(lambda: ledger.total() >= 2000)
        async with worker(settings, ledger, topics) as second:
            await second.ready()
            await until(first.recorder.ready.is_set)
            assert {frozenset({0}), frozenset({1})} == {first.recorder.opened[-1], second.recorder.opened[-1]}
            shared = ledger.total() + 2000
            await until(lambda: ledger.total() >= shared)
        await until(lambda: first.recorder.opened[-1] == {0, 1})
        alone = ledger.total() + 2000
        await until(lambda: ledger.total() >= alone)
        enough.set()
        await feeding
        await until(lambda: ledger.total() == sum(map(len, sent.values())))
    assert sent == ledger.values


async def test_a_rebalance_overtakes_an_opening(
    settings: Settings, topics: Sequence[str], producer: AIOKafkaProducer
) -> None:
    """The opening it overtakes is cancelled before the next begins, and only the last one resumes."""
    sent, ledger, blocked = await fill(producer, topics, 100), Ledger(), asyncio.Event()

    async def opening(partitions: frozenset[int]) -> None:
        if len(partitions) == PARTITIONS:
            blocked.set()
            await asyncio.Event().wait()

    async with worker(settings, ledger, topics, opening=opening) as first:
        await blocked.wait()
        async with worker(settings, ledger, topics):
            await until(lambda: ledger.total() == 600)
            assert ["open", "drop", "quiesce", "open", "resume"] == first.recorder.calls[1:]
    assert sent == ledger.values


async def test_an_opening_that_ends_as_a_rebalance_begins_is_not_resumed(
    settings: Settings, topics: Sequence[str], producer: AIOKafkaProducer
) -> None:
    """The consumer's thread knows of a rebalance before the main loop does, and that is early enough."""
    sent, ledger, opened = await fill(producer, topics, 100), Ledger(), 0

    async def opening(partitions: frozenset[int]) -> None:
        nonlocal opened
        opened += 1
        if opened == 1:
            thread = driver_of(running.app)._thread
            thread.thread_loop.call_soon_threadsafe(thread._ensure_consumer()._coordinator.request_rejoin)
            while running.app.rebalancing_count == 1:  # the main loop stands still meanwhile
                time.sleep(0.001)  # noqa: ASYNC251

    async with worker(settings, ledger, topics, opening=opening) as running:
        await until(lambda: ledger.total() == 600)
    assert ["drop", "open", "drop", "quiesce", "open", "resume"] == running.recorder.calls[:6]
    assert sent == ledger.values


async def test_a_worker_stops_in_the_middle_of_a_rebalance(
    settings: Settings, topics: Sequence[str], producer: AIOKafkaProducer
) -> None:
    """It ends cleanly, and whoever is left delivers everything."""
    sent, ledger = await fill(producer, topics, 2000), Ledger()
    small = settings.model_copy(update={"fetch_max_records": 5})
    async with worker(small, ledger, topics) as first:
        await until(lambda: ledger.total() >= 500)
        async with worker(settings, ledger, topics):
            await until(lambda: first.app.rebalancing)
            await first.stop()
            await until(lambda: ledger.total() == 12000)
    assert sent == ledger.values


async def test_a_worker_without_partitions_stands_by(
    settings: Settings, topics: Sequence[str], producer: AIOKafkaProducer
) -> None:
    """One worker more than partitions: it opens none, disturbs none, and ends at once."""
    ledger = Ledger()
    async with (
        worker(settings, ledger, topics) as one,
        worker(settings, ledger, topics) as two,
        worker(settings, ledger, topics) as three,
    ):
        workers = (one, two, three)
        await until(
            lambda: sorted(len(w.recorder.opened[-1]) for w in workers if w.recorder.opened) == [0, 1, 1]
        )
        sent = await fill(producer, topics, 100)
        await until(lambda: ledger.total() == 600)
    assert sent == ledger.values


async def test_a_static_member_that_is_stopped_leaves_at_once(
    settings: Settings, topics: Sequence[str], producer: AIOKafkaProducer
) -> None:
    """Its partitions are taken over without waiting for the session's time-out."""
    sent, ledger = await fill(producer, topics, 50), Ledger()
    first = settings.model_copy(update={"instance": "first", "session_timeout_seconds": 30.0})
    second = first.model_copy(update={"instance": "second"})
    async with worker(first, ledger, topics) as leaving, worker(second, ledger, topics) as staying:
        await leaving.ready()
        await until(lambda: staying.recorder.opened and leaving.recorder.opened[-1] != {0, 1})
        await leaving.stop()
        await until(lambda: staying.recorder.opened[-1] == {0, 1}, seconds=8)
        await until(lambda: ledger.total() == 300)
    assert sent == ledger.values


async def test_a_worker_is_ready_within_a_second(settings: Settings, topics: Sequence[str]) -> None:
    """From nothing to flowing: no start-up waits of Faust's are left."""
    began = monotonic()
    async with worker(settings, Ledger(), topics) as running:
        await running.ready()
        assert monotonic() - began < 1.0


async def test_sigterm_ends_a_worker_cleanly(settings: Settings, topics: Sequence[str]) -> None:
    """`run` returns, and nothing that it started is left behind."""
    recorder = Recorder(Ledger(), topics)

    async def agent(stream: object) -> None:
        del stream

    app = build_app(settings, recorder, [(topic, agent) for topic in topics], {}, PARTITIONS)
    before = asyncio.all_tasks()
    task = asyncio.create_task(run(app))
    await asyncio.wait_for(recorder.ready.wait(), PATIENCE)
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.wait_for(task, PATIENCE)
    assert ["drop", "open", "resume", "drop", "quiesce", "quiesce"] == recorder.calls
    assert before == asyncio.all_tasks()


# ------------------------------------------------------------------------------- offsets for lag tools


async def test_published_offsets_are_the_groups(
    bootstrap: str, settings: Settings, topics: Sequence[str], producer: AIOKafkaProducer
) -> None:
    """Lag tools see what was published, and nothing is published for a generation that is over."""
    sent, ledger = await fill(producer, topics, 20), Ledger()
    async with worker(settings, ledger, topics) as running:
        await until(lambda: ledger.total() == 120)
        driver, generation = running.recorder.driver, running.recorder.generation
        assert await driver.publish_offsets(dict.fromkeys(sent, 20), generation)
        assert not await driver.publish_offsets(dict.fromkeys(sent, 7), generation - 1)
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        await admin.start()
        offsets = await admin.list_consumer_group_offsets(settings.application_id)
        await admin.close()
    assert dict.fromkeys(sent, 20) == {TP(*tp): committed.offset for tp, committed in offsets.items()}


async def test_a_member_shows_its_clock(bootstrap: str, settings: Settings, topics: Sequence[str]) -> None:
    """The client id of a group's member tells the clock's mode to whoever asks the broker."""
    async with worker(settings, Ledger(), topics) as running:
        await running.ready()
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        await admin.start()
        (answer,) = await admin.describe_consumer_groups([settings.application_id])
        await admin.close()
        (group,) = answer.to_object()["groups"]
    assert ["winback-wall"] == [member["client_id"] for member in group["members"]]


# -------------------------------------------------------------------------------------- what goes wrong


async def test_no_broker_is_an_error_and_not_a_hang(unused_tcp_port: int) -> None:
    """A worker without a broker ends within seconds and names the address."""
    settings = Settings(bootstrap=f"127.0.0.1:{unused_tcp_port}")
    began = monotonic()
    with pytest.raises(BrokerUnreachable, match=str(unused_tcp_port)):
        await check_topics(settings)
    async with worker(settings, Ledger(), ("a", "b", "c")) as running:
        with pytest.raises(BrokerUnreachable, match=str(unused_tcp_port)):
            await running.ready()
    assert monotonic() - began < 5


async def test_a_missing_topic_is_named(settings: Settings) -> None:
    """Before joining the group, with the command that mends it."""
    with pytest.raises(TopicsError, match=f"{settings.application_id}-customers-changelog.*topics create"):
        await check_topics(settings)


async def test_sources_with_unlike_partition_counts_stop_the_worker(
    settings: Settings, application_id: str, create_topics: CreateTopics
) -> None:
    """A customer's three topics must meet in one partition."""
    even, odd = f"{application_id}-even", f"{application_id}-odd"
    await create_topics(even, partitions=2)
    await create_topics(odd, partitions=3)
    async with worker(settings, Ledger(), (even, odd)) as running:
        with pytest.raises(TopicsError, match=f"{odd} has 3 partitions now, not 2"):
            await running.ready()


async def test_an_opening_that_fails_ends_the_worker(settings: Settings, topics: Sequence[str]) -> None:
    """What the receiver raises while it recovers comes out of `run` as itself."""

    async def opening(partitions: frozenset[int]) -> None:
        raise StateError("damaged")

    async with worker(settings, Ledger(), topics, opening=opening) as running:
        with pytest.raises(StateError, match="damaged"):
            await running.ready()
