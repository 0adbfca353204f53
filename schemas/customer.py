"""A customer at rest: one struct of facets. It is a wire format, since the changelog keeps it.

All instants are milliseconds since the epoch, UTC; all days are days since the epoch; money is in
minor units of the base currency. `schemas/record.py` packs it into a changelog value. Numbers, bytes
and tuples all the way down cannot form a cycle, so the garbage collector need not look (gc=False).
"""

from typing import Annotated, Final

from msgspec import Meta, Struct

NEVER = 2**62
"""A deadline that will not come."""

LONG_AGO = -(2**62)
"""An instant before every event, and before whatever is reckoned back from one."""

BEFORE_ALL = -1
"""An instant or a day before every event, since none is accepted that is dated before 1970; it takes one
byte where LONG_AGO takes nine."""

RULES: Final = (
    "risk_medium",
    "risk_high",
    "second_order_due",
    "silent_for",
    "winback_1",
    "winback_2",
    "winback_3",
    "sla_breach",
    "ticket_spike",
    "login_decay",
)
"""What has fired says its rule by the place here, for the rest of time: a new one goes to the end."""


class Recent(Struct, frozen=True, array_like=True, gc=False):
    """The events of the last `max_lateness`, oldest first; schemas/entries.py has the layout.

    entries: each with its instant and the 64-bit hash of its id, an order with that of the order's id
    too. horizon: at or below it nothing is accepted any more, since the record of what was applied
    there has been evicted. late: entries without their instants, of what was accepted although it was
    older than `max_lateness`.
    """

    entries: bytes = b""
    horizon: int = BEFORE_ALL
    late: bytes = b""


class Purchases(Struct, frozen=True, array_like=True, gc=False):
    """Recency, frequency, money, and the ring of day buckets.

    days: distinct days with an order. spend: all orders less refunds; first_day_spend: that of the
    first day. ring_days, ring_orders, ring_spend: sparse, ascending, newest 90 d + max_lateness.
    """

    events: Recent = Recent()
    first_at: int = NEVER
    last_at: int = BEFORE_ALL
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
    had fallen there; None while the newest login leaves it above.
    """

    count: int = 0
    fast: float = 0.0
    slow: float = 0.0
    at: int = BEFORE_ALL
    lifted_at: int = BEFORE_ALL
    fell_at: int | None = None


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

    number: the rule's place in RULES. episode_at: start of the spell's day, or the instant of the
    event that names the episode. episode_key: 0, or the hash of that event. revision: how often this
    rule had fired in this episode and was taken back. state: see streams.core.firings.State.
    """

    number: Annotated[int, Meta(ge=0, lt=len(RULES))]
    version: int
    step: int
    episode_at: int
    episode_key: int
    revision: int
    due: int
    state: int

    @property
    def rule(self) -> str:
        """The rule's name."""
        return RULES[self.number]


class Customer(Struct, frozen=True, array_like=True, gc=False):
    """Everything Winback remembers of one customer, apart from the id, which is the key.

    stage: index into streams.core.lifecycle.Stage. lapsed_day: day of the spell whose lapse has
    been settled. wake_*: the earliest instant still to come of each family of rules, None for none.
    forgotten_at: of the customer's erasure; nothing dated at or before it is folded.
    """

    purchases: Purchases | None = None
    logins: Logins | None = None
    support: Support | None = None
    firings: tuple[Firing, ...] = ()
    stage: int = 0
    lapsed_day: int = BEFORE_ALL
    wake_spell: int | None = None
    wake_support: int | None = None
    wake_logins: int | None = None
    forgotten_at: int = BEFORE_ALL


def is_stub(customer: Customer) -> bool:
    """Whether nothing is left of a customer but that they were forgotten."""
    return customer.forgotten_at != BEFORE_ALL and customer == Customer(forgotten_at=customer.forgotten_at)


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
