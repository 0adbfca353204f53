"""`winback load` on real Kafka."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.partitioner import DefaultPartitioner

from agents.brokers import ApacheKafka
from agents.cli import main
from agents.load import load_rows
from agents.population import population
from agents.produce import load_events, send_records
from agents.rows import Row
from agents.topics import create_topics
from schemas.errors import BrokerUnreachable, ConfigurationError, TopicsError
from schemas.events import Login
from schemas.instants import DAY_MS
from schemas.topics import LOGINS, PURCHASES
from streams.clock import wall_ms
from tests.kafka.commands import everything_in, installation

PARTITIONS = 3


@pytest.fixture
def where(bootstrap: str, application_id: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Options for an installation of one's own, its topics created."""
    monkeypatch.setenv("WINBACK_TOPIC_PREFIX", f"{application_id}.")
    asyncio.run(create_topics(installation(bootstrap, application_id, partitions=PARTITIONS)))
    return ["--bootstrap", bootstrap, "--application-id", application_id]


def loaded(bootstrap: str, application_id: str, topic: str) -> list[list[dict[str, object]]]:
    """The events of a topic, partition by partition."""
    read = asyncio.run(everything_in(bootstrap, f"{application_id}.{topic}", PARTITIONS))
    return [[msgspec.json.decode(record.value) for record in records] for records in read]


def test_files_are_sorted_together(
    where: list[str], bootstrap: str, application_id: str, tmp_path: Path
) -> None:
    """Two files, neither sorted, become one ascending sequence in every partition."""
    days = [(datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=n)).date().isoformat() for n in range(60)]
    for name, some in (("even.csv", days[::-2]), ("odd.csv", days[1::2])):
        lines = [f"c{n % 7},{day},{n}.50" for n, day in enumerate(some)]
        (tmp_path / name).write_text("\n".join(["customer_id,occurred_at,amount", *lines]))
    files = [str(tmp_path / "even.csv"), str(tmp_path / "odd.csv")]
    assert 0 == main(["load", *files, "--topic", "purchases", *where])
    partitions = loaded(bootstrap, application_id, "purchases")
    assert 60 == sum(map(len, partitions))
    for events in partitions:
        instants = [str(event["occurred_at"]) for event in events]
        assert sorted(instants) == instants


def test_a_file_loaded_twice_has_the_same_ids(
    where: list[str], bootstrap: str, application_id: str, tmp_path: Path
) -> None:
    """The second load repeats the first's ids, and identical lines of the file stay apart."""
    file = tmp_path / "logins.csv"
    file.write_text("customer_id,occurred_at\nc1,2024-01-01\nc1,2024-01-01\nc1,2024-01-02\n")
    for _ in range(2):
        assert 0 == main(["load", str(file), "--topic", "logins", *where])
    ids = [event["id"] for events in loaded(bootstrap, application_id, "logins") for event in events]
    assert 3 == len(set(ids[:3]))
    assert ids[:3] == ids[3:]


