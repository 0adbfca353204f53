"""Rolling windows of 7, 30 and 90 whole UTC days out of the sparse ring of day buckets."""

from schemas.customer import Purchases
from schemas.triggers import Window, Windows
from streams.core.playbook import DAY

_EMPTY_WINDOW = Window(0, 0)
EMPTY = Windows(_EMPTY_WINDOW, _EMPTY_WINDOW, _EMPTY_WINDOW)


def windows_at(purchases: Purchases | None, at: int) -> Windows:
    """The windows that end with the day of `at` (ms): that day and the 6, 29 and 89 before it."""
    if purchases is None:
        return EMPTY
    today = at // DAY
    days = purchases.ring_days
    if not days or days[-1] <= today - 90:
        return EMPTY
    orders_7 = spend_7 = orders_30 = spend_30 = orders_90 = spend_90 = 0
    for index in range(len(days) - 1, -1, -1):
        age = today - days[index]
        if age >= 90:
            break
        if age < 0:
            continue
        orders = purchases.ring_orders[index]
        spend = purchases.ring_spend[index]
        orders_90 += orders
        spend_90 += spend
        if age < 30:
            orders_30 += orders
            spend_30 += spend
            if age < 7:
                orders_7 += orders
                spend_7 += spend
    return Windows(Window(orders_7, spend_7), Window(orders_30, spend_30), Window(orders_90, spend_90))
