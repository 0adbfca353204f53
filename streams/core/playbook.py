"""The rules and their thresholds, frozen. `streams/settings.py` and the loader fill them in.

Durations are milliseconds. A rule that is None is switched off.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from types import MappingProxyType
from typing import Final, Literal

from streams.core.model import Model

HOUR: Final = 3_600_000
DAY: Final = 24 * HOUR


@dataclass(frozen=True, slots=True)
class Rule:
    """What every rule has. `version` is part of a trigger's id: raise it to let a rule fire anew."""

    version: int = 1
    cool_down: int = 0
    action: str = ""


@dataclass(frozen=True, slots=True)
class Risk(Rule):
    """P(lapse) reaches `probability`, at least `min_silence` after the last purchase."""

    probability: float = 0.6
    min_silence: int = 14 * DAY


@dataclass(frozen=True, slots=True)
class SilentFor(Rule):
    """Plain silences of so many days: the baseline the benchmarks compare with."""

    days: tuple[int, ...] = (60, 90)


@dataclass(frozen=True, slots=True)
class SecondOrderDue(Rule):
    """One order, and none since for `after`."""

    after: int = 60 * DAY


@dataclass(frozen=True, slots=True)
class WinBackStep(Rule):
    """The silence reaches `lapse_ages` times the lapse age."""

    step: int = 1
    lapse_ages: Fraction = Fraction(1)


@dataclass(frozen=True, slots=True)
class SlaBreach(Rule):
    """No reply to an opening or reopening within the time its priority promises (low..urgent)."""

    within: tuple[int, int, int, int] = (24 * HOUR, 8 * HOUR, 4 * HOUR, 1 * HOUR)


@dataclass(frozen=True, slots=True)
class TicketSpike(Rule):
    """At least `openings` in `window`, and at least `factor` times the customer's own base."""

    openings: int = 3
    window: int = 30 * DAY
    factor: int = 3
    base_window: int = 180 * DAY
    base_floor: int = 90 * DAY
    """The base is never taken as less than one opening in so long."""


@dataclass(frozen=True, slots=True)
class LoginDecay(Rule):
    """The fast login rate falls to `ratio` of the slow one.

    The half-lives are the facet's (facets/logins.py), not the playbook's: they are folded into the
    state, and no later playbook could change them there.
    """

    ratio: float = 0.5
    min_logins: int = 5


@dataclass(frozen=True, slots=True)
class ValueOfCustomer:
    """expansion: the growth a kept customer brings, as a share. acquisition_minor: cost of a new one."""

    expansion: float = 0.0
    acquisition_minor: int = 0


@dataclass(frozen=True, slots=True)
class Playbook:
    """Everything a decision depends on besides the customer and the clock.

    minor_digits: decimal places of the base currency (2: cents). rates: minor units of the base
    currency for one minor unit of another.
    """

    model: Model
    currency: str = "USD"
    minor_digits: int = 2
    rates: Mapping[str, Fraction] = field(default_factory=lambda: MappingProxyType({}))
    lapse_age: int = 90 * DAY
    max_lateness: int = 30 * DAY
    staleness_limit: int = 2 * DAY
    include_first_order: bool = False
    levels: Literal["highest", "all"] = "highest"
    holdout_share: float = 0.05
    value: ValueOfCustomer = ValueOfCustomer()
    risk_medium: Risk | None = None
    risk_high: Risk | None = None
    silent_for: SilentFor | None = None
    second_order_due: SecondOrderDue | None = None
    winback_1: WinBackStep | None = None
    winback_2: WinBackStep | None = None
    winback_3: WinBackStep | None = None
    sla_breach: SlaBreach | None = None
    ticket_spike: TicketSpike | None = None
    login_decay: LoginDecay | None = None
    fingerprint_model: int = 0
    fingerprint_playbook: int = 0
