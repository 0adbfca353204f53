"""The rolling windows of 7, 30 and 90 whole UTC days."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.customer import Purchases
from schemas.triggers import Window
from streams.core.facets.purchases import fold
from streams.core.playbook import DAY
from streams.core.windows import EMPTY, windows_at
from tests.streams.core.world import START, order, refund


def ring(*days: int) -> Purchases:
    """The facet after an order of 10 each at noon of these days after START."""
    facet = None
    for day in days:
        after = fold(facet, order(day * DAY + DAY // 2, 10), now=START + day * DAY, max_lateness=30 * DAY)
        assert isinstance(after, Purchases)
        facet = after
    assert facet is not None
    return facet


@pytest.mark.parametrize(
    ("expected", "age"),
    [
        ((1, 1, 1), 0),
        ((1, 1, 1), 6),
        ((0, 1, 1), 7),
        ((0, 1, 1), 29),
        ((0, 0, 1), 30),
        ((0, 0, 1), 89),
        ((0, 0, 0), 90),
    ],
)
def test_a_window_is_the_day_itself_and_those_before_it(expected: tuple[int, int, int], age: int) -> None:
    """7, 30 and 90 of them, from the day's first millisecond to its last."""
    facet = ring(0)
    for at in (START + age * DAY, START + (age + 1) * DAY - 1):
        windows = windows_at(facet, at)
        assert expected == (windows.days_7.orders, windows.days_30.orders, windows.days_90.orders)


def test_refunds_lower_the_spend_of_their_own_day() -> None:
    """And count no order; a window's spend may be negative."""
    facet = fold(ring(0), refund(20 * DAY, 25), now=START + 20 * DAY, max_lateness=30 * DAY)
    assert isinstance(facet, Purchases)
    windows = windows_at(facet, START + 20 * DAY)
    assert (Window(0, -25), Window(1, -15), Window(1, -15)) == (
        windows.days_7,
        windows.days_30,
        windows.days_90,
    )


def test_what_lies_after_the_day_is_not_in_its_windows() -> None:
    """They can be asked as of the past."""
    assert windows_at(ring(0), START + 3 * DAY) == windows_at(ring(0, 5), START + 3 * DAY)


def test_a_customer_without_orders_has_empty_windows() -> None:
    """Also one whose orders are all too old."""
    assert EMPTY == windows_at(None, START)
    assert EMPTY == windows_at(ring(0), START + 90 * DAY)


@given(st.lists(st.integers(0, 100), min_size=1, max_size=20, unique=True), st.integers(0, 30))
def test_they_are_plain_counts_over_the_orders(days: list[int], later: int) -> None:
    """Recounted from the list, as of any day up to max_lateness in the past."""
    days.sort()
    today = days[-1] - later
    windows = windows_at(ring(*days), START + today * DAY)
    for size, window in ((7, windows.days_7), (30, windows.days_30), (90, windows.days_90)):
        inside = sum(today - size < day <= today for day in days)
        assert Window(inside, 10 * inside) == window
