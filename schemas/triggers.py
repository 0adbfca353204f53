"""What Winback says: `churn-risk` and `win-back` triggers, version 1.

The id of a trigger is deterministic (streams/core/identity.py), so every marketing platform's
idempotency field takes it as it is. `due_at` is the instant at which the rule came true, and the
CloudEvent's `time`; `detected_at` is the partition's clock when it fired.
"""

from datetime import datetime
from typing import Literal

from msgspec import Struct

Level = Literal["medium", "high"]
Origin = Literal["live", "replay", "backfill"]
MovedBy = Literal["model", "playbook"]
StageName = Literal["prospect", "new", "active", "at_risk", "lapsed", "won_back"]


class Window(Struct, frozen=True):
    """What a customer bought in a window of whole days, refunds subtracted from the spend."""

    orders: int
    spend_minor: int


class Windows(Struct, frozen=True):
    """The UTC day of the due instant and the 6, 29 and 89 days before it."""

    days_7: Window
    days_30: Window
    days_90: Window


class Driver(Struct, frozen=True):
    """One reason behind a score, in log-odds. The drivers of a score add up to its logit."""

    name: Literal["prior", "history", "silence"]
    logit: float


class Score(Struct, frozen=True):
    """`p_lapse`: probability that this silence reaches the lapse age; 1 by definition from there.

    `drivers` explain the probability named by `explains`: p_lapse before the lapse age, and from
    there on p_dead, the probability that the customer has stopped buying for good.
    """

    p_lapse: float
    explains: Literal["p_lapse", "p_dead"]
    logit: float
    drivers: tuple[Driver, ...]


class Value(Struct, frozen=True):
    """What is at stake, in minor units of the base currency.

    at_risk = p_lapse x (annual x (1 + expansion) + acquisition cost).
    """

    currency: str
    at_risk_minor: int
    annual_minor: int
    order_minor: int


class Trigger(Struct, frozen=True, omit_defaults=True):
    """The common body of both kinds of trigger."""

    id: str
    customer_id: str
    rule: str
    rule_version: int
    kind: Literal["raised", "cleared", "revoked", "due", "achieved"]
    episode: str
    step: int
    due_at: datetime
    detected_at: datetime
    windows: Windows
    holdout: bool
    suggested_action: str
    cleared_by: str
    """What would clear it, in words a marketer reads."""
    level: Level | None = None
    score: Score | None = None
    """None for a customer who has never bought: there is no silence to judge yet. None too where
    this is said only after further purchase days: the silence of then is not remembered."""
    value: Value | None = None
    ended_at: datetime | None = None
    """For cleared, revoked and achieved: the instant of the event that ended it."""
    moved_by: MovedBy | None = None
    origin: Origin = "live"
    stale: bool = False
    """Older than the staleness limit when it fired: for the record, not for delivery."""


class ChurnRisk(Trigger, frozen=True, omit_defaults=True):
    """On topic `churn-risk`; kind is raised, cleared or revoked."""


class WinBack(Trigger, frozen=True, omit_defaults=True):
    """On topic `win-back`; kind is due, achieved or revoked."""


class CustomerHealth(Struct, frozen=True):
    """On the compacted topic `customer-health`: one record a customer, when stage or level changed."""

    customer_id: str
    stage: StageName
    level: Level | None
    windows: Windows
    next_deadline: datetime | None
    as_of: datetime
    p_lapse: float | None
