"""`winback dlt` on real Kafka: what is counted and shown, and that what is sent back counts once."""

import asyncio
import json
import os
import pty
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from agents.cli import main
from agents.clients import reader
from agents.configuration import environment_of
from agents.dead_letter_replay import planned, send
from agents.dead_letter_report import counted
from agents.dead_letters import Selection, letters, read_selection, stretches
from schemas.codec import encode_event
from schemas.errors import Rejected
from schemas.instants import instant
from schemas.topics import DEAD_LETTERS, LOGINS, PURCHASES
from streams.checked import SourceRecord
from streams.clock import wall_ms
from streams.core.playbook import DAY, HOUR
from streams.intake import ACCEPT_LATE, dead_letter
from streams.playbook_file import load_playbook
from streams.settings import Settings
from tests.flows.events import login, purchase
from tests.kafka.scene import Scene, Worker, scene_of, until, worker

ROOT = Path(__file__).parents[2]
PLAYBOOK = load_playbook(None, None)


@pytest.fixture
async def scene(bootstrap: str, application_id: str) -> AsyncIterator[Scene]:
    """An installation on the wall clock, all of it on one partition."""
    async with scene_of(bootstrap, application_id, partitions=1) as scene:
        yield scene


@pytest.fixture
async def producer(bootstrap: str) -> AsyncIterator[AIOKafkaProducer]:
    """A producer that sends what it is given."""
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, max_request_size=2_000_000) as client:
        yield client


@pytest.fixture
def with_rate(tmp_path: Path) -> Path:
    """A playbook in which a euro is worth two dollars."""
    file = tmp_path / "with-rate.toml"
    file.write_text('[rates]\nEUR = "2"\n')
    return file


