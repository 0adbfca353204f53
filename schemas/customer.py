"""A customer as Winback remembers them: facets of numbers and bytes. `schemas/record.py` has the layout
that the changelog keeps.

All instants are milliseconds since the epoch, UTC; all days are days since the epoch; money is in
minor units of the base currency. Nothing here is ever changed: whoever folds an event makes anew what
it touches. So there are no cycles, and compiled code does not tell the garbage collector of any of it.

The classes are written out by hand because they are compiled (streams/compiled.py): their fields are
then machine numbers, and an event costs a tenth of what it would as general objects.
"""

from typing import Final

from mypy_extensions import i64, mypyc_attr

from schemas.tickets import Ticket

NEVER: Final[i64] = 2**62
"""A deadline that will not come."""

LONG_AGO: Final[i64] = -(2**62)
"""An instant before every event, and before whatever is reckoned back from one."""

BEFORE_ALL: Final[i64] = -1
"""An instant or a day before every event, since none is accepted that is dated before 1970."""

LARGEST: Final[i64] = 2**61
"""No sum of money goes beyond it, up or down. It takes a million of the largest orders to get there."""

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


@mypyc_attr(acyclic=True)
class _Value:
    """Two of a kind are equal where all of their fields are."""

    __slots__ = ()

    def _fields(self) -> tuple[object, ...]:
        raise NotImplementedError

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Value) and type(other) is type(self) and self._fields() == other._fields()

    def __hash__(self) -> int:
        return hash(self._fields())

    def __repr__(self) -> str:
        return f"{type(self).__name__}{self._fields()}"


@mypyc_attr(acyclic=True)
class Recent(_Value):
    """The events of the last `max_lateness`, oldest first; schemas/entries.py has the layout.

    entries: each with its instant and the 64-bit hash of its id, an order with that of the order's id
    too. horizon: at or below it nothing is accepted any more, since the record of what was applied
    there has been evicted. late: entries without their instants, of what was accepted although it was
    older than `max_lateness`.
    """

    __slots__ = ("entries", "horizon", "late")

    def __init__(self, entries: bytes = b"", horizon: i64 = BEFORE_ALL, late: bytes = b"") -> None:
        self.entries: Final = entries
        self.horizon: Final = horizon
        self.late: Final = late

    def _fields(self) -> tuple[object, ...]:
        return self.entries, self.horizon, self.late


NO_EVENTS: Final = Recent()


@mypyc_attr(acyclic=True)
class Purchases(_Value):
    """Recency, frequency, money, and the ring of day buckets.

    days: distinct days with an order. spend: all orders less refunds; first_day_spend: that of the
    first day. ring: the days of the newest 90 d + max_lateness on which there was something, ascending;
    schemas/ring.py has the layout.
    """

    __slots__ = ("days", "events", "first_at", "first_day_spend", "last_at", "ring", "spend")

    def __init__(  # noqa: PLR0917 - by position: one is made for each purchase
        self,
        events: Recent = NO_EVENTS,
        first_at: i64 = NEVER,
        last_at: i64 = BEFORE_ALL,
        days: i64 = 0,
        spend: i64 = 0,
        first_day_spend: i64 = 0,
        ring: bytes = b"",
    ) -> None:
        self.events: Final = events
        self.first_at: Final = first_at
        self.last_at: Final = last_at
        self.days: Final = days
        self.spend: Final = spend
        self.first_day_spend: Final = first_day_spend
        self.ring: Final = ring

    def _fields(self) -> tuple[object, ...]:
        amounts = (self.days, self.spend, self.first_day_spend)
        return self.events, self.first_at, self.last_at, *amounts, self.ring


@mypyc_attr(acyclic=True)
class LoginRates(_Value):
    """Two exponentially decayed counts of logins, as of the newest of them, at `at`.

    lifted_at: the login that last lifted the ratio of the two rates above the rule's threshold.
    fell_at: where that login's successors left the ratio at or below it, the instant at which it
    had fallen there; NEVER while the newest login leaves it above.
    """

    __slots__ = ("at", "count", "fast", "fell_at", "lifted_at", "slow")

    def __init__(  # noqa: PLR0917 - by position: one is made for each login
        self,
        count: i64 = 0,
        fast: float = 0.0,
        slow: float = 0.0,
        at: i64 = BEFORE_ALL,
        lifted_at: i64 = BEFORE_ALL,
        fell_at: i64 = NEVER,
    ) -> None:
        self.count: Final = count
        self.fast: Final = fast
        self.slow: Final = slow
        self.at: Final = at
        self.lifted_at: Final = lifted_at
        self.fell_at: Final = fell_at

    def _fields(self) -> tuple[object, ...]:
        return self.count, self.fast, self.slow, self.at, self.lifted_at, self.fell_at


NO_LOGINS: Final = LoginRates()


