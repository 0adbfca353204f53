"""`winback topics` on real Kafka."""

import pytest
from aiokafka.admin import NewPartitions, NewTopic

from agents.cli import main
from agents.topics import check_topics, create_topics
from schemas.errors import ConfigurationError
from schemas.topics import CHANGELOG, PURCHASES
from streams.connection import admin
from tests.kafka.commands import installation
from tests.kafka.scene import until


async def test_everything_is_created_once_and_then_found(bootstrap: str, application_id: str) -> None:
    """The first call creates all topics with equal partition counts, the second nothing."""
    settings = installation(bootstrap, application_id, partitions=3)
    first = await create_topics(settings)
    assert {(3, "created")} == {(finding.partitions, finding.verdict) for finding in first}
    assert [spec.name for spec in settings.topics.all()] == [finding.topic for finding in first]
    assert {"ok"} == {finding.verdict for finding in await create_topics(settings)}
    assert {"ok"} == {finding.verdict for finding in await check_topics(settings)}


async def test_new_topics_take_the_count_of_those_that_are_there(bootstrap: str, application_id: str) -> None:
    """Another application joins existing topics with a changelog that fits them."""
    await create_topics(installation(bootstrap, application_id, partitions=3))
    # The second application shares the prefix, and has been told another partition count.
    second = installation(bootstrap, application_id, partitions=5).model_copy(
        update={"application_id": f"{application_id}-2"}
    )
    created = [finding for finding in await create_topics(second) if finding.verdict == "created"]
    assert [(second.topics.name(CHANGELOG), 3)] == [(found.topic, found.partitions) for found in created]


async def test_an_unfit_topic_is_left_as_it_is_and_named(bootstrap: str, application_id: str) -> None:
    """A topic of the wrong cleanup policy and one with more partitions than the others."""
    settings = installation(bootstrap, application_id, partitions=2)
    purchases = settings.topics.name(PURCHASES)
    changelog = settings.topics.name(CHANGELOG)
    async with admin(settings) as client:
        await client.create_topics([NewTopic(purchases, 2, 1, topic_configs={"cleanup.policy": "compact"})])
    await create_topics(settings)
    async with admin(settings) as client:
        await client.create_partitions({changelog: NewPartitions(3)})

    async def are_named() -> bool:
        wrong = {
            finding.topic: finding.verdict for finding in await check_topics(settings) if not finding.good
        }
        return wrong == {purchases: "wrong cleanup policy", changelog: "wrong partition count"}

    await until(are_named)  # the broker shows a new partition some time after it has acknowledged it


def test_check_says_what_to_do(
    bootstrap: str, application_id: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1 and a line a topic before they are created, 0 after."""
    monkeypatch.setenv("WINBACK_TOPIC_PREFIX", f"{application_id}.")
    where = ["--bootstrap", bootstrap, "--application-id", application_id]
    assert 1 == main(["topics", "check", *where])
    assert (
        f"topic {application_id}.purchases: missing; run `winback topics create`" in capsys.readouterr().err
    )
    assert 0 == main(["topics", "create", *where])
    assert 0 == main(["topics", "check", *where])


async def test_what_the_broker_refuses_is_one_line(bootstrap: str, application_id: str) -> None:
    """More copies than there are brokers."""
    with pytest.raises(ConfigurationError, match=r"^topic .* cannot be created: .*[Rr]eplication"):
        await create_topics(installation(bootstrap, application_id, replication_factor=7))
