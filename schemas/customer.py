"""A customer at rest: one struct of facets. It is a wire format, since the changelog keeps it.

All instants are milliseconds since the epoch, UTC; all days are days since the epoch; money is in
minor units of the base currency. `schemas/record.py` packs it into a changelog value.
"""

from msgspec import Struct

NEVER = 2**62
"""A deadline that will not come."""

LONG_AGO = -(2**62)
"""An instant before every event."""


class Recent(Struct, frozen=True, array_like=True):
    """The events of the last `max_lateness`, oldest first, by 64-bit hash of their id.

    `horizon`: at or below it nothing is accepted any more, since the record of what was applied
    there has been evicted.
    """

    hashes: tuple[int, ...] = ()
    instants: tuple[int, ...] = ()
    horizon: int = LONG_AGO


class Purchases(Struct, frozen=True, array_like=True):
    """Recency, frequency, money, and the ring of day buckets.

    days: distinct days with an order. spend: all orders less refunds; first_day_spend: that of the
    first day. ring_days, ring_orders, ring_spend: sparse, ascending, newest 90 d + max_lateness.
    """

    events: Recent = Recent()
    orders: Recent = Recent()
    first_at: int = NEVER
    last_at: int = LONG_AGO
    days: int = 0
    spend: int = 0
    first_day_spend: int = 0
    ring_days: tuple[int, ...] = ()
    ring_orders: tuple[int, ...] = ()
    ring_spend: tuple[int, ...] = ()


class Logins(Struct, frozen=True, array_like=True):
    """Two exponentially decayed counts of logins, each as of the newest login.

    base_*: the same recurrence up to the newest login older than `events`, from which a late login
    is folded again in order, so that arrival order leaves no trace in the last bit.
    """

    events: Recent = Recent()
    count: int = 0
    fast: float = 0.0
    slow: float = 0.0
    lifted_at: int = LONG_AGO
    base_count: int = 0
    base_fast: float = 0.0
    base_slow: float = 0.0
    base_at: int = LONG_AGO
    base_lifted_at: int = LONG_AGO


class Ticket(Struct, frozen=True, array_like=True):
    """The steps of one ticket in order of (instant, status, hash of the step's id)."""

    key: int
    instants: tuple[int, ...]
    statuses: tuple[int, ...]
    priorities: tuple[int, ...]
    hashes: tuple[int, ...]


class Support(Struct, frozen=True, array_like=True):
    """Tickets by hash of their id, and the openings of the last 240 days."""

    events: Recent = Recent()
    tickets: tuple[Ticket, ...] = ()
    openings: tuple[int, ...] = ()
    opening_hashes: tuple[int, ...] = ()


class Firing(Struct, frozen=True, array_like=True):
    """One trigger that has gone out; kept while it can still be ended, repeated or defer another.

    episode_at: start of the spell's day, or the instant of the event that names the episode.
    episode_key: 0, or the hash of that event. state: 0 open, 1 ended, 2 revoked, 3 counted as
    fired because a higher level fired.
    """

    rule: str
    version: int
    step: int
    episode_at: int
    episode_key: int
    revision: int
    due: int
    state: int


class Customer(Struct, frozen=True, array_like=True):
    """Everything Winback remembers of one customer, apart from the id, which is the key.

    wake_*: the earliest instant still to come of each family of rules. stage: index into
    streams.core.lifecycle.Stage. lapsed_spell: day of the spell whose lapse has been settled.
    """

    purchases: Purchases | None = None
    logins: Logins | None = None
    support: Support | None = None
    firings: tuple[Firing, ...] = ()
    stage: int = 0
    settled_lapse: int = LONG_AGO
    wake_spell: int = NEVER
    wake_support: int = NEVER
    wake_logins: int = NEVER


class SourcePosition(Struct, frozen=True, array_like=True):
    """Where a partition stands in one source topic.

    next_offset: the first record not yet folded. newest: running maximum of occurred_at. end: for
    a bounded replay the offset at which this source ends, else None.
    """

    next_offset: int
    newest: int
    end: int | None = None


class PartitionRecord(Struct, frozen=True, array_like=True):
    """Where a partition stands: in the order purchases, logins, support-tickets; and its clock."""

    sources: tuple[SourcePosition, SourcePosition, SourcePosition]
    clock: int
