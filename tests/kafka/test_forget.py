"""`winback forget` on real Kafka: amid a crash, amid history that comes again, in a fresh application."""

import json
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

import pytest
from aiokafka import AIOKafkaProducer

from agents.cli import main
from agents.forget import Request, ask
from agents.topics import create_topics as create_all
from schemas.codec import decode_output, encode_event
from schemas.customer import Customer, is_stub
from schemas.erasures import Erasure, ErasureReceipt
from schemas.errors import ConfigurationError
from schemas.instants import instant, since_epoch
from schemas.topics import CUSTOMER_HEALTH, DEAD_LETTERS, ERASURE_RECEIPTS, ERASURES
from streams.clock import wall_ms
from streams.connection import admin
from streams.core.playbook import DAY
from streams.partitioner import partition_of
from streams.playbook_file import load_playbook
from streams.settings import Settings
from tests.flows.events import crowd, logs_of, purchase
from tests.flows.pure_fold import Folded, pure_fold
from tests.kafka.commands import everything_in
from tests.kafka.conftest import CreateTopics
from tests.kafka.scene import Process, Scene, Worker, is_gone, process, replay, scene_of, until, worker

PLAYBOOK = load_playbook(None, None)
PARTITIONS = 3
EVENTS = crowd(seed=3, customers=60, days=300)
END = EVENTS[-1].occurred_at - timedelta(days=20)
MIDDLE = since_epoch(EVENTS[len(EVENTS) // 2].occurred_at)
IDS = sorted({event.customer_id for event in EVENTS})
FORGOTTEN = [
    *[(customer, MIDDLE + number * DAY) for number, customer in enumerate(IDS[::2])],
    # And some of whom nobody knows anything, so that it takes a while.
    *[(f"stranger-{number}", MIDDLE) for number in range(600)],
]


@pytest.fixture
async def replaying(bootstrap: str, application_id: str) -> AsyncIterator[Scene]:
    """A replay up to END with a transaction a record, so that there is a middle."""
    async with scene_of(
        bootstrap,
        application_id,
        partitions=PARTITIONS,
        clock="event",
        end_instant=END,
        batch_max_records=1,
        instance="the-only-one",
    ) as scene:
        yield scene


@pytest.fixture
async def live(bootstrap: str, application_id: str) -> AsyncIterator[Scene]:
    """An installation on the wall clock, all of it on one partition."""
    async with scene_of(bootstrap, application_id, partitions=1, instance="the-only-one") as scene:
        yield scene


async def test_a_replay_obeys_first_also_after_kill_9_and_in_a_fresh_application(replaying: Scene) -> None:
    """The state, the triggers, health and receipts of the pure fold that was told to forget first."""
    scene = replaying
    await scene.load(EVENTS)
    await ask_all(scene.settings, FORGOTTEN)
    for _ in range(2):
        async with process(scene.settings) as victim:
            await until(lambda: has_obeyed(victim, 5))
            await victim.kill()
    assert 10 <= len(await receipts(scene)) < len(FORGOTTEN)
    async with process(scene.settings) as victim:
        await until(lambda: has_folded(victim, 20))
        await victim.kill()
    await replay(scene.with_(batch_max_records=4000))

    folds = folds_of(scene)
    await scene.assert_is(folds)
    expected = [fold.written[ERASURE_RECEIPTS.name] for fold in folds]
    assert expected == await scene.written(ERASURE_RECEIPTS)

    fresh = Scene(scene.with_(application_id=f"{scene.settings.application_id}-2", batch_max_records=4000))
    await create_all(fresh.settings)
    await replay(fresh.settings)
    assert await scene.customers() == await fresh.customers()


async def test_live_neither_a_crash_nor_history_brings_anybody_back(live: Scene) -> None:
    """Killed in the middle; then every event comes again, under its own id and under a new one."""
    people = [f"c{number}" for number in range(150)]
    now = wall_ms()
    bought = [purchase(person, now - 5 * DAY + number) for number, person in enumerate(people)]
    await live.load(bought)
    settings = live.with_(batch_max_records=1)
    async with process(live.settings) as first:
        await until(lambda: has_folded(first, len(people)))
        await first.terminate()
        await first.leave()
    await ask_all(settings, [(person, now) for person in people])
    async with process(settings) as victim:
        await until(lambda: has_obeyed(victim, 5))
        await victim.kill()
    left = len(people) - len(await receipts(live))
    assert 0 < left < len(people)

    await live.load(bought)
    again = [
        purchase(person, now - 4 * DAY + number, "again " + person) for number, person in enumerate(people)
    ]
    await live.load([*again, purchase("c7", wall_ms(), "new")])
    async with worker(live.settings) as running:
        await until(lambda: has_folded(running, 1))
        assert 2.0 * len(people) == await running.metric("winback_records_total", outcome="forgotten")
    customers = await live.customers()
    back = customers.pop(b"c7")
    assert {Customer(forgotten_at=now)} == set(customers.values())
    assert back.purchases is not None
    assert (1, now) == (back.purchases.days, back.forgotten_at)
    assert sorted(people) == sorted(receipt.customer_id for receipt in await receipts(live))
    health = {key: value for (part,) in [await live.written(CUSTOMER_HEALTH)] for key, value, _ in part}
    assert [b"c7"] == [key for key, value in health.items() if value is not None]
    assert [[]] == await live.written(DEAD_LETTERS[0])


async def test_a_worker_at_work_hears_of_it(live: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    """`winback forget --wait` returns with the receipt; afterwards `explain` says what is left."""
    await live.load([purchase("c", wall_ms() - DAY)])
    async with worker(live.settings) as running:
        await until(lambda: has_folded(running, 1))
        report = await ask(live.settings, Request("c", wall_ms()), wait_seconds=60)
        assert report.receipt is not None
        assert (True, live.settings.application_id) == (
            report.receipt.was_known,
            report.receipt.application_id,
        )
        again = await ask(live.settings, Request("stranger", wall_ms()), wait_seconds=60)
        assert again.receipt is not None
        assert not again.receipt.was_known
        assert 2.0 == await running.metric("winback_erasures_total", outcome="obeyed")
    assert all(map(is_stub, (await live.customers()).values()))


async def test_what_makes_no_sense_is_counted_and_passed_over(live: Scene, bootstrap: str) -> None:
    """Broken JSON, no key, a tombstone: the worker obeys what comes after them."""
    name = live.settings.topics.name(ERASURES)
    value = encode_event(Erasure(instant(wall_ms())))
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as client:
        for key, bad in ((b"c", b"{"), (b"c", None), (b"\x00winback.partition", value), (b"\xff", value)):
            await client.send_and_wait(name, bad, key=key, partition=0)
    async with worker(live.settings) as running:
        report = await ask(live.settings, Request("c", wall_ms()), wait_seconds=60)
        assert report.receipt is not None
        assert 3.0 == await running.metric("winback_erasures_total", outcome="unreadable")
    assert [b"c"] == list(await live.customers())


async def test_an_instant_in_the_future_counts_as_now(live: Scene, bootstrap: str) -> None:
    """What is still to come cannot be forgotten, whoever writes the request."""
    value = encode_event(Erasure(instant(wall_ms() + 1000 * DAY)))
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as client:
        sent = await client.send_and_wait(live.settings.topics.name(ERASURES), value, key=b"c")
    async with worker(live.settings):
        await until(lambda: receipts(live))
    assert {b"c": Customer(forgotten_at=sent.timestamp)} == await live.customers()


async def test_a_stub_goes_when_nothing_can_need_it(live: Scene) -> None:
    """The clock is max_lateness beyond it, and the oldest record of the sources was written later."""
    await ask(live.settings, Request("c", wall_ms() - 100 * DAY))
    await ask(live.settings, Request("d", wall_ms()))
    await live.load([purchase("e", wall_ms())])
    async with worker(live.settings):
        await until(lambda: has_gone(live, b"c"))
    assert [b"d", b"e"] == sorted(await live.customers())


async def has_gone(scene: Scene, key: bytes) -> bool:
    """Whether a customer was forgotten, and not even the stub is left."""
    # In this order: before the receipts there is no stub yet, and nothing to be gone.
    return len(await receipts(scene)) == 2 and key not in await scene.customers()


async def test_erasures_made_anew_are_read_from_their_beginning(
    live: Scene, create_topics: CreateTopics
) -> None:
    """Offsets of the topic before it mean nothing: nobody who asks in the new one is passed over."""
    await live.load([purchase(name, wall_ms() - DAY) for name in "abc"])
    for name in "ab":
        await ask(live.settings, Request(name, wall_ms()))
    async with worker(live.settings):
        await until(lambda: has_receipts(live, 2))
    topic = live.settings.topics.name(ERASURES)
    async with admin(live.settings) as client:
        await client.delete_topics([topic])
        await until(lambda: is_gone(live.settings, topic))
        await create_topics(topic, partitions=1, compacted=True)
    for name in "cba":
        await ask(live.settings, Request(name, wall_ms()))
    async with worker(live.settings):
        await until(lambda: has_receipts(live, 5))
    assert all(map(is_stub, (await live.customers()).values()))


async def has_receipts(scene: Scene, count: int) -> bool:
    """Whether there are so many receipts."""
    return len(await receipts(scene)) == count


async def test_an_earlier_instant_is_refused(live: Scene) -> None:
    """It would replace what stands there, and a fresh replay would know more than before."""
    now = wall_ms()
    await ask(live.settings, Request("c", now))
    with pytest.raises(ConfigurationError, match="is forgotten up to"):
        await ask(live.settings, Request("c", now - 1))
    assert 1 == sum(map(len, await live.written(ERASURES)))


def test_the_command_says_where_it_stands(
    bootstrap: str, application_id: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Topics missing; asked for; and nobody there to confirm it, which is exit code 1."""
    monkeypatch.setenv("WINBACK_BOOTSTRAP", bootstrap)
    monkeypatch.setenv("WINBACK_APPLICATION_ID", application_id)
    monkeypatch.setenv("WINBACK_TOPIC_PREFIX", f"{application_id}.")
    assert 2 == main(["forget", "c-1", "--yes"])
    assert "run `winback topics create`" in capsys.readouterr().err
    assert 0 == main(["topics", "create", "--partitions", "1"])
    capsys.readouterr()
    assert 0 == main(["forget", "c-1", "--at", "2026-01-31T12:00Z", "--yes", "--json"])
    assert {
        "customer_id": "c-1",
        "at": "2026-01-31T12:00:00.000Z",
        "partition": 0,
        "offset": 0,
        "receipt": None,
    } == json.loads(capsys.readouterr().out)
    assert 0 == main(["forget", "c-1", "--yes"])
    out, err = capsys.readouterr()
    assert "will forget c-1, up to 20" in out
    assert "winback dlt list --customer c-1" in err


async def has_obeyed(process: Process, count: int) -> bool:
    """Whether a worker has obeyed so many erasures."""
    return await process.metric("winback_erasures_total", outcome="obeyed") >= count


async def has_folded(running: Process | Worker, count: int) -> bool:
    """Whether a worker has folded so many records."""
    return await running.metric("winback_records_total", outcome="folded") >= count


async def receipts(scene: Scene) -> list[ErasureReceipt]:
    """Every receipt that is committed so far, though somebody may have been killed amid a transaction."""
    name, bootstrap = scene.settings.topics.name(ERASURE_RECEIPTS), scene.settings.bootstrap
    partitions = await everything_in(bootstrap, name, scene.partitions, up_to="read_committed")
    found = [decode_output(record.value or b"", record.headers) for part in partitions for record in part]
    return [receipt for receipt in found if isinstance(receipt, ErasureReceipt)]


async def ask_all(settings: Settings, people: Sequence[tuple[str, int]]) -> None:
    """Have many forgotten at once, each up to an instant, as another system would."""
    name = settings.topics.name(ERASURES)
    async with AIOKafkaProducer(bootstrap_servers=settings.bootstrap) as client:
        for person, at in people:
            await client.send(name, encode_event(Erasure(instant(at))), key=person.encode())


def folds_of(scene: Scene) -> list[Folded]:
    """The pure fold of each partition, told to forget FORGOTTEN first."""
    return [
        pure_fold(
            logs_of(EVENTS, number, PARTITIONS),
            PLAYBOOK,
            since_epoch(END),
            [(c.encode(), at) for c, at in FORGOTTEN if partition_of(c.encode(), PARTITIONS) == number],
            scene.settings.application_id,
        )
        for number in range(PARTITIONS)
    ]
