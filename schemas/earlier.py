"""State records of earlier versions, and how each becomes a customer of today.

A version stays readable for as long as changelogs may hold it: it is read as it was written, brought
forward, and written as the newest version the next time that its customer changes. A version that is
not known here is a newer one, which nobody can guess.

Up to version 4 a customer was MessagePack. Up to version 3 what had been applied stood in tuples of
numbers, a firing had its rule's name, and what was not there yet, or would not come, had a number of nine
bytes.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Annotated, Final

import msgspec
from librt.strings import BytesWriter
from msgspec import Meta, Struct
from msgspec.structs import astuple

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
)
from schemas.entries import (
    EVENT_SIZE,
    INSTANT_SIZE,
    LAST_INSTANT,
    NO_ORDER,
    ORDER_SIZE,
    event_entry,
    order_entry,
)
from schemas.ring import write_entry
from schemas.tickets import Ticket

_NO_ORDER_OF_3: Final = -1


class RecentOf4(Struct, frozen=True, array_like=True, gc=False):
    """As today."""

    entries: bytes = b""
    horizon: int = BEFORE_ALL
    late: bytes = b""


class PurchasesOf4(Struct, frozen=True, array_like=True, gc=False):
    """The ring in three tuples."""

    events: RecentOf4 = RecentOf4()
    first_at: int = NEVER
    last_at: int = BEFORE_ALL
    days: int = 0
    spend: int = 0
    first_day_spend: int = 0
    ring_days: tuple[int, ...] = ()
    ring_orders: tuple[int, ...] = ()
    ring_spend: tuple[int, ...] = ()


class LoginRatesOf4(Struct, frozen=True, array_like=True, gc=False):
    """fell_at: None while the newest login leaves the ratio above the threshold."""

    count: int = 0
    fast: float = 0.0
    slow: float = 0.0
    at: int = BEFORE_ALL
    lifted_at: int = BEFORE_ALL
    fell_at: int | None = None


class LoginsOf4(Struct, frozen=True, array_like=True, gc=False):
    """As today."""

    events: RecentOf4 = RecentOf4()
    rates: LoginRatesOf4 = LoginRatesOf4()
    base: LoginRatesOf4 = LoginRatesOf4()


class SupportOf4(Struct, frozen=True, array_like=True, gc=False):
    """As today."""

    events: RecentOf4 = RecentOf4()
    tickets: tuple[Ticket, ...] = ()
    openings: tuple[int, ...] = ()
    opening_hashes: tuple[int, ...] = ()


class FiringOf4(Struct, frozen=True, array_like=True, gc=False):
    """As today."""

    number: Annotated[int, Meta(ge=0, lt=len(RULES))]
    version: int
    step: int
    episode_at: int
    episode_key: int
    revision: int
    due: int
    state: int


class CustomerOf4(Struct, frozen=True, array_like=True, gc=False):
    """wake_*: None for none."""

    purchases: PurchasesOf4 | None = None
    logins: LoginsOf4 | None = None
    support: SupportOf4 | None = None
    firings: tuple[FiringOf4, ...] = ()
    stage: int = 0
    lapsed_day: int = BEFORE_ALL
    wake_spell: int | None = None
    wake_support: int | None = None
    wake_logins: int | None = None
    forgotten_at: int = BEFORE_ALL


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
    """As in version 4 but for the numbers that mean nothing has been, or nothing will come."""

    events: RecentOf3
    rates: LoginRatesOf4
    base: LoginRatesOf4


class SupportOf3(Struct, frozen=True, array_like=True, gc=False):
    """As in version 4 but for the events."""

    events: RecentOf3
    tickets: tuple[Ticket, ...]
    openings: tuple[int, ...]
    opening_hashes: tuple[int, ...]


class FiringOf3(Struct, frozen=True, array_like=True, gc=False):
    """As in version 4, with the rule's name."""

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
_decode_4 = msgspec.msgpack.Decoder(CustomerOf4).decode


# From version 1 to 3