def test_nothing_is_sent_where_a_line_is_bad(
    where: list[str],
    bootstrap: str,
    application_id: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The report names file, line and column; --skip-bad loads the rest and counts."""
    file = tmp_path / "purchases.csv"
    file.write_text("customer_id,occurred_at,amount\nc1,2024-01-01,5\nc2,2024-01-01,five\n")
    assert 1 == main(["load", str(file), "--topic", "purchases", *where])
    assert f"{file}, line 3, column amount: not a number" in capsys.readouterr().err
    assert 0 == sum(map(len, loaded(bootstrap, application_id, "purchases")))
    assert 0 == main(["load", str(file), "--topic", "purchases", "--skip-bad", "--json", *where])
    report = msgspec.json.decode(capsys.readouterr().out)
    assert (1, 1) == (report["loaded"], report["skipped"])
    assert {"amount: not a number with a decimal point": 1} == report["reasons"]
    assert 1 == sum(map(len, loaded(bootstrap, application_id, "purchases")))


async def test_records_stand_where_java_would_put_them(bootstrap: str, application_id: str) -> None:
    """Keyed by the customer, murmur2, stamped with the time of sending."""
    settings = installation(bootstrap, application_id, partitions=PARTITIONS)
    await create_topics(settings)
    before = wall_ms()
    whole = population(seed=2, customers=60, days=60)
    topic = settings.topics.name(LOGINS)
    seen: list[int] = []
    assert len(whole.logins) == await load_events(settings, topic, whole.logins, seen.append)
    assert len(whole.logins) == sum(seen)
    partitions = await everything_in(bootstrap, topic, PARTITIONS)
    place = DefaultPartitioner()
    for number, records in enumerate(partitions):
        assert records
        for record in records:
            event = msgspec.json.decode(record.value, type=Login)
            assert (event.customer_id.encode(), number) == (record.key, place(record.key, [0, 1, 2], []))
            assert before <= record.timestamp <= wall_ms()


async def test_many_batches_keep_their_order(bootstrap: str, application_id: str) -> None:
    """Several megabytes in one partition arrive complete and in order."""
    settings = installation(bootstrap, application_id, partitions=1)
    await create_topics(settings)
    start = datetime(2024, 1, 1, tzinfo=UTC)
    events = (
        Login(id=f"{n}", customer_id="c" * 200, occurred_at=start + timedelta(seconds=n))
        for n in range(20_000)
    )
    topic = settings.topics.name(LOGINS)
    assert 20_000 == await load_events(settings, topic, events)
    (records,) = await everything_in(bootstrap, topic, 1)
    assert [str(n) for n in range(20_000)] == [msgspec.json.decode(record.value)["id"] for record in records]


async def test_a_missing_topic_is_named(bootstrap: str, application_id: str) -> None:
    """And not created by the asking."""
    with pytest.raises(TopicsError, match=r"^topic .*-nowhere is missing: run `winback topics create`$"):
        await load_events(installation(bootstrap, application_id), f"{application_id}-nowhere", ())


@pytest.mark.parametrize(
    ("client_id", "days_old", "refused"),
    [("winback-wall", 31, True), ("winback-wall", 29, False), ("winback-event", 31, False)],
)
async def test_old_history_is_kept_from_a_live_worker(
    bootstrap: str, application_id: str, client_id: str, days_old: int, refused: bool
) -> None:
    """Older than max_lateness while a wall-clock member is in the group: refused, and nothing sent."""
    settings = installation(bootstrap, application_id, partitions=PARTITIONS)
    await create_topics(settings)
    topic = settings.topics.name(PURCHASES)
    rows: Sequence[Row] = [(wall_ms() - days_old * DAY_MS, b"c1", b'{"x":1}', 0, 0)]
    member = AIOKafkaConsumer(
        topic, bootstrap_servers=bootstrap, group_id=application_id, client_id=f"{client_id}-1"
    )
    await member.start()
    try:
        if refused:
            with pytest.raises(ConfigurationError, match=r"the oldest row is 31 days old.*stop the worker"):
                await load_rows(settings, topic, rows, 30 * DAY_MS)
        else:
            assert 1 == await load_rows(settings, topic, rows, 30 * DAY_MS)
    finally:
        await member.stop()
    sent = await everything_in(bootstrap, topic, PARTITIONS)
    assert (0 if refused else 1) == sum(map(len, sent))


async def test_old_history_loads_while_nobody_runs(bootstrap: str, application_id: str) -> None:
    """An empty group is no obstacle."""
    settings = installation(bootstrap, application_id, partitions=PARTITIONS)
    await create_topics(settings)
    rows: Sequence[Row] = [(0, b"c1", b'{"x":1}', 0, 0)]
    assert 1 == await load_rows(settings, settings.topics.name(PURCHASES), rows, 30 * DAY_MS)


async def test_a_broker_that_goes_away_ends_the_load(application_id: str) -> None:
    """Not with a wait without end: how much had arrived is said, and that loading again does no harm."""
    if reason := ApacheKafka().obstacle():
        pytest.skip(reason)
    with ExitStack() as broker:
        settings = installation(broker.enter_context(ApacheKafka().running()), application_id)
        await create_topics(settings)
        arrived: list[int] = []

        def records() -> Iterator[tuple[bytes, bytes]]:
            while not arrived:
                yield b"c1", b"x" * 1000
            broker.close()
            for _ in range(100_000):
                yield b"c1", b"x" * 1000

        with pytest.raises(BrokerUnreachable, match=r"anything for 5 s; [1-9][\d,]* records had arrived"):
            await send_records(
                settings, settings.topics.name(LOGINS), records(), arrived.append, patience=5.0
            )
