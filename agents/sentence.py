"""A trigger in one sentence, for the people who act on it.

Says what happened, when, why the score is what it is (its largest drivers, in words), and what is at
stake. Numbers are those of the due instant, since that is when the rule came true.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

from schemas.triggers import Driver, Score, Trigger, Value
from streams.playbook_file import minor_digits

_REASONS: Final = {
    "prior": "how customers in general behave",
    "history": "how this customer has bought so far",
    "silence": "the length of this silence",
}
_NAMES: Final = {
    "risk_medium": "the medium risk",
    "risk_high": "the high risk",
    "silent_for": "the alarm about their silence",
    "second_order_due": "the wait for a second order",
    "winback_1": "step 1 of winning them back",
    "winback_2": "step 2 of winning them back",
    "winback_3": "step 3 of winning them back",
    "sla_breach": "the overdue reply",
    "ticket_spike": "the spike of tickets",
    "login_decay": "the drop in sign-ins",
}


def sentence(trigger: Trigger) -> str:
    """One plain sentence with a full stop, for any trigger, also of a rule this program does not know."""
    text = _ENDINGS[trigger.kind](trigger) if trigger.kind in _ENDINGS else _started(trigger)
    marks = []
    if trigger.holdout:
        marks.append("holdout: leave them alone")
    if trigger.stale:
        marks.append("too old to act on")
    if trigger.moved_by:
        marks.append(f"found by a new {trigger.moved_by}")
    return f"{text} ({'; '.join(marks)})." if marks else f"{text}."


def money(amount_minor: int, currency: str) -> str:
    """An amount in minor units as people write it: 1,234.50 USD."""
    digits = minor_digits(currency)
    return f"{amount_minor / 10**digits:,.{digits}f} {currency}"


def reasons(score: Score) -> str:
    """The driver that pushes the score up most, others at least half as strong, and the main brake.

    Empty where no driver pushes either way.
    """
    up = sorted((driver for driver in score.drivers if driver.logit > 0), key=_size, reverse=True)
    down = max((driver for driver in score.drivers if driver.logit < 0), key=_size, default=None)
    words = ""
    if up:
        strong = [_REASONS[driver.name] for driver in up if 2 * driver.logit >= up[0].logit]
        words = f"mostly because of {', then '.join(strong)}"
    if down:
        words += f"{', ' if words else ''}in spite of {_REASONS[down.name]}"
    return words


def _started(trigger: Trigger) -> str:
    tell = _STARTS.get(trigger.rule)
    if tell is None:
        return f"{trigger.customer_id}: {trigger.rule} came true on {_day(trigger.due_at)}"
    return tell(trigger)


def _risk(trigger: Trigger) -> str:
    score = trigger.score
    chance = f"; the risk that they stay away is {score.p_lapse:.0%}" if score else ""
    return f"{trigger.customer_id} {_silence(trigger)}{chance}{_because(score)}{_stake(trigger.value)}"


def _plain_silence(trigger: Trigger) -> str:
    return f"{trigger.customer_id} {_silence(trigger)}{_stake(trigger.value)}"


def _second_order(trigger: Trigger) -> str:
    return (
        f"{trigger.customer_id} placed a first order on {_since(trigger)} and no second one in the "
        f"{_days_silent(trigger)} since{_stake(trigger.value)}"
    )


def _win_back(trigger: Trigger) -> str:
    return (
        f"{trigger.customer_id} has lapsed: nothing bought for {_days_silent(trigger)}, since "
        f"{_since(trigger)}; step {trigger.step} of winning them back is due{_stake(trigger.value)}"
    )


def _unanswered(trigger: Trigger) -> str:
    return f"{trigger.customer_id} still waits for a reply that was promised by {_minute(trigger.due_at)}"


def _many_tickets(trigger: Trigger) -> str:
    return (
        f"{trigger.customer_id} has opened far more support tickets than usual, "
        f"the latest on {_day(trigger.due_at)}"
    )


def _few_logins(trigger: Trigger) -> str:
    return f"{trigger.customer_id} signs in far less often than they used to{_stake(trigger.value)}"


def _cleared(trigger: Trigger) -> str:
    if _spell_start(trigger):
        return f"{trigger.customer_id} ordered{_on(trigger.ended_at)}, so {_name(trigger)} is over"
    return f"{trigger.customer_id}: {_name(trigger)} was settled{_on(trigger.ended_at)}"


def _achieved(trigger: Trigger) -> str:
    return (
        f"{trigger.customer_id} is back: they ordered{_on(trigger.ended_at)}, after step {trigger.step} "
        f"and a silence that began on {_since(trigger)}"
    )


def _revoked(trigger: Trigger) -> str:
    what = f"{trigger.customer_id}: {_name(trigger)} of {_day(trigger.due_at)} is taken back"
    if trigger.ended_at is None:
        return what
    return f"{what}, since something that happened on {_day(trigger.ended_at)} became known only later"


def _silence(trigger: Trigger) -> str:
    return f"has bought nothing for {_days_silent(trigger)}, since {_since(trigger)}"


def _because(score: Score | None) -> str:
    why = reasons(score) if score else ""
    return f", {why}" if why else ""


def _stake(value: Value | None) -> str:
    if value is None or value.at_risk_minor <= 0:
        return ""
    return f"; {money(value.at_risk_minor, value.currency)} is at stake"


def _spell_start(trigger: Trigger) -> datetime | None:
    """The start of the spell's day, of an episode `spell:2026-01-31`; None of any other episode."""
    family, _, day = trigger.episode.partition(":")
    if family != "spell":
        return None
    return datetime.fromisoformat(day).replace(tzinfo=UTC)


def _since(trigger: Trigger) -> str:
    start = _spell_start(trigger)
    return _day(start) if start else "an unknown day"


def _days_silent(trigger: Trigger) -> str:
    """Calendar days between the last order and the due instant."""
    start = _spell_start(trigger)
    days = (trigger.due_at - start).days if start else 0
    return "1 day" if days == 1 else f"{days} days"


def _name(trigger: Trigger) -> str:
    return _NAMES.get(trigger.rule, trigger.rule)


def _on(instant: datetime | None) -> str:
    return f" on {_day(instant)}" if instant else ""


def _day(instant: datetime) -> str:
    return f"{instant.astimezone(UTC):%Y-%m-%d}"


def _minute(instant: datetime) -> str:
    return f"{instant.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _size(driver: Driver) -> float:
    return abs(driver.logit)


_STARTS: Final[Mapping[str, Callable[[Trigger], str]]] = MappingProxyType(
    {
        "risk_medium": _risk,
        "risk_high": _risk,
        "silent_for": _plain_silence,
        "second_order_due": _second_order,
        "winback_1": _win_back,
        "winback_2": _win_back,
        "winback_3": _win_back,
        "sla_breach": _unanswered,
        "ticket_spike": _many_tickets,
        "login_decay": _few_logins,
    }
)
_ENDINGS: Final[Mapping[str, Callable[[Trigger], str]]] = MappingProxyType(
    {"cleared": _cleared, "achieved": _achieved, "revoked": _revoked}
)
