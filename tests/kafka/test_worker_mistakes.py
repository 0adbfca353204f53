"""What a user gets wrong is one line that says what to do, an exit code, and no stack trace."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agents.brokers.broker import LOOPBACK, free_ports
from agents.worker import work
from schemas.errors import ConfigurationError, ModelError
from schemas.topics import CHANGELOG
from streams.settings import Settings
from tests.kafka.commands import installation
from tests.kafka.conftest import CreateTopics
from tests.kafka.scene import Scene, process, replay, scene_of, worker

MISTAKE, UNREACHABLE = 2, 3


@pytest.fixture
async def scene(bootstrap: str, application_id: str) -> AsyncIterator[Scene]:
    """An installation in which everything is right."""
    async with scene_of(bootstrap, application_id, partitions=1) as scene:
        yield scene


async def said(settings: Settings, *arguments: str) -> tuple[int, str]:
    """The exit code of a worker, and the one line that it printed; events of the log are left out."""
    async with process(settings, *arguments) as running:
        code, errors = await running.end()
    assert "raceback" not in errors, errors
    (line,) = [line for line in errors.splitlines() if line.startswith("error: ")]
    return code, line


async def test_no_broker_answers(bootstrap: str, application_id: str) -> None:
    """The address that was tried, and what to check."""
    (port,) = free_ports(1)
    code, line = await said(installation(f"{LOOPBACK}:{port}", application_id))
    assert UNREACHABLE == code
    assert f"no Kafka broker answers at {LOOPBACK}:{port}" in line
    assert "WINBACK_BOOTSTRAP" in line


async def test_topics_are_missing(bootstrap: str, application_id: str) -> None:
    """Which ones, and the command that makes them."""
    settings = installation(bootstrap, application_id)
    code, line = await said(settings)
    assert MISTAKE == code
    assert "missing topics: " in line
    assert all(spec.name in line for spec in settings.topics.all())
    assert "winback topics create" in line


async def test_partition_counts_differ(
    bootstrap: str, application_id: str, create_topics: CreateTopics
) -> None:
    """One topic with another count would tear customers apart: all counts are shown."""
    settings = installation(bootstrap, application_id)
    changelog = settings.topics.name(CHANGELOG)
    names = [spec.name for spec in settings.topics.all() if spec.name != changelog]
    await create_topics(*names, partitions=2)
    await create_topics(changelog, partitions=3, compacted=True)
    code, line = await said(settings)
    assert MISTAKE == code
    assert "all topics need the same number of partitions" in line
    assert f"{changelog} 3" in line


async def test_the_playbook_is_wrong(scene: Scene, tmp_path: Path) -> None:
    """Its line and key, and what is allowed."""
    playbook = tmp_path / "playbook.toml"
    playbook.write_text('currency = "USD"\n[rules.risk_high]\nprobability = 1.5\n')
    code, line = await said(scene.with_(playbook=playbook))
    assert MISTAKE == code
    assert "playbook.toml:3: rules.risk_high.probability must be a number above 0 and below 1" in line


# A process takes seconds to start: that the others end as well, with the code of their class, the
# first ones show.


async def test_the_model_is_wrong(scene: Scene, tmp_path: Path) -> None:
    """Which file, and that it is no model."""
    model = tmp_path / "model.json"
    model.write_text("{")
    with pytest.raises(ModelError, match=r"model\.json"):
        await work(scene.with_(model=model))


@pytest.mark.parametrize("missing", ["playbook", "model"])
async def test_a_file_is_not_there(scene: Scene, tmp_path: Path, missing: str) -> None:
    """The file's name."""
    with pytest.raises(ConfigurationError, match="nowhere"):
        await work(scene.with_(**{missing: tmp_path / "nowhere"}))


async def test_the_event_clock_has_no_end(scene: Scene) -> None:
    """How to give it one."""
    with pytest.raises(ConfigurationError, match="--end-instant"):
        await work(scene.with_(clock="event"))


async def test_the_state_is_beyond_the_end(scene: Scene) -> None:
    """A replay cannot end before the instant that its state has reached."""
    end = datetime(2026, 1, 2, tzinfo=UTC)
    await replay(scene.with_(clock="event", end_instant=end))
    with pytest.raises(ConfigurationError, match="beyond the end instant"):
        await replay(scene.with_(clock="event", end_instant=end - timedelta(days=1)))
    await replay(scene.with_(clock="event", end_instant=end + timedelta(days=1)))


async def test_the_port_is_taken(scene: Scene) -> None:
    """Which port, and how to take another."""
    async with worker(scene.settings) as running:
        await running.ready()
        port = int(running.views.rpartition(":")[2])
        with pytest.raises(ConfigurationError, match=f"port {port} of {LOOPBACK} is taken"):
            await work(scene.with_(http_port=port))
