"""`winback simulate --live` on real Kafka."""

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agents.cli import main
from agents.topics import create_topics
from schemas.events import Login, Purchase, SupportTicket
from schemas.topics import SOURCES
from streams.clock import wall_ms
from tests.kafka.commands import everything_in, installation

ARGUMENTS = ["simulate", "--live", "--customers", "50", "--days", "200", "--rate", "2000"]


@pytest.fixture
def where(bootstrap: str, application_id: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Options for an installation of one's own, its topics created."""
    monkeypatch.setenv("WINBACK_TOPIC_PREFIX", f"{application_id}.")
    asyncio.run(create_topics(installation(bootstrap, application_id, partitions=2)))
    return ["--bootstrap", bootstrap]


def sent(bootstrap: str, application_id: str) -> list[Purchase | Login | SupportTicket]:
    """Every event in the three topics."""
    events: list[Purchase | Login | SupportTicket] = []
    for spec in SOURCES:
        read = asyncio.run(everything_in(bootstrap, f"{application_id}.{spec.name}", 2))
        decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(spec.body)
        events.extend(decoder.decode(record.value) for records in read for record in records)
    return events


def test_live_events_happen_now_and_the_truth_is_told(
    where: list[str], bootstrap: str, application_id: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """So many events as asked for, dated as they are sent, and who dropped out when."""
    before = wall_ms()
    assert 0 == main([*ARGUMENTS, "--count", "600", "--json", "--out", str(tmp_path), *where])
    events = sent(bootstrap, application_id)
    assert 600 == len(events)
    instants = [event.occurred_at.timestamp() * 1000 for event in events]
    assert before <= min(instants) <= max(instants) <= wall_ms()
    shown = capsys.readouterr().out.splitlines()
    assert shown == (tmp_path / "truth.jsonl").read_text().splitlines()
    truth = [msgspec.json.decode(line) for line in shown]
    assert {event.customer_id for event in events} == {line["customer_id"] for line in truth}
    assert any(line["dropped_at"] for line in truth)
    dropped = {line["customer_id"]: line["dropped_at"] for line in truth if line["dropped_at"]}
    for event in events:
        if isinstance(event, Purchase) and event.kind == "purchase" and event.customer_id in dropped:
            assert event.occurred_at <= datetime.fromisoformat(dropped[event.customer_id])


def test_two_runs_share_nobody(
    where: list[str], bootstrap: str, application_id: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Customers and ids are new each time, so that one run's truth is not another's."""
    runs = []
    for _ in range(2):
        assert 0 == main([*ARGUMENTS, "--count", "100", "--json", *where])
        runs.append(
            {msgspec.json.decode(line)["customer_id"] for line in capsys.readouterr().out.splitlines()}
        )
    assert not runs[0] & runs[1]
    events = sent(bootstrap, application_id)
    assert 200 == len(events) == len({(type(event), event.id) for event in events})


def test_a_run_ends_after_its_seconds(where: list[str], bootstrap: str, application_id: str) -> None:
    """A tenth of a second at 2,000 a second is at most 200 events; making the customers takes longer."""
    assert 0 == main([*ARGUMENTS, "--customers", "1500", "--seconds", "0.1", "--json", *where])
    assert 0 < len(sent(bootstrap, application_id)) <= 200
