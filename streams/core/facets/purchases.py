"""Orders and refunds: recency, frequency, money, and 120 sparse day buckets.

Order-free within `max_lateness`: recency is a maximum, the first purchase a minimum, distinct days
a set (the ring tells whether a late order's day is new), money a sum of integers.
"""

from bisect import bisect_left

from schemas.customer import Purchases
from schemas.entries import NO_ORDER, order_entry
from streams.core.facets.recent import Refusal, admit, has_order
from streams.core.playbook import DAY
from streams.core.stimuli import Ordered

WINDOW_DAYS = 90
_EMPTY = Purchases()


def fold(facet: Purchases | None, event: Ordered, *, now: int, max_lateness: int) -> Purchases | Refusal:
    """The facet with the order or refund in it, or why it is refused."""
    before = facet or _EMPTY
    at = event.at
    day = at // DAY
    ring_days = before.ring_days
    span = WINDOW_DAYS + max_lateness // DAY
    if ring_days and day < ring_days[-1] - span:
        return Refusal.TOO_LATE
    entry = order_entry(at, event.event, NO_ORDER if event.refund else event.order)
    events = admit(
        before.events, entry, at, now=now, max_lateness=max_lateness, accept_late=event.accept_late
    )
    if isinstance(events, Refusal):
        return events
    # An order counts once even when two events speak of it; several refunds of one order are several.
    if not event.refund and has_order(before.events, entry):
        return Refusal.DUPLICATE

    ring_orders = before.ring_orders
    ring_spend = before.ring_spend
    amount = event.amount
    count = 0 if event.refund else 1
    if not ring_days or day > ring_days[-1]:
        new_day = True
        day_spend = amount
        ring_days += (day,)
        ring_orders += (count,)
        ring_spend += (amount,)
        if ring_days[0] < day - span:
            cut = bisect_left(ring_days, day - span)
            ring_days = ring_days[cut:]
            ring_orders = ring_orders[cut:]
            ring_spend = ring_spend[cut:]
    else:
        place = bisect_left(ring_days, day)
        if ring_days[place] == day:
            new_day = ring_orders[place] == 0
            day_spend = ring_spend[place] + amount
            ring_orders = (*ring_orders[:place], ring_orders[place] + count, *ring_orders[place + 1 :])
            ring_spend = (*ring_spend[:place], day_spend, *ring_spend[place + 1 :])
        else:
            new_day = True
            day_spend = amount
            ring_days = (*ring_days[:place], day, *ring_days[place:])
            ring_orders = (*ring_orders[:place], count, *ring_orders[place:])
            ring_spend = (*ring_spend[:place], amount, *ring_spend[place:])

    first_at, last_at, days = before.first_at, before.last_at, before.days
    first_day_spend = before.first_day_spend
    if count:
        if not days or day < first_at // DAY:
            first_day_spend = day_spend
        elif day == first_at // DAY:
            first_day_spend += amount
        days += new_day
        first_at = min(first_at, at)
        last_at = max(last_at, at)
    elif days and day == first_at // DAY:
        first_day_spend += amount
    return Purchases(
        events,
        first_at,
        last_at,
        days,
        before.spend + amount,
        first_day_spend,
        ring_days,
        ring_orders,
        ring_spend,
    )
