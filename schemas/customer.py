"""A customer at rest: one struct of facets. It is a wire format, since the changelog keeps it.

All instants are milliseconds since the epoch, UTC; all days are days since the epoch; money is in
minor units of the base currency. `schemas/record.py` packs it into a changelog value. Numbers and
tuples all the way down cannot form a cycle, so the garbage collector need not look (gc=False).
"""

from msgspec import Struct

NEVER = 2**62
"""A deadline that will not come."""

LONG_AGO = -(2**62)
"""An instant before every event."""

NOT_FORGOTTEN = -1
"""An instant before every event too, since none is accepted that is dated before 1970; one byte long."""


class Recent(Struct, frozen=True, array_like=True, gc=False):
    """The events of the last `max_lateness`, oldest first, by 64-bit hash of their id.

    `horizon`: at or below it nothing is accepted any more, since the record of what was applied
    there has been evicted. `late_hashes`: what was accepted although it was older than `max_lateness`.
    """

    hashes: tuple[int, ...] = ()
    instants: tuple[int, ...] = ()
    horizon: int = LONG_AGO
    late_hashes: tuple[int, ...] = ()


class Purchases(Struct, frozen=True, array_like=True, gc=False):
    """Recency, frequency, money, and the ring of day buckets.

    orders: of each of `events.hashes` the 64-bit hash of its order id, -1 for a refund; late_orders:
    of each of `events.late_hashes`. days: distinct days with an order. spend: all orders less
    refunds; first_day_spend: that of the first day. ring_days, ring_orders, ring_spend: sparse,
    ascending, newest 90 d + max_lateness.
    """

    events: Recent = Recent()
    orders: tuple[int, ...] = ()
    late_orders: tuple[int, ...] = ()
    first_at: int = NEVER
    last_at: int = LONG_AGO
    days: int = 0
    spend: int = 0
    first_day_spend: int = 0
    ring_days: tuple[int, ...] = ()
    ring_orders: tuple[int, ...] = ()
    ring_spend: tuple[int, ...] = ()


class LoginRates(Struct, frozen=True, array_like=True, gc=False):
    """Two exponentially decayed counts of logins, as of the newest of them, at `at`.

    lifted_at: the login that last lifted the ratio of the two rates above the rule's threshold.
    fell_at: where that login's successors left the ratio at or below it, the instant at which it
    had fallen there; NEVER while the newest login leaves it above.
    """

    count: int = 0
    fast: float = 0.0
    slow: float = 0.0
    at: int = LONG_AGO
    lifted_at: int = LONG_AGO
    fell_at: int = NEVER


class Logins(Struct, frozen=True, array_like=True, gc=False):
    """The rates as of the newest login, and those just before the oldest login in `events`.

    A late login is folded from `base` through `events` in order, so that the order of arrival
    leaves no trace, not even in the last bit of a float.
    """

    events: Recent = Recent()
    rates: LoginRates = LoginRates()
    base: LoginRates = LoginRates()


class Ticket(Struct, frozen=True, array_like=True, gc=False):
    """The steps of one ticket in order of (instant, status, hash of the step's id)."""

    key: int
    instants: tuple[int, ...]
    statuses: tuple[int, ...]
    priorities: tuple[int, ...]
    hashes: tuple[int, ...]


class Support(Struct, frozen=True, array_like=True, gc=False):
    """Tickets by hash of their id, and the openings of the last 240 days."""

    events: Recent = Recent()
    tickets: tuple[Ticket, ...] = ()
    openings: tuple[int, ...] = ()
    opening_hashes: tuple[int, ...] = ()


class Firing(Struct, frozen=True, array_like=True, gc=False):
    """One trigger that has gone out; kept while it can still be ended, repeated or defer another.

    episode_at: start of the spell's day, or the instant of the event that names the episode.
    episode_key: 0, or the hash of that event. revision: how often this rule had fired in this
    episode and was taken back. state: see streams.core.firings.State.
    """

    rule: str
    version: int
    step: int
    episode_at: int
    episode_key: int
    revision: int
    due: int
    state: int


class Customer(Struct, frozen=True, array_like=True, gc=False):
    """Everything Winback remembers of one customer, apart from the id, which is the key.

    stage: index into streams.core.lifecycle.Stage. lapsed_day: day of the spell whose lapse has
    been settled. wake_*: the earliest instant still to come of each family of rules. forgotten_at: of
    the customer's erasure; nothing dated at or before it is folded.
    """

    purchases: Purchases | None = None
    logins: Logins | None = None
    support: Support | None = None
    firings: tuple[Firing, ...] = ()
    stage: int = 0
    lapsed_day: int = LONG_AGO
    wake_spell: int = NEVER
    wake_support: int = NEVER
    wake_logins: int = NEVER
    forgotten_at: int = NOT_FORGOTTEN


def is_stub(customer: Customer) -> bool:
    """Whether nothing is left of a customer but that they were forgotten."""
    return customer.forgotten_at != NOT_FORGOTTEN and customer == Customer(forgotten_at=customer.forgotten_at)


class SourcePosition(Struct, frozen=True, array_like=True, gc=False):
    """Where a partition stands in one source topic.

    next_offset: the first record not yet folded. newest: running maximum of occurred_at. end: for
    a bounded replay the offset at which this source ends, else None.
    """

    next_offset: int
    newest: int
    end: int | None = None


class PartitionRecord(Struct, frozen=True, array_like=True, gc=False):
    """Where a partition stands: in the order purchases, logins, support-tickets; and its clock.

    until: the end instant of the bounded replay whose ends the sources hold, else None. erasures_next:
    the first offset of `erasures` that has not been obeyed; erasures_end: for a bounded replay the
    offset at which they end, else None.
    """

    sources: tuple[SourcePosition, SourcePosition, SourcePosition]
    clock: int
    until: int | None = None
    erasures_next: int = 0
    erasures_end: int | None = None
