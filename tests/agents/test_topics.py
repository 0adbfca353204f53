"""What makes a topic fit for a worker, and how missing ones are set up."""

import pytest

from agents.topics import judge, topic_configuration
from schemas.instants import DAY_MS
from schemas.topics import CHANGELOG, CUSTOMER_HEALTH, DEAD_LETTERS, PURCHASES, TopicSpec

KEPT = {"cleanup.policy": "delete", "retention.ms": "-1"}
COMPACTED = {"cleanup.policy": "compact", "retention.ms": "604800000"}


@pytest.mark.parametrize(
    ("spec", "partitions", "configuration", "verdict", "remedy"),
    [
        (PURCHASES, 4, KEPT, "ok", ""),
        (PURCHASES, 0, {}, "missing", "run `winback topics create`"),
        (
            PURCHASES,
            3,
            KEPT,
            "wrong partition count",
            "one customer must stand on one partition number in every topic: give it 4 partitions",
        ),
        (
            PURCHASES,
            8,
            KEPT,
            "wrong partition count",
            "delete it, or create the other topics anew with 8 partitions",
        ),
        (PURCHASES, 4, COMPACTED, "wrong cleanup policy", "set cleanup.policy=delete"),
        (
            PURCHASES,
            4,
            {"cleanup.policy": "compact,delete", "retention.ms": "-1"},
            "wrong cleanup policy",
            "set cleanup.policy=delete",
        ),
        (PURCHASES, 4, {**KEPT, "retention.ms": "604800000"}, "short retention", "set retention.ms=-1"),
        (CUSTOMER_HEALTH, 4, COMPACTED, "ok", ""),
        (CUSTOMER_HEALTH, 4, KEPT, "wrong cleanup policy", "set cleanup.policy=compact"),
        (DEAD_LETTERS[0], 4, {**KEPT, "retention.ms": str(30 * DAY_MS)}, "ok", ""),
        (DEAD_LETTERS[0], 4, KEPT, "ok", ""),
        (
            DEAD_LETTERS[0],
            4,
            {**KEPT, "retention.ms": str(7 * DAY_MS)},
            "short retention",
            f"set retention.ms={30 * DAY_MS}",
        ),
    ],
)
def test_a_topic_is_judged(
    spec: TopicSpec, partitions: int, configuration: dict[str, str], verdict: str, remedy: str
) -> None:
    """Existence, partition count, cleanup policy and retention, each with what to do about it."""
    finding = judge(spec, partitions, configuration, 4)
    assert (verdict, remedy) == (finding.verdict, finding.remedy)
    assert finding.good == (verdict == "ok")


@pytest.mark.parametrize("spec", [PURCHASES, CUSTOMER_HEALTH, *DEAD_LETTERS, CHANGELOG])
def test_what_is_created_passes_the_check(spec: TopicSpec) -> None:
    """The configuration asked for is the one that is judged good."""
    assert judge(spec, 4, topic_configuration(spec), 4).good


def test_the_changelog_is_compacted_early() -> None:
    """Recovery reads all of it, so it is not left to the broker's defaults of a gigabyte and a week."""
    configuration = topic_configuration(CHANGELOG)
    assert ("compact", "67108864", "86400000", "0.3") == (
        configuration["cleanup.policy"],
        configuration["segment.bytes"],
        configuration["segment.ms"],
        configuration["min.cleanable.dirty.ratio"],
    )
    assert {"cleanup.policy": "compact"} == topic_configuration(CUSTOMER_HEALTH)