async def dlt(scene: Scene, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """The exit code of a `winback dlt` command on this installation."""
    for name, value in environment_of(scene.settings).items():
        monkeypatch.setenv(name, value)
    return await asyncio.to_thread(main, ["dlt", *arguments])


async def settled(worker: Worker, count: int, **labels: str) -> None:
    """Until so many records have been settled."""

    async def enough() -> bool:
        return await worker.metric("winback_records_total", **labels) >= count

    await until(enough)


async def refuse(
    producer: AIOKafkaProducer, settings: Settings, reason: str, *, key: bytes = b"c", value: bytes = b"{"
) -> None:
    """A dead letter of a purchase, as a worker writes it."""
    record = SourceRecord(settings.topics.name(PURCHASES), 0, 0, wall_ms(), key, value)
    written_key, written_value, headers = dead_letter(record, Rejected(reason, "in a test"))
    name = settings.topics.name(DEAD_LETTERS[0])
    await producer.send_and_wait(name, written_value, written_key, 0, headers=headers)


async def spend(scene: Scene, customer: bytes) -> tuple[int, int]:
    """A customer's orders by distinct days, and their spend in minor units."""
    purchases = (await scene.customers())[customer].purchases
    assert purchases is not None
    return purchases.days, purchases.spend


async def test_a_currency_s_orders_come_back_when_it_has_got_a_rate(
    scene: Scene, with_rate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused, kept back as long as nothing is mended, then folded once, however often they are sent."""
    now = wall_ms()
    orders = [purchase("c", now - day * DAY, amount=100, currency="EUR") for day in (2, 1)]
    await scene.load([purchase("c", now - 3 * DAY, amount=100), *orders])
    async with worker(scene.settings) as running:
        await settled(running, 3)
    assert (1, 100) == await spend(scene, b"c")
    assert 1 == await dlt(scene, monkeypatch, "replay", "--yes")
    assert 3 == len((await scene.records(PURCHASES))[0])
    replay = ("replay", "--yes", "--playbook", str(with_rate))
    async with worker(scene.with_(playbook=with_rate)) as running:
        assert 0 == await dlt(scene, monkeypatch, *replay)
        await settled(running, 2, outcome="folded")
        assert (3, 100 + 2 * 200) == await spend(scene, b"c")
        customers, triggers = await scene.customers(), await scene.triggers()
        assert 0 == await dlt(scene, monkeypatch, *replay)
        await settled(running, 2, outcome="duplicate")
    assert customers == await scene.customers()
    assert triggers == await scene.triggers()
    assert 2 == len((await scene.records(DEAD_LETTERS[0]))[0])


async def test_what_was_too_late_is_folded_when_it_is_accepted(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Kept back without --accept-late; with it folded once, however often it is sent."""
    now = wall_ms()
    async with worker(scene.settings) as running:
        await scene.load([purchase("c", now)])
        await settled(running, 1)
        await scene.load([purchase("c", now - 31 * DAY), login("c", now - 31 * DAY)])
        await settled(running, 3)
        assert 1 == await dlt(scene, monkeypatch, "replay", "--yes")
        assert "--accept-late has it folded" in " ".join(capfd.readouterr().out.split())
        # The login is kept back in any case; so the order's topic alone.
        late = ("replay", "--yes", "--accept-late", "--topic", "purchases")
        assert 0 == await dlt(scene, monkeypatch, *late)
        await settled(running, 2, outcome="folded")
        assert (2, 2000) == await spend(scene, b"c")
        customers, triggers = await scene.customers(), await scene.triggers()
        assert 0 == await dlt(scene, monkeypatch, *late)
        await settled(running, 1, outcome="duplicate")
    assert customers == await scene.customers()
    assert triggers == await scene.triggers()


async def test_a_record_returns_as_it_came(scene: Scene, producer: AIOKafkaProducer, with_rate: Path) -> None:
    """Key, value, headers and timestamp are the original's; the mark is the only thing added."""
    topic = scene.settings.topics.name(PURCHASES)
    written = wall_ms() - 2 * DAY
    headers = [("traceparent", b"00-ab"), ("empty", None), ("traceparent", b"00-cd")]
    value = encode_event(purchase("c", written - HOUR, currency="EUR"))
    await producer.send_and_wait(topic, value, b"c", 0, timestamp_ms=written, headers=headers)
    async with worker(scene.settings) as running:
        await settled(running, 1)
    await scene.stable()
    for accept_late in (False, True):
        playbook = load_playbook(with_rate, None)
        plan = await planned(scene.settings, Selection(), playbook, accept_late=accept_late)
        assert 1 == await send(plan, Selection())
    original, again, marked = (await scene.records(PURCHASES))[0]
    for record in (again, marked):
        assert (original.key, original.value, original.timestamp) == (
            record.key,
            record.value,
            record.timestamp,
        )
    assert tuple(headers) == tuple(original.headers) == tuple(again.headers)
    assert (*headers, ACCEPT_LATE) == tuple(marked.headers)


async def test_what_had_to_be_cut_is_kept_back(
    scene: Scene,
    producer: AIOKafkaProducer,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Its value is not whole: exit code 1 and the reason why; what is fit is sent all the same."""
    good = encode_event(purchase("c", wall_ms() - HOUR))
    await refuse(producer, scene.settings, "too_large", value=b"n" * 1_040_000)
    await refuse(producer, scene.settings, "unknown_currency", value=good)
    assert 1 == await dlt(scene, monkeypatch, "replay", "--yes")
    out, err = capfd.readouterr()
    assert "its value had to be cut, so only its producer can send it again" in " ".join(out.split())
    assert "1 dead letter sent back" in out
    assert "error: 1 dead letter kept back" in err
    assert [good] == [record.value for record in (await scene.records(PURCHASES))[0]]


async def test_dead_letters_are_counted_by_topic_and_reason(
    scene: Scene,
    producer: AIOKafkaProducer,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The most frequent first; filters leave out what does not fit."""
    for reason in ("not_json", "too_late", "too_late"):
        await refuse(producer, scene.settings, reason)
    await refuse(producer, scene.settings, "future", key=b"d")
    await producer.send_and_wait(scene.settings.topics.name(DEAD_LETTERS[1]), b"stray", b"c", 0)

    async def listed(*options: str) -> list[tuple[str, str | None, int]]:
        assert 0 == await dlt(scene, monkeypatch, "list", "--json", *options)
        rows: list[dict[str, Any]] = json.loads(capfd.readouterr().out)
        return [(row["topic"], row["reason"], row["count"]) for row in rows]

    late, early = ("purchases", "too_late", 2), ("purchases", "future", 1)
    broken, stray = ("purchases", "not_json", 1), ("logins", None, 1)
    assert [late, early, broken, stray] == await listed()
    assert [stray] == await listed("--topic", "logins")
    assert [late, broken] == await listed("--reason", "too_late", "--reason", "not_json")
    assert [early] == await listed("--customer", "d")
    assert [] == await listed("--since", instant(wall_ms() + HOUR).isoformat())
    assert [] == await listed("--until", instant(wall_ms() - HOUR).isoformat())
    assert 0 == await dlt(scene, monkeypatch, "list")
    shown = [line.split()[:3] for line in capfd.readouterr().out.splitlines()[1:]]
    expected = [late, early, broken, ("logins", "(none)", 1)]
    assert [[topic, reason, str(count)] for topic, reason, count in expected] == shown


async def test_times_are_those_of_the_refusal(scene: Scene, producer: AIOKafkaProducer) -> None:
    """From the first that is as new as --since on, also where an older one comes after it."""
    start = wall_ms() - DAY
    name = scene.settings.topics.name(DEAD_LETTERS[0])
    for hours in (0, 2, 1, 3):
        headers = [("winback-reason", b"not_json")]
        await producer.send_and_wait(name, b"{", b"c", 0, timestamp_ms=start + hours * HOUR, headers=headers)
    since, until_then = instant(start + 2 * HOUR), instant(start + 3 * HOUR)
    (count,) = await counted(scene.settings, read_selection(None, None, since.isoformat(), None, None))
    assert (2, since, until_then) == (count.count, count.first, count.last)
    selection = read_selection(None, None, since.isoformat(), until_then.isoformat(), None)
    (count,) = await counted(scene.settings, selection)
    assert (1, since, since) == (count.count, count.first, count.last)


async def test_the_newest_are_shown_the_oldest_of_them_first(
    scene: Scene,
    producer: AIOKafkaProducer,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """--count cuts what is older, and a note says that there is more; values only on demand."""
    for number in range(4):
        await refuse(producer, scene.settings, "not_json", value=b"secret %d" % number)
    assert 0 == await dlt(scene, monkeypatch, "show", "--count", "2", "--json")
    out, err = capfd.readouterr()
    assert [2, 3] == [json.loads(line)["offset"] for line in out.splitlines()]
    assert "secret" not in out
    assert "the newest 2 of 4; --count shows more" in err
    assert 0 == await dlt(scene, monkeypatch, "show", "--count", "9", "--value")
    out, err = capfd.readouterr()
    assert [f"secret {number}" for number in range(4)] == [
        line.removeprefix("  value   ") for line in out.splitlines() if "secret" in line
    ]
    assert not err


async def test_a_run_sees_what_was_committed_when_it_began(bootstrap: str, scene: Scene) -> None:
    """Neither aborted letters nor those that come while it reads; and it ends though offsets are missing."""
    name = scene.settings.topics.name(DEAD_LETTERS[0])
    async with AIOKafkaProducer(
        bootstrap_servers=bootstrap, transactional_id=scene.settings.application_id
    ) as writer:
        for commit in (True, False):
            await writer.begin_transaction()
            await writer.send_and_wait(name, b"kept" if commit else b"aborted", b"c", 0)
            await (writer.commit_transaction() if commit else writer.abort_transaction())
        await scene.stable()
        async with reader(scene.settings) as consumer:
            among = await stretches(consumer, scene.settings, Selection())
            await writer.begin_transaction()
            await writer.send_and_wait(name, b"later", b"c", 0)
            await writer.commit_transaction()
            await scene.stable()
            passed: list[int] = []
            read = [each.value async for each in letters(consumer, among, Selection(), passed.append)]
    assert [b"kept"] == read
    assert 4 == sum(passed)  # two records, and the markers of two transactions


async def test_a_dry_run_sends_nothing(
    scene: Scene,
    producer: AIOKafkaProducer,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """It says what would be sent, for people and for programs."""
    good = encode_event(purchase("c", wall_ms() - HOUR))
    await refuse(producer, scene.settings, "unknown_currency", value=good)
    assert 0 == await dlt(scene, monkeypatch, "replay", "--dry-run")
    assert "dry run: 1 dead letter would be sent back, nothing was" in capfd.readouterr().out
    assert 0 == await dlt(scene, monkeypatch, "replay", "--dry-run", "--json")
    row = {"topic": "purchases", "reason": "unknown_currency", "kept_back": None, "count": 1}
    assert {
        "dry_run": True,
        "sent": 0,
        "kept_back": 0,
        "seconds": 0.0,
        "letters": [row],
    } == json.loads(capfd.readouterr().out)
    assert [[]] == await scene.records(PURCHASES)
    assert [[]] == await scene.records(LOGINS)


@pytest.mark.parametrize(("answer", "sent"), [(b"y\n", 1), (b"\n", 0), (b"n\n", 0), (b"\x04", 0)])
async def test_at_a_terminal_it_asks_first(
    scene: Scene, producer: AIOKafkaProducer, answer: bytes, sent: int
) -> None:
    """Yes sends; no, nothing, and the end of the input do not."""
    good = encode_event(purchase("c", wall_ms() - HOUR))
    await refuse(producer, scene.settings, "unknown_currency", value=good)
    ours, theirs = pty.openpty()
    os.write(ours, answer)

    def ask() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "agents", "dlt", "replay"],
            cwd=ROOT,
            env={**os.environ, **environment_of(scene.settings)},
            stdin=theirs,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    done = await asyncio.to_thread(ask)
    os.close(ours)
    os.close(theirs)
    assert 0 == done.returncode, done.stderr
    assert "Send 1 dead letter back? [y/N]" in done.stdout + done.stderr
    assert sent == len((await scene.records(PURCHASES))[0])


async def test_many_go_back_in_order(scene: Scene, producer: AIOKafkaProducer) -> None:
    """More than are on their way at once; the partition has them in the order of the dead letters."""
    now = wall_ms()
    values = [encode_event(login("c", now - HOUR + number)) for number in range(5000)]
    record = SourceRecord(scene.settings.topics.name(LOGINS), 0, 0, now, b"c", None)
    _, _, headers = dead_letter(record, Rejected("unknown_version", "in a test"))
    name = scene.settings.topics.name(DEAD_LETTERS[1])
    for sending in [await producer.send(name, value, b"c", 0, headers=headers) for value in values]:
        await sending
    plan = await planned(scene.settings, Selection(), PLAYBOOK, accept_late=False)
    progress: list[int] = []
    assert len(values) == await send(plan, Selection(), progress.append) == sum(progress)
    assert values == [each.value for each in (await scene.records(LOGINS))[0]]
