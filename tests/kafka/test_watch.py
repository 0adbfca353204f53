"""`winback watch` on real Kafka."""

import asyncio
import json
import signal
import subprocess
import sys
from contextlib import aclosing
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from agents.cli import main
from agents.topics import create_topics
from agents.watch import triggers
from schemas.codec import headers_and_body
from schemas.topics import CHURN_RISK, WIN_BACK
from streams.settings import Settings
from tests.agents.test_sentence import trigger
from tests.kafka.commands import everything_in, installation
from tests.kafka.scene import PATIENCE

ROOT = Path(__file__).parents[2]


async def announce(settings: Settings, *rules: str, commit: bool = True) -> None:
    """Triggers of these rules, in one transaction."""
    producer = AIOKafkaProducer(
        bootstrap_servers=settings.bootstrap, transactional_id=f"{settings.application_id}-{'-'.join(rules)}"
    )
    await producer.start()
    await producer.begin_transaction()
    for rule in rules:
        win_back = rule.startswith("winback")
        headers, body = headers_and_body(trigger("due" if win_back else "raised", rule))
        spec = WIN_BACK if win_back else CHURN_RISK
        await producer.send_and_wait(settings.topics.name(spec), body, b"c1", headers=headers)
    await (producer.commit_transaction() if commit else producer.abort_transaction())
    await producer.stop()


async def test_what_is_committed_is_shown_and_nothing_else(bootstrap: str, application_id: str) -> None:
    """Both topics from the beginning; an aborted trigger and a foreign record are passed over.

    From the end on there is nothing more, and whoever waits no longer than that is done.
    """
    settings = installation(bootstrap, application_id)
    await create_topics(settings)
    await announce(settings, "risk_medium", "winback_1")
    await announce(settings, "risk_high", commit=False)
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as foreigner:
        await foreigner.send_and_wait(settings.topics.name(CHURN_RISK), b"noise", b"c1")
    await announce(settings, "silent_for")
    seen = [trigger.rule async for trigger, _ in triggers(settings, from_beginning=True, count=3)]
    assert ["risk_medium", "winback_1", "silent_for"] == seen
    assert [] == [trigger.rule async for trigger, _ in triggers(settings, until_idle=0.1)]


async def test_from_the_end_only_what_is_new_is_shown(bootstrap: str, application_id: str) -> None:
    """What stood there before the watcher came is not repeated."""
    settings = installation(bootstrap, application_id)
    await create_topics(settings)
    await announce(settings, "risk_medium")
    await everything_in(bootstrap, settings.topics.name(CHURN_RISK), settings.partitions)  # committed
    async with aclosing(triggers(settings, count=1)) as watching:
        first = asyncio.ensure_future(anext(watching))
        # The watcher says when it stands at the end, but not to us: so new ones come until it sees one.
        number = 0
        while not first.done():
            number += 1
            await announce(settings, "risk_high" if number == 1 else f"winback_{number}")
            await asyncio.wait([first], timeout=0.2)
        assert (await first)[0].rule != "risk_medium"


def test_json_lines_are_the_records_themselves(
    bootstrap: str, application_id: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """For programs: the bytes of the topic, one line each; --count ends it."""
    monkeypatch.setenv("WINBACK_TOPIC_PREFIX", f"{application_id}.")
    settings = installation(bootstrap, application_id)
    asyncio.run(create_topics(settings))
    asyncio.run(announce(settings, "risk_high", "silent_for"))
    assert 0 == main(["watch", "--from-beginning", "--count", "1", "--json", "--bootstrap", bootstrap])
    (line,) = capsys.readouterr().out.splitlines()
    assert headers_and_body(trigger())[1].decode() == line
    assert "risk_high" == json.loads(line)["rule"]


def test_ctrl_c_ends_it_quietly(bootstrap: str, application_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 130, and no stack trace."""
    monkeypatch.setenv("WINBACK_TOPIC_PREFIX", f"{application_id}.")
    asyncio.run(create_topics(installation(bootstrap, application_id)))
    command = [sys.executable, "-m", "agents", "watch", "--bootstrap", bootstrap]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        greeting = process.stderr.readline()
        assert "watching" in greeting
        process.send_signal(signal.SIGINT)
        assert "" == process.stderr.read()
        assert 130 == process.wait(PATIENCE)
