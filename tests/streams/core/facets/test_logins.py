"""Two decayed counts of logins: against plain sums, in any order, and when there are too many."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.customer import NEVER, Logins
from schemas.entries import EVENT_SIZE
from streams.core.facets.logins import falls_at, fold, rates_as_of, ratio_at
from streams.core.facets.recent import CAPACITY, Refusal
from streams.core.playbook import DAY, HOUR
from streams.core.stimuli import LoggedIn
from tests.streams.core.definitions import first_instant, login_ratio
from tests.streams.core.world import START, login

LATENESS = 30 * DAY
HALF = 0.5

lives = st.lists(st.integers(0, 29 * DAY), min_size=1, max_size=30)


def folded(*events: LoggedIn) -> Logins:
    """The facet after these logins, none of them refused."""
    facet: Logins | None = None
    newest = 0
    for event in events:
        newest = max(newest, event.at)
        after = refused_or_folded(facet, event, newest)
        assert not isinstance(after, Refusal)
        facet = after
    assert facet is not None
    return facet


def refused_or_folded(facet: Logins | None, event: LoggedIn, now: int) -> Logins | Refusal:
    """One fold with the default playbook's numbers."""
    return fold(facet, event, now=now, max_lateness=LATENESS, threshold=HALF, min_logins=5)


@given(lives)
def test_the_ratio_is_that_of_two_decayed_sums(instants: list[int]) -> None:
    """Each login weighs 2^(-age / half-life), and each sum is a rate by its half-life."""
    facet = folded(*(login(at, name=str(number)) for number, at in enumerate(sorted(instants))))
    for later in (0, HOUR, 40 * DAY):
        at = max(instants) + later
        assert pytest.approx(login_ratio(instants, at), rel=1e-9) == ratio_at(facet.rates, START + at)


@given(lives, st.randoms(use_true_random=False))
def test_the_order_of_arrival_leaves_no_trace_in_the_last_bit(instants: list[int], random: Random) -> None:
    """A late login is folded again from its place on."""
    events = [login(at, name=str(number)) for number, at in enumerate(sorted(instants))]
    shuffled = random.sample(events, len(events))
    assert folded(*events) == folded(*shuffled)


@given(lives)
def test_the_fall_is_exact_to_the_millisecond(instants: list[int]) -> None:
    """In closed form: the first ms at which the ratio is at or below the threshold."""
    rates = folded(*(login(at, name=str(number)) for number, at in enumerate(sorted(instants)))).rates
    due = falls_at(rates, HALF)
    assert ratio_at(rates, due) <= HALF
    assert due == rates.at or ratio_at(rates, due - 1) > HALF


def test_the_login_that_last_lifted_the_ratio_is_remembered() -> None:
    """The first one; and after a pause long enough for the ratio to fall, the one that ends it."""
    facet = folded(login(0), login(DAY))
    assert (START, NEVER) == (facet.rates.lifted_at, facet.rates.fell_at)
    assert START + 60 * DAY == folded(login(0), login(DAY), login(60 * DAY)).rates.lifted_at


def test_a_login_that_does_not_lift_the_ratio_leaves_the_instant_of_its_fall() -> None:
    """Forty logins at once, and one two months later: it fell long before, and stays there."""
    crowd = [login(0, name=str(number)) for number in range(40)]
    rates = folded(*crowd, login(60 * DAY)).rates
    expected = first_instant(0, 60 * DAY, lambda at: login_ratio([0] * 40, at) <= HALF)
    assert (START, START + expected) == (rates.lifted_at, rates.fell_at)


def test_a_past_instant_is_told_from_the_recent_logins() -> None:
    """As if the later ones had not come."""
    events = [login(day * DAY) for day in range(40)]
    then = rates_as_of(folded(*events), START + 35 * DAY, threshold=HALF, min_logins=5)
    assert folded(*events[:36]).rates == then


def test_a_login_after_more_than_can_be_kept_is_folded() -> None:
    """The oldest go into the base, and the rates forget nothing."""
    many = [login(number * HOUR) for number in range(CAPACITY + 50)]
    facet = folded(*many)
    assert CAPACITY == len(facet.events.entries) // EVENT_SIZE
    assert 50 == facet.base.count
    newest = (CAPACITY + 49) * HOUR
    expected = login_ratio([number * HOUR for number in range(CAPACITY + 50)], newest)
    assert pytest.approx(expected, rel=1e-9) == ratio_at(facet.rates, START + newest)


def test_of_two_logins_at_the_oldest_instant_either_may_come_last() -> None:
    """The one that is evicted at once is in the base, like the other had it come later."""
    rest = [login(number * HOUR) for number in range(1, CAPACITY)]
    one, other = login(0, name="one"), login(0, name="other")
    facet = folded(one, *rest, other)
    assert folded(other, *rest, one) == facet
    assert (1, CAPACITY) == (facet.base.count, len(facet.events.entries) // EVENT_SIZE)


def test_a_login_below_the_horizon_is_too_late() -> None:
    """On overflow it rises to the newest evicted instant: what was applied there is not known."""
    facet = folded(*(login(number * HOUR) for number in range(CAPACITY + 50)))
    late = login(10 * HOUR + 1)
    assert Refusal.TOO_LATE is refused_or_folded(facet, late, START + 400 * HOUR)


def test_a_login_that_would_be_evicted_at_once_is_too_late() -> None:
    """It would have to be folded before logins that are folded for good."""
    facet = folded(*(login(number * HOUR) for number in range(1, CAPACITY + 1)))
    assert Refusal.TOO_LATE is refused_or_folded(facet, login(0), START + 400 * HOUR)
