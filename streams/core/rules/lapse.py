"""Silence after a purchase day: risk_medium, risk_high, silent_for, second_order_due.

Who only wants to know when the first of them is due tells each the earliest instant so far,
`before`: a rule that cannot be due before it may answer None without working out when it is.
"""

from mypy_extensions import i64, mypyc_attr

from schemas.customer import NEVER, Purchases
from streams.core.firings import History
from streams.core.playbook import DAY, Playbook, Risk
from streams.core.rules.due import Due
from streams.core.score import Silence, crossing, silence_of


@mypyc_attr(acyclic=True, free_list_len=1)
class Spell:
    """A silence after a purchase day; only an order on a later day ends it.

    starts_at: start of the spell's day, which names it. last_at: the newest order of that day.
    lapsed: its lapse has been settled. crossed, crossed_after: a threshold of P(lapse), and the silence
    that reaches it; no higher one is reached before.
    """

    __slots__ = (
        "crossed",
        "crossed_after",
        "day",
        "days",
        "first_at",
        "lapse_at",
        "lapsed",
        "last_at",
        "silence",
        "starts_at",
    )

    def __init__(self, purchases: Purchases, playbook: Playbook, lapsed_day: i64) -> None:
        self.first_at = purchases.first_at
        self.last_at = purchases.last_at
        self.days = purchases.days
        self.day = self.last_at // DAY
        self.starts_at = self.day * DAY
        self.lapsed = self.day == lapsed_day
        self.lapse_at = self.last_at + playbook.lapse_age
        self.crossed = 0.0
        self.crossed_after: i64 = 0
        self.silence: Silence = silence_of(playbook.model, self.days, self.first_at, self.last_at)


def risk_high(spell: Spell, history: History, playbook: Playbook, before: i64 = NEVER) -> Due | None:
    """P(lapse) reaches the upper threshold."""
    return _risk("risk_high", 1, playbook.risk_high, spell, history, playbook, before)


def risk_medium(spell: Spell, history: History, playbook: Playbook, before: i64 = NEVER) -> Due | None:
    """P(lapse) reaches the lower threshold, unless the upper has been reached before."""
    high = playbook.risk_high
    if (
        high is not None
        and playbook.levels == "highest"
        and history.has_fired("risk_high", high.version, 0, spell.starts_at)
    ):
        return None
    return _risk("risk_medium", 2, playbook.risk_medium, spell, history, playbook, before)


def _risk(  # noqa: PLR0917 - by position: it is asked twice for each purchase
    name: str, rank: i64, rule: Risk | None, spell: Spell, history: History, playbook: Playbook, before: i64
) -> Due | None:
    # Void for good at the lapse: what held it back till then may be forgotten by now.
    if rule is None or spell.lapsed or (spell.days == 1 and not playbook.include_first_order):
        return None
    if history.has_fired(name, rule.version, 0, spell.starts_at):
        return None
    least: i64 = rule.min_silence
    if spell.crossed_after > least and rule.probability >= spell.crossed:
        least = spell.crossed_after
    if spell.last_at + least >= before:
        return None
    silent = crossing(spell.silence, playbook.lapse_age, rule.probability, least)
    if silent > least:
        spell.crossed, spell.crossed_after = rule.probability, silent
    at = spell.last_at + silent
    at = history.after_cool_down(name, 0, at, rule.cool_down)
    if at >= spell.lapse_at:
        return None
    return Due(at, rank, name, rule.version, 0, spell.starts_at, at_once=at == spell.last_at)


def silent_for(spell: Spell, history: History, playbook: Playbook, before: i64 = NEVER) -> Due | None:
    """The shortest of the listed silences that has not fired yet."""
    rule = playbook.silent_for
    if rule is None:
        return None
    next_due: Due | None = None
    for days in rule.days:
        reached = spell.last_at + days * DAY
        if reached >= before:
            continue
        if history.has_fired("silent_for", rule.version, days, spell.starts_at):
            continue
        at = history.after_cool_down("silent_for", days, reached, rule.cool_down)
        if next_due is None or at < next_due.at:
            next_due = Due(at, 4, "silent_for", rule.version, days, spell.starts_at)
    return next_due


def second_order_due(spell: Spell, history: History, playbook: Playbook, before: i64 = NEVER) -> Due | None:
    """One order, and none since."""
    rule = playbook.second_order_due
    if rule is None or spell.days > 1 or spell.first_at + rule.after >= before:
        return None
    if history.has_fired("second_order_due", rule.version, 0, spell.starts_at):
        return None
    at = history.after_cool_down("second_order_due", 0, spell.first_at + rule.after, rule.cool_down)
    return Due(at, 3, "second_order_due", rule.version, 0, spell.starts_at)


def first_of_silence(spell: Spell, history: History, playbook: Playbook) -> i64:
    """The earliest instant at which one of the rules above fires, or the lapse where that is earlier.

    Every purchase asks this: so the rules are called by name, the cheapest to answer first, and those
    that can only come later answer nothing.
    """
    wake = spell.lapse_at
    wake = _earlier(second_order_due(spell, history, playbook, wake), wake)
    wake = _earlier(silent_for(spell, history, playbook, wake), wake)
    wake = _earlier(risk_medium(spell, history, playbook, wake), wake)
    return _earlier(risk_high(spell, history, playbook, wake), wake)


def _earlier(due: Due | None, wake: i64) -> i64:
    return due.at if due is not None and due.at < wake else wake
