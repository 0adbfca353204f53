"""The fold that the peers are timed at."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.peers.jobs import DAY_MS, Alert, Summary, advance, pack, unpack


def _fold(*purchases: tuple[int, int]) -> tuple[Summary, list[Alert]]:
    summary: Summary | None = None
    alerts = []
    for at, amount in purchases:
        summary, alert = advance(summary, at, amount)
        if alert is not None:
            alerts.append(alert)
    assert summary is not None
    return summary, alerts


def test_a_customer_is_what_their_purchases_were() -> None:
    """First, last, count, sum and the purchases of the last 90 days."""
    summary, alerts = _fold((1, 100), (5, 20), (8, 3))
    assert Summary(1, 8, 3, 123, [(1, 100), (5, 20), (8, 3)]) == summary
    assert [] == alerts


def test_whoever_comes_back_after_three_usual_silences_is_reported() -> None:
    """The score is the silence over the mean one before it; windows end with the purchase."""
    summary, [alert] = _fold((0, 100), (10 * DAY_MS, 20), (40 * DAY_MS, 3))
    assert Alert(40 * DAY_MS, 3.0, (1, 1, 3), (3, 3, 123)) == alert
    assert 3 == summary.orders


def test_two_purchases_make_no_habit() -> None:
    """With one silence alone there is nothing to compare it with."""
    assert [] == _fold((0, 1), (1000 * DAY_MS, 1))[1]


@pytest.mark.parametrize(("age", "kept"), [(90 * DAY_MS, 1), (90 * DAY_MS - 1, 2)])
def test_a_window_is_open_at_its_beginning(age: int, kept: int) -> None:
    """What is exactly 90 days old has left."""
    assert kept == len(_fold((0, 1), (age, 1))[0].recent)


@given(
    st.lists(st.tuples(st.integers(0, 2**40), st.integers(0, 2**31 - 1)), min_size=1, max_size=20).map(sorted)
)
def test_a_summary_survives_packing(purchases: list[tuple[int, int]]) -> None:
    """Unpacked it is as it was."""
    summary, _ = _fold(*purchases)
    assert summary == unpack(pack(summary))