@mypyc_attr(acyclic=True)
class Logins(_Value):
    """The rates as of the newest login, and those just before the oldest login in `events`.

    A late login is folded from `base` through `events` in order, so that the order of arrival
    leaves no trace, not even in the last bit of a float.
    """

    __slots__ = ("base", "events", "rates")

    def __init__(
        self, events: Recent = NO_EVENTS, rates: LoginRates = NO_LOGINS, base: LoginRates = NO_LOGINS
    ) -> None:
        self.events: Final = events
        self.rates: Final = rates
        self.base: Final = base

    def _fields(self) -> tuple[object, ...]:
        return self.events, self.rates, self.base


@mypyc_attr(acyclic=True)
class Support(_Value):
    """Tickets by hash of their id, and the openings of the last 240 days."""

    __slots__ = ("events", "opening_hashes", "openings", "tickets")

    def __init__(
        self,
        events: Recent = NO_EVENTS,
        tickets: tuple[Ticket, ...] = (),
        openings: tuple[int, ...] = (),
        opening_hashes: tuple[int, ...] = (),
    ) -> None:
        self.events: Final = events
        self.tickets: Final = tickets
        self.openings: Final = openings
        self.opening_hashes: Final = opening_hashes

    def _fields(self) -> tuple[object, ...]:
        return self.events, self.tickets, self.openings, self.opening_hashes


@mypyc_attr(acyclic=True)
class Firing(_Value):
    """One trigger that has gone out; kept while it can still be ended, repeated or defer another.

    number: the rule's place in RULES. episode_at: start of the spell's day, or the instant of the
    event that names the episode. episode_key: 0, or the hash of that event, unsigned. revision: how
    often this rule had fired in this episode and was taken back. state: see streams.core.firings.State.
    """

    __slots__ = ("due", "episode_at", "episode_key", "number", "revision", "state", "step", "version")

    def __init__(  # noqa: PLR0917 - as LoginRates
        self,
        number: i64,
        version: i64,
        step: i64,
        episode_at: i64,
        episode_key: int,
        revision: i64,
        due: i64,
        state: i64,
    ) -> None:
        self.number: Final = number
        self.version: Final = version
        self.step: Final = step
        self.episode_at: Final = episode_at
        self.episode_key: Final = episode_key
        self.revision: Final = revision
        self.due: Final = due
        self.state: Final = state

    @property
    def rule(self) -> str:
        """The rule's name."""
        return RULES[self.number]

    def turned(self, state: i64) -> "Firing":
        """The same in another state."""
        episode = (self.episode_at, self.episode_key)
        return Firing(self.number, self.version, self.step, *episode, self.revision, self.due, state)

    def _fields(self) -> tuple[object, ...]:
        numbers = (self.number, self.version, self.step, self.episode_at, self.episode_key)
        return *numbers, self.revision, self.due, self.state


@mypyc_attr(acyclic=True)
class Customer(_Value):
    """Everything Winback remembers of one customer, apart from the id, which is the key.

    stage: index into streams.core.lifecycle.Stage. lapsed_day: day of the spell whose lapse has
    been settled. wake_*: the earliest instant still to come of each family of rules, NEVER for none.
    forgotten_at: of the customer's erasure; nothing dated at or before it is folded.
    """

    __slots__ = (
        "firings",
        "forgotten_at",
        "lapsed_day",
        "logins",
        "purchases",
        "stage",
        "support",
        "wake_logins",
        "wake_spell",
        "wake_support",
    )

    def __init__(  # noqa: PLR0917 - by position: one is made for each event
        self,
        purchases: Purchases | None = None,
        logins: Logins | None = None,
        support: Support | None = None,
        firings: tuple[Firing, ...] = (),
        stage: i64 = 0,
        lapsed_day: i64 = BEFORE_ALL,
        wake_spell: i64 = NEVER,
        wake_support: i64 = NEVER,
        wake_logins: i64 = NEVER,
        forgotten_at: i64 = BEFORE_ALL,
    ) -> None:
        self.purchases: Final = purchases
        self.logins: Final = logins
        self.support: Final = support
        self.firings: Final = firings
        self.stage: Final = stage
        self.lapsed_day: Final = lapsed_day
        self.wake_spell: Final = wake_spell
        self.wake_support: Final = wake_support
        self.wake_logins: Final = wake_logins
        self.forgotten_at: Final = forgotten_at

    def _fields(self) -> tuple[object, ...]:
        facets = (self.purchases, self.logins, self.support, self.firings)
        wakes = (self.wake_spell, self.wake_support, self.wake_logins)
        return *facets, self.stage, self.lapsed_day, *wakes, self.forgotten_at


def wake_of(customer: Customer) -> i64:
    """The earliest instant (ms) at which a rule about this customer comes true; NEVER for none."""
    wake = customer.wake_spell
    wake = min(wake, customer.wake_support)
    return customer.wake_logins if customer.wake_logins < wake else wake


def is_stub(customer: Customer) -> bool:
    """Whether nothing is left of a customer but that they were forgotten."""
    return customer.forgotten_at != BEFORE_ALL and customer == Customer(forgotten_at=customer.forgotten_at)
