"""State records of earlier versions, and how each becomes a customer of today.

A version stays readable for as long as changelogs may hold it: it is read as it was written, brought
forward, and written as the newest version the next time that its customer changes. A version that is
not known here is a newer one, which nobody can guess.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import msgspec
from msgspec import Struct

from schemas.customer import LONG_AGO, NEVER, Customer, Firing, Logins, Purchases, Recent, Support


class PurchasesOf1(Struct, frozen=True, array_like=True, gc=False):
    """Orders had a record of their own of what was applied, with instants of their own."""

    events: Recent
    orders: Recent
    first_at: int
    last_at: int
    days: int
    spend: int
    first_day_spend: int
    ring_days: tuple[int, ...]
    ring_orders: tuple[int, ...]
    ring_spend: tuple[int, ...]


class CustomerOf1(Struct, frozen=True, array_like=True, gc=False):
    """As today but for the purchases."""

    purchases: PurchasesOf1 | None = None
    logins: Logins | None = None
    support: Support | None = None
    firings: tuple[Firing, ...] = ()
    stage: int = 0
    lapsed_day: int = LONG_AGO
    wake_spell: int = NEVER
    wake_support: int = NEVER
    wake_logins: int = NEVER


_decode_1 = msgspec.msgpack.Decoder(CustomerOf1).decode
_decode_2 = msgspec.msgpack.Decoder(Customer).decode


def _from_1(body: bytes) -> Customer:
    """Each order goes to an event of its instant: whichever of several, they are forgotten together."""
    before = _decode_1(body)
    purchases = before.purchases
    return Customer(
        None if purchases is None else _purchases_from_1(purchases),
        before.logins,
        before.support,
        before.firings,
        before.stage,
        before.lapsed_day,
        before.wake_spell,
        before.wake_support,
        before.wake_logins,
    )


def _purchases_from_1(before: PurchasesOf1) -> Purchases:
    waiting: dict[int, list[int]] = {}
    for instant, order in zip(before.orders.instants, before.orders.hashes, strict=True):
        waiting.setdefault(instant, []).append(order)
    late = before.orders.late_hashes
    return Purchases(
        before.events,
        tuple([waiting[at].pop(0) if waiting.get(at) else -1 for at in before.events.instants]),
        late + (-1,) * (len(before.events.late_hashes) - len(late)),
        before.first_at,
        before.last_at,
        before.days,
        before.spend,
        before.first_day_spend,
        before.ring_days,
        before.ring_orders,
        before.ring_spend,
    )


def _from_2(body: bytes) -> Customer:
    """It ends before `forgotten_at`, whose default says what it meant: nobody could be forgotten. A version
    of its own all the same: a program that knows nothing of erasures would bring the customers back."""
    return _decode_2(body)


EARLIER: Final[Mapping[int, Callable[[bytes], Customer]]] = MappingProxyType({1: _from_1, 2: _from_2})
"""By version: from the body of a record, behind its head, to the customer."""
