"""Orders and refunds: recency, frequency, money, and 120 sparse day buckets.

Order-free within `max_lateness`: recency is a maximum, the first purchase a minimum, distinct days
a set (the ring tells whether a late order's day is new), money a sum of integers.
"""

from typing import Final

from librt.strings import BytesWriter
from mypy_extensions import i64

from schemas.customer import LARGEST, Purchases, Recent
from schemas.entries import NO_ORDER, order_entry
from schemas.ring import SIZE, day_at, orders_at, spend_at, write_entry
from streams.core.facets.recent import DUPLICATE, TOO_LATE, Refusal, admit, has_order
from streams.core.playbook import DAY
from streams.core.stimuli import Ordered

WINDOW_DAYS: Final = 90
_EMPTY: Final = Purchases()


def fold(facet: Purchases | None, event: Ordered, *, now: i64, max_lateness: i64) -> Purchases | Refusal:
    """The facet with the order or refund in it, or why it is refused."""
    before = _EMPTY if facet is None else facet
    at = event.at
    day = at // DAY
    ring = before.ring
    size: i64 = len(ring)
    span = WINDOW_DAYS + max_lateness // DAY
    if size and day < day_at(ring, size - SIZE) - span:
        return TOO_LATE
    entry = order_entry(at, event.event, NO_ORDER if event.refund else event.order)
    events = admit(
        before.events, entry, at, now=now, max_lateness=max_lateness, accept_late=event.accept_late
    )
    if not isinstance(events, Recent):
        return events
    # An order counts once even when two events speak of it; several refunds of one order are several.
    if not event.refund and has_order(before.events, entry):
        return DUPLICATE

    amount = event.amount
    count: i64 = 0 if event.refund else 1
    place = _place_of(day, ring)
    day_orders: i64 = 0
    day_spend = amount
    if place < size and day_at(ring, place) == day:
        day_orders = orders_at(ring, place)
        day_spend = _sum(spend_at(ring, place), amount)
    ring = _with_bucket(ring, place, day, day_orders + count, day_spend, span)

    first_at, last_at, days = before.first_at, before.last_at, before.days
    first_day_spend = before.first_day_spend
    if count:
        if not days or day < first_at // DAY:
            first_day_spend = day_spend
        elif day == first_at // DAY:
            first_day_spend = _sum(first_day_spend, amount)
        if not day_orders:
            days += 1
        if at < first_at:  # noqa: PLR1730 - min() and max() would make objects of the numbers
            first_at = at
        if at > last_at:  # noqa: PLR1730
            last_at = at
    elif days and day == first_at // DAY:
        first_day_spend = _sum(first_day_spend, amount)
    spend = _sum(before.spend, amount)
    return Purchases(events, first_at, last_at, days, spend, first_day_spend, ring)


def _place_of(day: i64, ring: bytes) -> i64:
    """Where the bucket of a day is, or would be; from the end, since it nearly always is there."""
    place: i64 = len(ring)
    while place and day_at(ring, place - SIZE) >= day:
        place -= SIZE
    return place


def _with_bucket(  # noqa: PLR0917 - by position: one is made for each purchase
    ring: bytes, place: i64, day: i64, orders: i64, spend: i64, span: i64
) -> bytes:
    """The ring with this bucket at its place; a new newest day puts out what is older by more than `span`."""
    start: i64 = 0
    after = place
    if place == len(ring):
        while start < place and day_at(ring, start) < day - span:
            start += SIZE
    elif day_at(ring, place) == day:
        after += SIZE
    out = BytesWriter()
    out.write(ring[start:place])
    write_entry(out, day, orders, spend)
    out.write(ring[after:])
    return out.getvalue()


def _sum(spend: i64, amount: i64) -> i64:
    total = spend + amount
    if total > LARGEST:
        return LARGEST
    return total if total > -LARGEST else -LARGEST
