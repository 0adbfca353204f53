"""State records of earlier versions, and how each becomes a customer of today.

A version stays readable for as long as changelogs may hold it: it is read as it was written, brought
forward, and written as the newest version the next time that its customer changes. A version that is
not known here is a newer one, which nobody can guess.

Up to version 3 what had been applied stood in tuples of numbers, a firing had its rule's name, and what
was not there yet, or would not come, had a number of nine bytes.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import astuple, replace

from schemas.customer import (
    BEFORE_ALL,
    LONG_AGO,
    NEVER,
    RULES,
    Customer,
    Firing,
    LoginRates,
    Logins,
    Purchases,
    Recent,
    Support,
    Ticket,
)
from schemas.entries import NO_ORDER, event_entry, late_entry, late_order_entry, order_entry

_NO_ORDER_OF_3: Final = -1


class RecentOf3(Struct, frozen=True, array_like=True, gc=False):
    """What was applied, by its hashes and instants."""

    hashes: tuple[int, ...] = ()
    instants: tuple[int, ...] = ()
    horizon: int = LONG_AGO
    late_hashes: tuple[int, ...] = ()


class PurchasesOf1(Struct, frozen=True, array_like=True, gc=False):
    """Orders had a record of their own of what was applied, with instants of their own."""

    events: RecentOf3
    orders: RecentOf3
    first_at: int
    last_at: int
    days: int
    spend: int
    first_day_spend: int
    ring_days: tuple[int, ...]
    ring_orders: tuple[int, ...]
    ring_spend: tuple[int, ...]


class PurchasesOf3(Struct, frozen=True, array_like=True, gc=False):
    """orders: by event the hash of its order, -1 for a refund; late_orders: those of what was late."""

    events: RecentOf3
    orders: tuple[int, ...]
    late_orders: tuple[int, ...]
    first_at: int
    last_at: int
    days: int
    spend: int
    first_day_spend: int
    ring_days: tuple[int, ...]
    ring_orders: tuple[int, ...]
    ring_spend: tuple[int, ...]


class LoginsOf3(Struct, frozen=True, array_like=True, gc=False):
    """As today but for the numbers that mean nothing has been, or nothing will come."""

    events: RecentOf3
    rates: LoginRates
    base: LoginRates


class SupportOf3(Struct, frozen=True, array_like=True, gc=False):
    """As today but for the events."""

    events: RecentOf3
    tickets: tuple[Ticket, ...]
    openings: tuple[int, ...]
    opening_hashes: tuple[int, ...]


class FiringOf3(Struct, frozen=True, array_like=True, gc=False):
    """As today, with the rule's name."""

    rule: str
    version: int
    step: int
    episode_at: int
    episode_key: int
    revision: int
    due: int
    state: int


class CustomerOf1(Struct, frozen=True, array_like=True, gc=False):
    """As in version 2 but for the purchases."""

    purchases: PurchasesOf1 | None = None
    logins: LoginsOf3 | None = None
    support: SupportOf3 | None = None
    firings: tuple[FiringOf3, ...] = ()
    stage: int = 0
    lapsed_day: int = LONG_AGO
    wake_spell: int = NEVER
    wake_support: int = NEVER
    wake_logins: int = NEVER


class CustomerOf3(Struct, frozen=True, array_like=True, gc=False):
    """Version 2 ends before `forgotten_at`, whose default says what it meant: nobody could be forgotten. It
    was a version of its own all the same: a program that knows nothing of erasures would bring the
    customers back."""

    purchases: PurchasesOf3 | None = None
    logins: LoginsOf3 | None = None
    support: SupportOf3 | None = None
    firings: tuple[FiringOf3, ...] = ()
    stage: int = 0
    lapsed_day: int = LONG_AGO
    wake_spell: int = NEVER
    wake_support: int = NEVER
    wake_logins: int = NEVER
    forgotten_at: int = BEFORE_ALL


_decode_1 = msgspec.msgpack.Decoder(CustomerOf1).decode
_decode_3 = msgspec.msgpack.Decoder(CustomerOf3).decode


def _from_1(body: bytes) -> Customer:
    before = _decode_1(body)
    purchases = before.purchases
    return _brought_forward(
        CustomerOf3(None if purchases is None else _purchases_from_1(purchases), *astuple(before)[1:])
    )


def _purchases_from_1(before: PurchasesOf1) -> PurchasesOf3:
    """Each order goes to an event of its instant: whichever of several, they are forgotten together."""
    waiting: dict[int, list[int]] = {}
    for instant, order in zip(before.orders.instants, before.orders.hashes, strict=True):
        waiting.setdefault(instant, []).append(order)
    late = before.orders.late_hashes
    return PurchasesOf3(
        before.events,
        tuple([waiting[at].pop(0) if waiting.get(at) else _NO_ORDER_OF_3 for at in before.events.instants]),
        late + (_NO_ORDER_OF_3,) * (len(before.events.late_hashes) - len(late)),
        *astuple(before)[2:],
    )


def _from_3(body: bytes) -> Customer:
    return _brought_forward(_decode_3(body))


def _brought_forward(before: CustomerOf3) -> Customer:
    purchases, logins, support = before.purchases, before.logins, before.support
    return Customer(
        None if purchases is None else _purchases_from_3(purchases),
        None if logins is None else Logins(_events(logins.events), _rates(logins.rates), _rates(logins.base)),
        None
        if support is None
        else Support(_events(support.events), support.tickets, support.openings, support.opening_hashes),
        tuple([_firing(firing) for firing in before.firings]),
        before.stage,
        _since_1970(before.lapsed_day),
        _coming(before.wake_spell),
        _coming(before.wake_support),
        _coming(before.wake_logins),
        before.forgotten_at,
    )


def _purchases_from_3(before: PurchasesOf3) -> Purchases:
    events = before.events
    orders = [NO_ORDER if order == _NO_ORDER_OF_3 else order for order in before.orders]
    late_orders = [NO_ORDER if order == _NO_ORDER_OF_3 else order for order in before.late_orders]
    entries = [order_entry(*each) for each in zip(events.instants, events.hashes, orders, strict=True)]
    late = [late_order_entry(*each) for each in zip(events.late_hashes, late_orders, strict=True)]
    return Purchases(
        Recent(b"".join(entries), _since_1970(events.horizon), b"".join(late)),
        before.first_at,
        _since_1970(before.last_at),
        *astuple(before)[5:],
    )


def _events(before: RecentOf3) -> Recent:
    entries = [event_entry(*each) for each in zip(before.instants, before.hashes, strict=True)]
    late = [late_entry(event) for event in before.late_hashes]
    return Recent(b"".join(entries), _since_1970(before.horizon), b"".join(late))


def _rates(before: LoginRates) -> LoginRates:
    return replace(
        before,
        at=_since_1970(before.at),
        lifted_at=_since_1970(before.lifted_at),
        fell_at=_coming(before.fell_at),
    )


def _firing(before: FiringOf3) -> Firing:
    """ValueError for a rule that never was."""
    return Firing(RULES.index(before.rule), *astuple(before)[1:])


def _since_1970(at: int) -> int:
    return BEFORE_ALL if at == LONG_AGO else at


def _coming(at: int | None) -> int | None:
    return None if at == NEVER else at


EARLIER: Final[Mapping[int, Callable[[bytes], Customer]]] = MappingProxyType(
    {1: _from_1, 2: _from_3, 3: _from_3}
)
"""By version: from the body of a record, behind its head, to the customer."""
