"""Recency, frequency, money, and the ring of day buckets: against plain sums over the orders."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from schemas.customer import BEFORE_ALL, NEVER, Purchases
from schemas.ring import buckets_of
from streams.core.facets.purchases import fold
from streams.core.facets.recent import Refusal
from streams.core.playbook import DAY, HOUR
from streams.core.stimuli import Ordered
from tests.streams.core.world import START, order, refund

LATENESS = 30 * DAY


def folded(*events: Ordered, clock: int | None = None) -> Purchases:
    """The facet after these events, none of them refused."""
    facet: Purchases | None = None
    newest = -(10**15) if clock is None else clock
    for event in events:
        newest = max(newest, event.at - START)
        after = fold(facet, event, now=START + newest, max_lateness=LATENESS)
        assert not isinstance(after, Refusal)
        facet = after
    assert facet is not None
    return facet


def buckets(facet: Purchases) -> list[tuple[int, int, int]]:
    """(days after START, orders, spend) of each bucket."""
    found = buckets_of(facet.ring)
    return [(day - START // DAY, orders, spend) for day, orders, spend in found]


def test_orders_of_one_day_are_one_purchase_day() -> None:
    """Two orders in one bucket; recency is the later of them."""
    facet = folded(order(HOUR, 700), order(5 * HOUR, 300), order(DAY, 50))
    assert 2 == facet.days
    assert (START + HOUR, START + DAY) == (facet.first_at, facet.last_at)
    assert [(0, 2, 1000), (1, 1, 50)] == buckets(facet)


def test_repeat_spend_leaves_out_all_of_the_first_day() -> None:
    """Its orders and its refunds; those of other days count."""
    facet = folded(order(0, 700), order(HOUR, 300), refund(2 * HOUR, 100), order(DAY, 50), refund(DAY, 20))
    assert (930, 900) == (facet.spend, facet.first_day_spend)


def test_a_late_order_on_an_earlier_day_is_the_first_from_then_on() -> None:
    """The former first day's spend is repeat spend now."""
    facet = folded(order(DAY, 700), order(0, 50))
    assert (START, 2, 50) == (facet.first_at, facet.days, facet.first_day_spend)


def test_a_refund_changes_neither_counts_nor_recency() -> None:
    """It goes into the bucket of its own day, and sums may be negative."""
    facet = folded(order(0, 700), refund(9 * DAY, 900))
    assert (1, START, -200) == (facet.days, facet.last_at, facet.spend)
    assert [(0, 1, 700), (9, 0, -900)] == buckets(facet)


def test_a_refund_alone_is_no_purchase() -> None:
    """There is money, and no day."""
    facet = folded(refund(0, 900))
    assert (0, NEVER, BEFORE_ALL, -900) == (facet.days, facet.first_at, facet.last_at, facet.spend)


def test_an_order_on_a_day_of_refunds_makes_it_a_purchase_day() -> None:
    """And the first day's spend is all of that day."""
    facet = folded(refund(HOUR, 100), order(2 * HOUR, 700))
    assert (1, 600, 600) == (facet.days, facet.spend, facet.first_day_spend)


def test_an_order_id_counts_once_among_purchases() -> None:
    """Another event that speaks of the same order is a duplicate."""
    facet = folded(order(0, order_id="A"))
    again = order(HOUR, order_id="A", name="another event")
    assert Refusal.DUPLICATE is fold(facet, again, now=START + HOUR, max_lateness=LATENESS)


def test_several_refunds_of_one_order_are_several() -> None:
    """They are known by their event ids alone."""
    facet = folded(order(0, 700, order_id="A"), refund(1, 100, order_id="A"), refund(2, 50, order_id="A"))
    assert 550 == facet.spend


def test_a_refund_may_arrive_before_its_order() -> None:
    """It does not make the order a duplicate."""
    assert 600 == folded(refund(HOUR, 100, order_id="A"), order(0, 700, order_id="A")).spend


def test_the_ring_holds_ninety_days_and_max_lateness() -> None:
    """A bucket goes when the customer's newest is 121 days younger."""
    assert [0, 120] == [day for day, _, _ in buckets(folded(order(0), order(120 * DAY)))]
    assert [121] == [day for day, _, _ in buckets(folded(order(0), order(121 * DAY)))]


def test_by_hand_an_old_order_is_folded_while_the_ring_covers_its_day() -> None:
    """A day further back nobody knows whether it was a purchase day."""
    facet = folded(order(0), order(121 * DAY))
    covered = fold(facet, order(DAY, late=True), now=START + 121 * DAY, max_lateness=LATENESS)
    assert isinstance(covered, Purchases)
    assert 3 == covered.days
    outside = order(DAY - 1, late=True)
    assert Refusal.TOO_LATE is fold(facet, outside, now=START + 121 * DAY, max_lateness=LATENESS)


@given(
    st.lists(
        st.tuples(st.integers(0, 29 * DAY), st.integers(0, 10_000), st.booleans()),
        min_size=1,
        max_size=20,
    ),
    st.randoms(use_true_random=False),
)
def test_it_is_plain_sums_over_the_events_in_any_order(
    drawn: list[tuple[int, int, bool]], random: Random
) -> None:
    """Days, first, last, spend, first day's spend and every bucket, recounted from the list."""
    events = [
        refund(at, amount, name=str(number)) if is_refund else order(at, amount, name=str(number))
        for number, (at, amount, is_refund) in enumerate(drawn)
    ]
    random.shuffle(events)
    facet = folded(*events)
    orders = [event for event in events if not event.refund]
    days = {event.at // DAY for event in orders}
    assert len(days) == facet.days
    assert sum(event.amount for event in events) == facet.spend
    if orders:
        assert min(event.at for event in orders) == facet.first_at
        assert max(event.at for event in orders) == facet.last_at
        first_day = [event.amount for event in events if event.at // DAY == min(days)]
        assert sum(first_day) == facet.first_day_spend
    expected = [
        (
            day - START // DAY,
            sum(event.at // DAY == day for event in orders),
            sum(event.amount for event in events if event.at // DAY == day),
        )
        for day in sorted({event.at // DAY for event in events})
    ]
    assert expected == buckets(facet)
