"""Why a customer stands where they stand: what `winback explain` shows, as data.

It asks the same pure rules as `advance`, of the same state, so it cannot tell another story.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final, Literal

from msgspec import Struct

from schemas.customer import Customer, Firing
from schemas.instants import instant
from schemas.triggers import Level, Score, StageName, Value, Windows
from streams.core.facets.support import STARTS
from streams.core.firings import History, State
from streams.core.lifecycle import LABELS
from streams.core.message import episode_name, judge, level_of
from streams.core.playbook import Playbook, Rule
from streams.core.rules import ABOUT, LAPSED_RULES, LOGIN_RULES, SILENCE_RULES, SUPPORT_RULES
from streams.core.rules.due import Due
from streams.core.rules.lapse import Spell
from streams.core.windows import windows_at

Standing = Literal["off", "open", "due", "waiting"]
"""off: not in the playbook. open: has fired and stands. due: will fire at `at` if nothing more
happens. waiting: nothing to fire about."""


class RuleStanding(Struct, frozen=True):
    """One rule and this customer. at: the instant it fired, or will fire."""

    rule: str
    standing: Standing
    at: datetime | None
    episode: str | None
    action: str
    cleared_by: str
    level: Level | None


class Explanation(Struct, frozen=True):
    """One customer as of one instant. score and value: None for one who has never bought."""

    customer_id: str
    as_of: datetime
    stage: StageName
    level: Level | None
    orders_on_days: int
    first_order: datetime | None
    last_order: datetime | None
    spend_minor: int
    currency: str
    windows: Windows
    logins: int
    open_tickets: int
    score: Score | None
    value: Value | None
    rules: tuple[RuleStanding, ...]


def explain(customer_id: str, customer: Customer, *, now: int, playbook: Playbook) -> Explanation:
    """The customer as of `now` (ms since the epoch)."""
    purchases = customer.purchases
    bought = purchases is not None and purchases.days > 0
    score, value = judge(purchases, now, playbook)
    dues = _dues(customer, playbook)
    return Explanation(
        customer_id=customer_id,
        as_of=instant(now),
        stage=LABELS[customer.stage],
        level=level_of(customer.firings),
        orders_on_days=purchases.days if purchases else 0,
        first_order=instant(purchases.first_at) if purchases and bought else None,
        last_order=instant(purchases.last_at) if purchases and bought else None,
        spend_minor=purchases.spend if purchases else 0,
        currency=playbook.currency,
        windows=windows_at(purchases, now),
        logins=customer.logins.rates.count if customer.logins else 0,
        open_tickets=_open_tickets(customer),
        score=score,
        value=value,
        rules=tuple(_standing(name, customer, dues, playbook) for name in ABOUT),
    )


def _dues(customer: Customer, playbook: Playbook) -> dict[str, Due]:
    """What each rule answers now, also those that nobody asks before the lapse."""
    history = History(customer.firings)
    answers: list[Due | None] = []
    purchases = customer.purchases
    if purchases is not None and purchases.days:
        spell = Spell(purchases, playbook, customer.lapsed_day)
        answers += [rule(spell, history, playbook) for rule in (*SILENCE_RULES, *LAPSED_RULES)]
    if customer.support is not None:
        answers += [rule(customer.support, history, playbook) for rule in SUPPORT_RULES]
    if customer.logins is not None:
        answers += [rule(customer.logins, history, playbook) for rule in LOGIN_RULES]
    return {due.rule: due for due in answers if due is not None}


def _standing(name: str, customer: Customer, dues: Mapping[str, Due], playbook: Playbook) -> RuleStanding:
    settings: Rule | None = getattr(playbook, name)
    about = ABOUT[name]
    firing = _open_firing(name, customer)
    due = dues.get(name)
    standing: Standing = "waiting"
    at = episode = None
    if settings is None:
        standing = "off"
    elif firing is not None:
        standing, at, episode = "open", instant(firing.due), episode_name(about.family, firing)
    elif due is not None:
        standing, at = "due", instant(due.at)
    return RuleStanding(
        rule=name,
        standing=standing,
        at=at,
        episode=episode,
        action=settings.action if settings else "",
        cleared_by=about.cleared_by,
        level=about.level,
    )


_NEVER_ENDED: Final = frozenset({"ticket_spike"})


def _open_firing(name: str, customer: Customer) -> Firing | None:
    """The newest open firing of a rule; one that nothing ends is a moment of the past."""
    if name in _NEVER_ENDED:
        return None
    found = [firing for firing in customer.firings if firing.rule == name and firing.state == State.OPEN]
    return max(found, key=_due, default=None)


def _due(firing: Firing) -> int:
    return firing.due


def _open_tickets(customer: Customer) -> int:
    """Tickets whose last step is not an answer, of those still remembered."""
    if customer.support is None:
        return 0
    return sum(ticket.statuses[-1] in STARTS for ticket in customer.support.tickets)
