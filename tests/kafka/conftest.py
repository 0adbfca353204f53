"""Tests on real Apache Kafka, started once a run: Maven and Java, else Docker, else WINBACK_TEST_BOOTSTRAP.

Where none of them is to be had the tests are skipped, and the end of the run says so loudly; with
WINBACK_REQUIRE_KAFKA=1, as in CI, the run stops instead.
"""

import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from agents.brokers import first_of, for_tests
from schemas.errors import BrokerUnreachable
from tests.kafka.scene import until_shown

REQUIRED: Final = "WINBACK_REQUIRE_KAFKA"
_HERE: Final = Path(__file__).parent
_NOTES: Final = pytest.StashKey[list[str]]()
_MISSING: Final = pytest.StashKey[str]()

CreateTopics = Callable[..., Awaitable[None]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder needs Kafka."""
    for item in items:
        if item.path.is_relative_to(_HERE):
            item.add_marker(pytest.mark.kafka)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Which broker it was; or, loudly, that there was none."""
    for note in config.stash.get(_NOTES, []):
        terminalreporter.write_line(note)
    if missing := config.stash.get(_MISSING, ""):
        terminalreporter.write_sep("!", "THE TESTS ON REAL KAFKA DID NOT RUN", red=True, bold=True)
        terminalreporter.write_line(missing)


@pytest.fixture(scope="session")
def bootstrap(pytestconfig: pytest.Config) -> Iterator[str]:
    """The address of a real Kafka that the whole run shares; it creates no topic by itself."""
    notes = pytestconfig.stash.setdefault(_NOTES, [])
    with ExitStack() as stack:
        try:
            address = stack.enter_context(first_of(for_tests(), notes.append))
        except BrokerUnreachable as error:
            if os.environ.get(REQUIRED) == "1":
                pytest.exit(f"{REQUIRED}=1, and {error}", returncode=1)
            pytestconfig.stash[_MISSING] = str(error)
            pytest.skip(str(error))
        yield address


@pytest.fixture
def application_id() -> str:
    """A name that no other test has: for the application, its group, its topics' prefix."""
    return f"test-{secrets.token_hex(6)}"


@pytest.fixture
async def create_topics(bootstrap: str) -> AsyncIterator[CreateTopics]:
    """await create_topics("a", "b", partitions=4, compacted=False): they are there when it returns."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()

    async def create(*names: str, partitions: int = 4, compacted: bool = False) -> None:
        configuration = {"cleanup.policy": "compact" if compacted else "delete"}
        topics = [NewTopic(name, partitions, 1, topic_configs=configuration) for name in names]
        response = await admin.create_topics(topics, timeout_ms=10_000)
        failed = [f"{name}: {message}" for name, code, message in response.topic_errors if code]
        assert not failed, failed
        await until_shown(admin, dict.fromkeys(names, partitions))

    try:
        yield create
    finally:
        await admin.close()
