"""The comparison itself: what it calls lost, doubled, strange and altered."""

import pytest

from tests.kafka.faults.verdict import Verdict, judge_triggers
from tests.streams.memory import Written


def said(name: str, body: bytes = b"body") -> Written:
    """A trigger of this id."""
    return (b"customer", body, (("ce_id", name.encode()),))


@pytest.mark.parametrize(
    ("found", "lost", "doubled", "strange", "altered"),
    [
        ([said("a"), said("b")], 0, 0, 0, 0),
        ([said("a")], 1, 0, 0, 0),
        ([said("a"), said("b"), said("b"), said("b")], 0, 2, 0, 0),
        ([said("a"), said("b"), said("c")], 0, 0, 1, 0),
        ([said("a"), said("b", b"another")], 0, 0, 0, 1),
        ([said("b"), said("a")], 0, 0, 0, 2),
    ],
)
def test_each_difference_has_its_name(
    found: list[Written], lost: int, doubled: int, strange: int, altered: int
) -> None:
    """One id too few, too many, unknown, and the same ids with other bytes or in another order."""
    verdict = Verdict()
    judge_triggers(verdict, "churn-risk", [[said("a"), said("b")]], [found])
    assert (lost, doubled, strange, altered) == (
        verdict.lost,
        verdict.doubled,
        verdict.strange,
        verdict.altered,
    )
    assert verdict.good is (found == [said("a"), said("b")])


def test_a_trigger_on_another_partition_is_altered() -> None:
    """The same ids, but not where they belong."""
    verdict = Verdict()
    judge_triggers(verdict, "win-back", [[said("a")], [said("b")]], [[said("a"), said("b")], []])
    assert not verdict.good