def _from_1(body: bytes) -> Customer:
    before = _decode_1(body)
    purchases = before.purchases
    return _from_customer_of_3(
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


# From version 3 to 4


def _from_3(body: bytes) -> Customer:
    return _from_customer_of_3(_decode_3(body))


def _from_customer_of_3(before: CustomerOf3) -> Customer:
    purchases, logins, support = before.purchases, before.logins, before.support
    return _from_customer_of_4(
        CustomerOf4(
            None if purchases is None else _purchases_from_3(purchases),
            None
            if logins is None
            else LoginsOf4(
                _events_from_3(logins.events), _rates_from_3(logins.rates), _rates_from_3(logins.base)
            ),
            None if support is None else SupportOf4(_events_from_3(support.events), *astuple(support)[1:]),
            tuple([_firing_from_3(firing) for firing in before.firings]),
            before.stage,
            _since_1970(before.lapsed_day),
            _coming(before.wake_spell),
            _coming(before.wake_support),
            _coming(before.wake_logins),
            before.forgotten_at,
        )
    )


def _purchases_from_3(before: PurchasesOf3) -> PurchasesOf4:
    events = before.events
    entries = [
        order_entry(_instant(at), _signed(event), NO_ORDER if order == _NO_ORDER_OF_3 else _signed(order))
        for at, event, order in zip(events.instants, events.hashes, before.orders, strict=True)
    ]
    late = [
        order_entry(0, _signed(event), NO_ORDER if order == _NO_ORDER_OF_3 else _signed(order))[INSTANT_SIZE:]
        for event, order in zip(events.late_hashes, before.late_orders, strict=True)
    ]
    return PurchasesOf4(
        RecentOf4(b"".join(entries), _since_1970(events.horizon), b"".join(late)),
        before.first_at,
        _since_1970(before.last_at),
        *astuple(before)[5:],
    )


def _events_from_3(before: RecentOf3) -> RecentOf4:
    entries = [
        event_entry(_instant(at), _signed(event))
        for at, event in zip(before.instants, before.hashes, strict=True)
    ]
    late = [event_entry(0, _signed(event))[INSTANT_SIZE:] for event in before.late_hashes]
    return RecentOf4(b"".join(entries), _since_1970(before.horizon), b"".join(late))


def _rates_from_3(before: LoginRatesOf4) -> LoginRatesOf4:
    return LoginRatesOf4(
        before.count,
        before.fast,
        before.slow,
        _since_1970(before.at),
        _since_1970(before.lifted_at),
        _coming(before.fell_at),
    )


def _firing_from_3(before: FiringOf3) -> FiringOf4:
    """ValueError for a rule that never was."""
    return FiringOf4(RULES.index(before.rule), *astuple(before)[1:])


def _instant(at: int) -> int:
    """ValueError for what no entry can hold."""
    if not 0 <= at <= LAST_INSTANT:
        raise ValueError("an instant out of range")
    return at


def _signed(hashed: int) -> int:
    """An unsigned hash as schemas/entries.py has it; ValueError for what is none."""
    if not 0 <= hashed < 2**64:
        raise ValueError("a hash out of range")
    return hashed - 2**64 if hashed >= 2**63 else hashed


def _since_1970(at: int) -> int:
    return BEFORE_ALL if at == LONG_AGO else at


def _coming(at: int | None) -> int | None:
    return None if at == NEVER else at


# From version 4 to today


def _from_4(body: bytes) -> Customer:
    return _from_customer_of_4(_decode_4(body))


def _from_customer_of_4(before: CustomerOf4) -> Customer:
    purchases, logins, support = before.purchases, before.logins, before.support
    return Customer(
        None if purchases is None else _purchases(purchases),
        None if logins is None else Logins(_events(logins.events), _rates(logins.rates), _rates(logins.base)),
        None
        if support is None
        else Support(_events(support.events), support.tickets, support.openings, support.opening_hashes),
        tuple([Firing(*astuple(firing)) for firing in before.firings]),
        before.stage,
        before.lapsed_day,
        _or_never(before.wake_spell),
        _or_never(before.wake_support),
        _or_never(before.wake_logins),
        before.forgotten_at,
    )


def _purchases(before: PurchasesOf4) -> Purchases:
    ring = BytesWriter()
    for bucket in zip(before.ring_days, before.ring_orders, before.ring_spend, strict=True):
        write_entry(ring, *bucket)
    return Purchases(
        _events(before.events, ORDER_SIZE),
        before.first_at,
        before.last_at,
        before.days,
        before.spend,
        before.first_day_spend,
        ring.getvalue(),
    )


def _events(before: RecentOf4, size: int = EVENT_SIZE) -> Recent:
    if len(before.entries) % size or len(before.late) % (size - INSTANT_SIZE):
        raise ValueError("half an entry")
    return Recent(before.entries, before.horizon, before.late)


def _rates(before: LoginRatesOf4) -> LoginRates:
    fell_at = _or_never(before.fell_at)
    return LoginRates(before.count, before.fast, before.slow, before.at, before.lifted_at, fell_at)


def _or_never(at: int | None) -> int:
    return NEVER if at is None else at


EARLIER: Final[Mapping[int, Callable[[bytes], Customer]]] = MappingProxyType(
    {1: _from_1, 2: _from_3, 3: _from_3, 4: _from_4}
)
"""By version: from the body of a record, behind its head, to the customer."""
