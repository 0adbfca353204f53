"""From a firing to the message that goes out: everything the trigger says about itself."""

from functools import lru_cache
from typing import Final, Literal

from schemas.customer import NEVER, Customer, Firing, Purchases, wake_of
from schemas.instants import instant
from schemas.triggers import ChurnRisk, CustomerHealth, Level, MovedBy, Score, Value, WinBack
from streams.core.firings import State
from streams.core.identity import trigger_id
from streams.core.lifecycle import LABELS
from streams.core.playbook import DAY, Playbook, Rule
from streams.core.rules import ABOUT, Family
from streams.core.score import p_lapse, score_at, silence_of
from streams.core.value import value_of
from streams.core.windows import windows_at

Kind = Literal["raised", "cleared", "revoked", "due", "achieved"]

_NO_RULE: Final = Rule()


def trigger_of(
    customer_id: str,
    purchases: Purchases | None,
    firing: Firing,
    kind: Kind,
    *,
    now: int,
    playbook: Playbook,
    holdout: bool,
    ended_at: int | None = None,
    moved_by: MovedBy | None = None,
) -> ChurnRisk | WinBack:
    """The trigger of this kind about this firing; score, value and windows as of its due instant.

    purchases: as they stood before the event that ended the firing, if one did.
    """
    about = ABOUT[firing.rule]
    settings: Rule = getattr(playbook, firing.rule) or _NO_RULE
    score, value = judge(purchases, firing.due, playbook)
    message = ChurnRisk if about.topic == "churn-risk" else WinBack
    return message(
        id=trigger_id(customer_id, firing, kind),
        customer_id=customer_id,
        rule=firing.rule,
        rule_version=firing.version,
        kind=kind,
        episode=episode_name(about.family, firing),
        step=firing.step,
        due_at=instant(firing.due),
        detected_at=instant(now),
        windows=windows_at(purchases, firing.due),
        holdout=holdout,
        suggested_action=settings.action,
        cleared_by=about.cleared_by,
        level=about.level,
        score=score,
        value=value,
        ended_at=None if ended_at is None else instant(ended_at),
        moved_by=moved_by,
    )


def episode_name(family: Family, firing: Firing) -> str:
    """What the firing is about, readable and unique for the customer."""
    if family is Family.SPELL:
        return _spell_name(firing.episode_at)
    name = f"{family.name.lower()}:{instant(firing.episode_at).isoformat(timespec='milliseconds')}"
    return f"{name}:{firing.episode_key:016x}" if firing.episode_key else name


@lru_cache(maxsize=4096)
def _spell_name(starts_at: int) -> str:
    # All customers share the same few days.
    return f"spell:{instant(starts_at).date().isoformat()}"


def health_of(customer_id: str, customer: Customer, *, now: int, playbook: Playbook) -> CustomerHealth:
    """How the customer stands at `now`."""
    purchases = customer.purchases
    wake_at = wake_of(customer)
    probability = None
    if purchases is not None and purchases.days:
        silence = silence_of(playbook.model, purchases.days, purchases.first_at, purchases.last_at)
        probability = p_lapse(silence, playbook.lapse_age, now - purchases.last_at)
    return CustomerHealth(
        customer_id=customer_id,
        stage=LABELS[customer.stage],
        level=level_of(customer.firings),
        windows=windows_at(purchases, now),
        next_deadline=None if wake_at == NEVER else instant(wake_at),
        as_of=instant(now),
        p_lapse=probability,
    )


def level_of(firings: tuple[Firing, ...]) -> Level | None:
    """The highest level of risk that stands open."""
    level: Level | None = None
    for firing in firings:
        if firing.state == State.OPEN:
            if firing.rule == "risk_high":
                return "high"
            if firing.rule == "risk_medium":
                level = "medium"
    return level


def judge(purchases: Purchases | None, at: int, playbook: Playbook) -> tuple[Score | None, Value | None]:
    """Score and value as of `at`; None for a customer who has never bought.

    None too where a purchase day has followed since, as before the end of a breach of long ago: the
    state tells of the newest silence alone.
    """
    if purchases is None or not purchases.days or at // DAY < purchases.last_at // DAY:
        return None, None
    silence = silence_of(playbook.model, purchases.days, purchases.first_at, purchases.last_at)
    silent = at - purchases.last_at
    score = score_at(playbook.model, silence, playbook.lapse_age, silent)
    repeat_spend = purchases.spend - purchases.first_day_spend
    value = value_of(playbook, silence, silent, score.p_lapse, repeat_spend)
    return score, value
