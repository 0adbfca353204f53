"""What a worker makes of a state, or of topics, that are not as it left them."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.records_to_delete import RecordsToDelete
from aiokafka.structs import TopicPartition
from prometheus_client import CollectorRegistry

from schemas.errors import Fatal, Gap, StateError, TopicsError
from schemas.record import PARTITION_KEY
from schemas.topics import CHANGELOG, LOGINS, PURCHASES, SOURCES, TopicSpec
from streams.changes import Changes, Record
from streams.clock import monotonic, wall_ms
from streams.commit import Committer
from streams.driver import TP, EndSight
from streams.metrics import Metrics
from streams.playbook_file import load_playbook
from streams.processor import Processor, terms_of
from tests.flows.events import login, purchase
from tests.kafka.scene import PATIENCE, Process, Scene, Worker, process, scene_of, until, until_shown, worker

CUSTOMER = "anna-of-the-green-gables"


class Heedless:
    """A source from which nothing is ever read."""

    def hold(self, tp: TP) -> None:
        """See Source."""

    def release(self, tp: TP) -> None:
        """See Source."""

    def next_offset(self, tp: TP) -> int | None:
        """See Source."""
        return None

    def end_sight(self, tp: TP) -> EndSight | None:
        """See Source."""
        return None

    def await_time(self, tps: Iterable[TP], instant: int) -> None:
        """See Source."""

    def last_end(self, tp: TP) -> int | None:
        """See Source."""
        return None

    async def publish_offsets(self, offsets: Mapping[TP, int], generation: int) -> bool:
        """See Source."""
        return False

    def progress(self) -> None:
        """See Source."""


@pytest.fixture
async def scene(bootstrap: str, application_id: str) -> AsyncIterator[Scene]:
    """A live installation of one partition."""
    async with scene_of(bootstrap, application_id, partitions=1) as scene:
        yield scene


@pytest.fixture
async def admin(bootstrap: str) -> AsyncIterator[AIOKafkaAdminClient]:
    """Whoever can do things to topics."""
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await client.start()
    yield client
    await client.close()


async def lived(scene: Scene, *customers: str) -> None:
    """A worker has folded a purchase of each of these, and has gone."""
    now = wall_ms()
    await scene.load([purchase(customer, now, f"o-{customer}") for customer in customers])
    async with worker(scene.settings) as running:
        await until(lambda: folded(running, len(customers)))


async def folded(running: Worker | Process, records: int) -> bool:
    """Whether a worker has folded so many records."""
    return await running.metric("winback_records_total", outcome="folded") >= records


async def over(running: Worker) -> bool:
    """Whether a worker has ended."""
    return running.task.done()


async def write(scene: Scene, records: Mapping[bytes, bytes | None]) -> None:
    """Put these into the changelog, as nobody should."""
    changes = Changes()
    for key, value in records.items():
        changes.add(scene.settings.topics.name(CHANGELOG), Record(key, value))
    committer = Committer(scene.settings, 0)
    await committer.fence()
    await committer.commit(changes)
    await committer.close()


async def anew(scene: Scene, admin: AIOKafkaAdminClient, spec: TopicSpec, records: int) -> None:
    """Delete a topic and make it anew, with so many records in it."""
    name = scene.settings.topics.name(spec)
    await admin.delete_topics([name])
    async with asyncio.timeout(PATIENCE):
        topic = NewTopic(name, scene.partitions, 1)
        # Refused while the old one is still being deleted, and nobody tells when it is gone.
        while (await admin.create_topics([topic])).topic_errors[0][1]:  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.1)
    client = AIOKafkaProducer(bootstrap_servers=scene.settings.bootstrap)
    await client.start()
    for _ in range(records):
        await client.send(name, b"{}", b"c", 0)
    await client.stop()


# ------------------------------------------------------------------------------------ damaged state


async def test_damaged_state_ends_no_worker(scene: Scene) -> None:
    """It is counted by reason and named once by its place, never by its customer; the rest is served."""
    await lived(scene, "whole", "cut-short", CUSTOMER)
    await write(scene, {CUSTOMER.encode(): b"\x7f" * 30, b"cut-short": b"\x01\x00"})
    async with process(scene.settings) as running:
        await running.ready()
        assert 1 == await running.metric("winback_quarantined_records_total", reason="unknown_version")
        assert 1 == await running.metric("winback_quarantined_records_total", reason="damaged")
        assert 0 == await running.metric("winback_quarantined_records_total", reason="bad_header")
        await scene.load([purchase("whole", wall_ms(), "o-2")])
        await until(lambda: folded(running, 1))
        await running.terminate()
        code, errors = await running.end()
    assert 0 == code
    lines = [line for line in errors.splitlines() if "quarantined" in line]
    assert ["unknown_version", "damaged"] == [
        reason for line in lines for reason in ("unknown_version", "damaged") if reason in line
    ]
    assert all(scene.settings.topics.name(CHANGELOG) in line and "offset" in line for line in lines)
    assert CUSTOMER not in errors
    assert "cut-short" not in errors


async def test_a_damaged_position_ends_the_worker_in_one_line(scene: Scene) -> None:
    """Which partition, and what can be done."""
    await lived(scene, "c")
    await write(scene, {PARTITION_KEY: b"\x01 nothing of the kind"})
    with pytest.raises(StateError, match=r"where partition 0 stands.*Restore.*or start anew"):
        async with worker(scene.settings) as running:
            await running.ready()


# --------------------------------------------------------------------------------- topics made anew


@pytest.mark.parametrize("spec", [PURCHASES, LOGINS])
async def test_a_topic_made_anew_is_told_from_the_old_one(
    scene: Scene, admin: AIOKafkaAdminClient, spec: TopicSpec
) -> None:
    """Also where the new one holds the next offset, which a comparison of offsets cannot see."""
    await lived(scene, "a", "b")
    await anew(scene, admin, spec, records=50)
    name = scene.settings.topics.name(spec)
    with pytest.raises(Gap, match=f"{name} was deleted and made anew"):
        async with worker(scene.settings) as running:
            await running.ready()


async def test_a_topic_made_anew_under_a_worker_stops_it(scene: Scene, admin: AIOKafkaAdminClient) -> None:
    """Within seconds, whether it sees the topic gone or the next one in its place."""
    await lived(scene, "a")
    told = r"logins (was deleted and made anew|is gone: was it deleted)"
    with pytest.raises((Gap, TopicsError), match=told):  # noqa: PT012 - it happens while the worker runs
        async with worker(scene.settings) as running:
            await running.ready()
            await anew(scene, admin, LOGINS, records=50)
            await until(lambda: over(running))


async def test_a_changelog_made_anew_under_a_worker_is_told_at_the_next_start(
    scene: Scene, admin: AIOKafkaAdminClient
) -> None:
    """It would hold the customers that were written since, and lack all others."""
    await lived(scene, "a")
    shards = await scene.recover()
    changes = Changes()
    here = await newest_position_record(scene)
    changes.add(scene.settings.topics.name(CHANGELOG), here)
    await anew(scene, admin, CHANGELOG, records=0)
    committer = Committer(scene.settings, 0)
    await committer.fence()
    await committer.commit(changes)
    await committer.close()
    assert shards
    with pytest.raises(Gap, match="changelog was deleted and made anew"):
        async with worker(scene.settings) as running:
            await running.ready()


async def newest_position_record(scene: Scene) -> Record:
    """The last partition record in the changelog, as it stands there."""
    (records,) = await scene.written(CHANGELOG)
    key, value, headers = next(record for record in reversed(records) if record[0] == PARTITION_KEY)
    return Record(key, value, list(headers))


# ------------------------------------------------------------------------------ counts and retention


async def enlarge(scene: Scene, admin: AIOKafkaAdminClient, partitions: int) -> None:
    """Give every topic, the changelog among them, another partition count."""
    names = [spec.name for spec in scene.settings.topics.all()]
    await admin.create_partitions({name: NewPartitions(partitions) for name in names})
    await until_shown(admin, dict.fromkeys(names, partitions))


async def test_topics_that_were_all_enlarged_alike_are_refused(
    scene: Scene, admin: AIOKafkaAdminClient
) -> None:
    """Their counts agree, but customers would be looked for where their state is not."""
    await lived(scene, "a")
    await enlarge(scene, admin, 2)
    with pytest.raises(TopicsError, match="the topics have 2 partitions now, not 1"):
        async with worker(scene.settings) as running:
            await running.ready()


async def test_a_worker_of_new_partitions_alone_refuses_them_too(
    scene: Scene, admin: AIOKafkaAdminClient
) -> None:
    """It asks what the state of the others was made from."""
    await lived(scene, "a")
    await enlarge(scene, admin, 3)
    settings = scene.settings
    terms = terms_of(settings, load_playbook(None, None), 3)
    processor = Processor(settings, terms, {}, Metrics(CollectorRegistry()))
    processor.attach(Heedless())
    with pytest.raises(TopicsError, match="the topics have 3 partitions now, not 1"):
        await processor.open(frozenset({1, 2}), generation=1)
    await processor.close()


async def test_what_retention_took_before_it_was_read_is_counted_and_the_rest_is_folded(
    scene: Scene, admin: AIOKafkaAdminClient
) -> None:
    """The gap ends where the log begins, so it is explained: on we go."""
    await lived(scene, "a")
    now = wall_ms()
    await scene.load([purchase("b", now + n, f"o-{n}") for n in range(5)])
    name = scene.settings.topics.name(PURCHASES)
    await admin.delete_records({TopicPartition(name, 0): RecordsToDelete(before_offset=4)})
    async with worker(scene.settings) as running:
        await until(lambda: folded(running, 2))
        assert 3 == await running.metric("winback_lost_offsets_total", topic=PURCHASES.name)
    assert {b"a", b"b"} == (await scene.customers()).keys()


# ----------------------------------------------------------------------------------- bad deploys


async def test_a_burst_of_dead_letters_stops_the_worker(scene: Scene) -> None:
    """Rather than turn the whole stream into dead letters."""
    client = AIOKafkaProducer(bootstrap_servers=scene.settings.bootstrap)
    await client.start()
    for _ in range(300):
        await client.send(scene.settings.topics.name(SOURCES[1]), b"{}", b"c", 0)
    await client.stop()
    settings = scene.with_(dead_letter_window=100, batch_max_records=50)
    with pytest.raises(Fatal, match=r"100 of the last 100 records of logins became dead .*SHARE \(0\.5\)"):
        async with worker(settings) as running:
            await until(lambda: over(running))
    assert 100 == await scene.folded(1), "what follows is left for the mended version"


# ---------------------------------------------------------------------------------- static members


async def test_a_killed_worker_that_comes_back_does_not_wait_for_its_former_self(scene: Scene) -> None:
    """Its session would last a minute more; a static member has its partitions back in seconds."""
    settings = scene.with_(instance="the-only-one", session_timeout_seconds=60.0)
    async with process(settings) as victim:
        await victim.ready()
        await victim.kill()
    began = monotonic()
    async with process(settings) as heir:
        await heir.ready()
        await scene.load([login("c", wall_ms())])
        await until(lambda: folded(heir, 1))
        assert monotonic() - began < 30
        await heir.terminate()
        await heir.leave()
