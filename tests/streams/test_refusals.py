"""A burst of dead letters is told from the few that always come."""

import pytest

from streams.refusals import Burst, Refusals


def test_the_first_records_are_not_judged() -> None:
    """A few bad records after a quiet night say nothing yet; a window full of them does."""
    refusals = Refusals(share=0.5, window=100)
    assert [None] * 99 == [refusals.add("logins", accepted=0, refused=1) for _ in range(99)]
    assert Burst("logins", refused=100, records=100) == refusals.add("logins", accepted=0, refused=1)


@pytest.mark.parametrize(("refused", "burst"), [(50, None), (51, Burst("logins", 51, 100))])
def test_the_share_itself_is_still_allowed(refused: int, burst: Burst | None) -> None:
    """Only what is above it is too much."""
    assert burst == Refusals(share=0.5, window=100).add("logins", accepted=100 - refused, refused=refused)


def test_what_is_long_past_counts_no_more() -> None:
    """A long good run does not hide a bad deploy, and a mended one is forgiven."""
    refusals = Refusals(share=0.5, window=100)
    assert refusals.add("logins", accepted=1_000_000, refused=0) is None
    assert [None, None] == [refusals.add("logins", accepted=0, refused=40) for _ in range(2)]
    assert Burst("logins", refused=120, records=120) == refusals.add("logins", accepted=0, refused=40)
    assert Burst("logins", refused=80, records=110) == refusals.add("logins", accepted=30, refused=0)
    assert refusals.add("logins", accepted=60, refused=0) is None


def test_topics_are_judged_apart() -> None:
    """One producer's deploy does not hide among the others' records."""
    refusals = Refusals(share=0.5, window=10)
    assert refusals.add("purchases", accepted=1000, refused=0) is None
    assert Burst("logins", refused=10, records=10) == refusals.add("logins", accepted=0, refused=10)
    assert refusals.add("purchases", accepted=1, refused=0) is None


def test_a_share_of_one_never_stops_anything() -> None:
    """Who wants every record as a dead letter can have it."""
    assert Refusals(share=1.0, window=10).add("logins", accepted=0, refused=1000) is None
