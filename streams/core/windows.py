"""Rolling windows of 7, 30 and 90 whole UTC days out of the sparse ring of day buckets."""

from mypy_extensions import i64

from schemas.customer import Purchases
from schemas.ring import SIZE, day_at, orders_at, spend_at
from schemas.triggers import Window, Windows
from streams.core.playbook import DAY

_EMPTY_WINDOW = Window(0, 0)
EMPTY = Windows(_EMPTY_WINDOW, _EMPTY_WINDOW, _EMPTY_WINDOW)


def windows_at(purchases: Purchases | None, at: i64) -> Windows:
    """The windows that end with the day of `at` (ms): that day and the 6, 29 and 89 before it."""
    if purchases is None:
        return EMPTY
    today = at // DAY
    ring = purchases.ring
    place: i64 = len(ring)
    if not place or day_at(ring, place - SIZE) <= today - 90:
        return EMPTY
    orders_7: i64 = 0
    spend_7: i64 = 0
    orders_30: i64 = 0
    spend_30: i64 = 0
    orders_90: i64 = 0
    spend_90: i64 = 0
    while place:
        place -= SIZE
        age = today - day_at(ring, place)
        if age >= 90:
            break
        if age < 0:
            continue
        orders = orders_at(ring, place)
        spend = spend_at(ring, place)
        orders_90 += orders
        spend_90 += spend
        if age < 30:
            orders_30 += orders
            spend_30 += spend
            if age < 7:
                orders_7 += orders
                spend_7 += spend
    return Windows(Window(orders_7, spend_7), Window(orders_30, spend_30), Window(orders_90, spend_90))
