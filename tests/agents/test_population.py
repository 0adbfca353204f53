"""The simulated population: the same for a seed, true to its truth, alike in any size."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from agents.population import Life, lives, population
from schemas.codec import encode_event
from schemas.events import Event, Purchase, SupportTicket

START = date(2024, 1, 1)
DAYS = 400
BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
END = BEGIN + timedelta(days=DAYS)


@pytest.fixture(scope="module")
def everyone() -> list[Life]:
    """Six hundred customers of seed 7."""
    return list(lives(7, 600, START, DAYS))


def test_a_seed_gives_the_same_bytes() -> None:
    """Twice the same call, twice the same events."""
    first = [encode_event(event) for event in population(3, 20, START, DAYS).events()]
    assert first == [encode_event(event) for event in population(3, 20, START, DAYS).events()]
    assert first != [encode_event(event) for event in population(4, 20, START, DAYS).events()]


def test_a_customer_is_the_same_in_a_larger_population() -> None:
    """Who else is simulated changes nobody."""
    assert list(lives(3, 5, START, DAYS)) == list(lives(3, 50, START, DAYS))[:5]


def test_a_population_is_sorted_and_complete(everyone: list[Life]) -> None:
    """All events of all lives, each topic ascending, together ascending too."""
    whole = population(7, 600, START, DAYS)
    merged = [event.occurred_at for event in whole.events()]
    assert sorted(merged) == merged
    assert sum(len(life.purchases) + len(life.logins) + len(life.tickets) for life in everyone) == len(merged)
    assert [life.truth for life in everyone] == list(whole.truth)


def test_nothing_happens_outside_the_history(everyone: list[Life]) -> None:
    """Every event lies in [start, start + days)."""
    instants = [event.occurred_at for life in everyone for event in events_of(life)]
    assert min(instants) >= BEGIN
    assert max(instants) < END


def test_ids_are_unique_in_their_topic(everyone: list[Life]) -> None:
    """No event repeats another's id."""
    for topic in ("purchases", "logins", "tickets"):
        ids = [event.id for life in everyone for event in getattr(life, topic)]
        assert len(set(ids)) == len(ids)


def test_nobody_orders_after_dropping_out(everyone: list[Life]) -> None:
    """The truth is true: the last order is at or before the drop-out, which lies in the history."""
    gone = [life for life in everyone if life.truth.dropped_at]
    assert 200 < len(gone) < 500
    for life in gone:
        assert life.truth.dropped_at is not None
        assert _orders(life)[-1] <= life.truth.dropped_at < END


def test_the_truth_counts_the_orders(everyone: list[Life]) -> None:
    """`orders` and `joined_at` are what the purchases show; refunds are no orders."""
    for life in everyone:
        assert (len(_orders(life)), _orders(life)[0]) == (life.truth.orders, life.truth.joined_at)


def test_logins_fall_to_a_residue_after_the_drop_out(everyone: list[Life]) -> None:
    """A tenth of the rate remains, so that silence in logins tells something, and not everything."""
    before = after = weeks_before = weeks_after = 0.0
    for life in everyone:
        dropped = life.truth.dropped_at
        if dropped is None:
            continue
        before += sum(login.occurred_at <= dropped for login in life.logins) - life.truth.orders
        after += sum(login.occurred_at > dropped for login in life.logins)
        weeks_before += (dropped - life.truth.joined_at) / timedelta(weeks=1)
        weeks_after += (END - dropped) / timedelta(weeks=1)
    assert 0.05 < (after / weeks_after) / (before / weeks_before) < 0.2


def test_some_drop_outs_follow_a_spike_of_tickets(everyone: list[Life]) -> None:
    """About a quarter of those who left had three tickets or more in the fortnight after the last order."""
    gone = [life for life in everyone if life.truth.dropped_at]
    stories = [life for life in gone if _openings_after(life, _orders(life)[-1]) >= 3]
    assert 0.15 < len(stories) / len(gone) < 0.35


def test_promises_are_mostly_kept_and_sometimes_missed(everyone: list[Life]) -> None:
    """One ticket in seven has no reply within what its priority promises."""
    within = {"low": 24, "normal": 8, "high": 4, "urgent": 1}
    answered: dict[str, timedelta] = {}
    opened: dict[str, SupportTicket] = {}
    for life in everyone:
        for step in life.tickets:
            if step.status == "opened":
                opened[step.ticket_id] = step
            elif step.status == "replied" and step.ticket_id not in answered:
                answered[step.ticket_id] = step.occurred_at - opened[step.ticket_id].occurred_at
    missed = [
        step
        for name, step in opened.items()
        if answered.get(name, timedelta.max) > timedelta(hours=within[step.priority])
    ]
    assert 0.08 < len(missed) / len(opened) < 0.22


def test_refunds_name_their_order_and_never_exceed_it(everyone: list[Life]) -> None:
    """A refund comes after its order, with its order id and at most its amount."""
    refunds = 0
    for life in everyone:
        orders = {p.order_id: p for p in life.purchases if p.kind == "purchase"}
        for refund in (p for p in life.purchases if p.kind == "refund"):
            refunds += 1
            assert refund.occurred_at > orders[refund.order_id].occurred_at
            assert refund.amount_minor <= orders[refund.order_id].amount_minor
    assert refunds > 10


def test_order_values_follow_gamma_gamma() -> None:
    """The mean order is p gamma / (q - 1), some 36 dollars (Fader & Hardie 2013, note 025)."""
    amounts = [np.mean([p.amount_minor for p in _buys(life)]) for life in lives(1, 3000, START, 30)]
    assert np.mean(amounts) / 100 == pytest.approx(6.28 * 14.98 / 2.62, rel=0.08)


def events_of(life: Life) -> Iterator[Event]:
    """Everything that happened to one customer."""
    yield from life.purchases
    yield from life.logins
    yield from life.tickets


def _buys(life: Life) -> list[Purchase]:
    return [purchase for purchase in life.purchases if purchase.kind == "purchase"]


def _orders(life: Life) -> list[datetime]:
    return [purchase.occurred_at for purchase in _buys(life)]


def _openings_after(life: Life, instant: datetime) -> int:
    return sum(
        step.status == "opened" and instant < step.occurred_at <= instant + timedelta(days=14)
        for step in life.tickets
    )
