"""Each rule's definition, as plainly as it can be said: from the list of all events, at one instant.

Nothing here uses the core's facets, rules or score; the formulas are those of the literature. It is
slow, and knows of no state but that list.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

from streams.core.facets.support import unsigned
from streams.core.model import Model
from streams.core.playbook import DAY, Playbook, Risk, TicketSpike
from streams.core.stimuli import LoggedIn, Ordered, Status, TicketStep

WEEK = 7 * DAY

Event = Ordered | LoggedIn | TicketStep


class Claim(NamedTuple):
    """What a trigger asserts: this rule, in this step of this episode, holds."""

    rule: str
    step: int
    episode_at: int
    episode_key: int = 0


Dues = dict[Claim, int]
"""What has been said, and since when it holds. Cool-downs and levels look back at it."""


def true_at(events: Sequence[Event], playbook: Playbook, dues: Dues, at: int) -> set[Claim]:
    """Every claim that holds at `at` (ms), with all events up to and including that instant."""
    known = [event for event in events if event.at <= at]
    claims = {*_of_silence(known, playbook, at), *_of_tickets(known, playbook, at)}
    claims |= {*_of_logins(known, playbook, at)}
    return {claim for claim in claims if not _held_back(claim, playbook, dues, at)}


def spikes(events: Iterable[Event], rule: TicketSpike) -> list[Claim]:
    """The openings that are spikes; those in the cool-down of an earlier one are dropped."""
    openings = sorted(
        (event.at, unsigned(event.event))
        for event in events
        if isinstance(event, TicketStep) and event.status == Status.OPENED
    )
    found: list[Claim] = []
    for index, (at, key) in enumerate(openings):
        before = [instant for instant, _ in openings[:index]]
        if _many([*before, at], at, rule) and not _many(before, at, rule):
            if found and at < found[-1].episode_at + rule.cool_down:
                continue
            found.append(Claim("ticket_spike", 0, at, key))
    return found


def ended_at(events: Sequence[Event], playbook: Playbook, claim: Claim, due: int) -> int | None:
    """The first event after `due` that ends the claim; for events in order."""
    if claim.rule == "ticket_spike":
        return None
    if claim.rule == "login_decay":
        assert playbook.login_decay is not None
        lifts = _lifts(_logins(events), playbook.login_decay.ratio)
        return min((at for at in lifts if at > claim.episode_at), default=None)
    if claim.rule == "sla_breach":
        return min((step.at for step in _answers_to(events, claim)), default=None)
    day = claim.episode_at // DAY
    return min((at for at in _orders(events) if at // DAY > day), default=None)


def p_lapse(model: Model, order_instants: Sequence[int], lapse_age: int, at: int) -> float:
    """(u(D) + c) / (u(d) + c), in weeks; 1 from D on."""
    first, last = min(order_instants), max(order_instants)
    silent = at - last
    if silent >= lapse_age:
        return 1.0
    repeats = len({instant // DAY for instant in order_instants}) - 1
    scale = model.alpha + (last - first) / WEEK
    shape = model.r + repeats
    odds = model.a / (model.b + repeats)
    survives_lapse: float = (scale / (scale + lapse_age / WEEK)) ** shape
    survives: float = (scale / (scale + silent / WEEK)) ** shape
    return (survives_lapse + odds) / (survives + odds)


def login_ratio(login_instants: Iterable[int], at: int) -> float:
    """Two sums of exponentially decayed logins, each a rate: times ln 2 / half-life."""
    ages = [at - instant for instant in login_instants]
    fast: float = sum(0.5 ** (age / (7 * DAY)) for age in ages) / 7
    slow: float = sum(0.5 ** (age / (30 * DAY)) for age in ages) / 30
    return fast / slow


def first_instant(below: int, above: int, holds: Callable[[int], bool]) -> int:
    """The first ms at which `holds`, which is false at `below`, true at `above` and flips once."""
    while above - below > 1:
        middle = (below + above) // 2
        below, above = (below, middle) if holds(middle) else (middle, above)
    return above


def _held_back(claim: Claim, playbook: Playbook, dues: Dues, at: int) -> bool:
    """By the cool-down of an earlier firing, or by a higher level that has fired."""
    rule = getattr(playbook, claim.rule)
    for other, due in dues.items():
        if due > at or other == claim:
            continue
        if (other.rule, other.step) == (claim.rule, claim.step) and at < due + rule.cool_down:
            return True
        higher = claim.rule == "risk_medium" and other.rule == "risk_high"
        if higher and playbook.levels == "highest" and other.episode_at == claim.episode_at:
            return True
    return False


def _orders(events: Iterable[Event]) -> list[int]:
    return [event.at for event in events if isinstance(event, Ordered) and not event.refund]


def _logins(events: Iterable[Event]) -> tuple[int, ...]:
    return tuple(sorted(event.at for event in events if isinstance(event, LoggedIn)))


def _of_silence(known: Sequence[Event], playbook: Playbook, at: int) -> Iterable[Claim]:
    orders = _orders(known)
    if not orders:
        return
    days = {instant // DAY for instant in orders}
    episode, silent = max(days) * DAY, at - max(orders)
    risks: list[tuple[str, Risk | None]] = [
        ("risk_medium", playbook.risk_medium),
        ("risk_high", playbook.risk_high),
    ]
    for name, risk in risks:
        if (
            risk is not None
            and (len(days) > 1 or playbook.include_first_order)
            and risk.min_silence <= silent < playbook.lapse_age
            and p_lapse(playbook.model, orders, playbook.lapse_age, at) >= risk.probability
        ):
            yield Claim(name, 0, episode)
    for number in playbook.silent_for.days if playbook.silent_for else ():
        if silent >= number * DAY:
            yield Claim("silent_for", number, episode)
    second = playbook.second_order_due
    if second is not None and len(days) == 1 and at - min(orders) >= second.after:
        yield Claim("second_order_due", 0, episode)
    for step in (playbook.winback_1, playbook.winback_2, playbook.winback_3):
        if step is not None and silent >= step.lapse_ages * playbook.lapse_age:
            yield Claim(f"winback_{step.step}", step.step, episode)


def _of_tickets(known: Sequence[Event], playbook: Playbook, at: int) -> Iterable[Claim]:
    rule = playbook.sla_breach
    for event in known:
        if (
            rule is not None
            and isinstance(event, TicketStep)
            and event.status in {Status.OPENED, Status.REOPENED}
            and at >= event.at + rule.within[event.priority]
        ):
            claim = Claim("sla_breach", 0, event.at, unsigned(event.event))
            if not _answers_to(known, claim):
                yield claim


def _answers_to(events: Sequence[Event], claim: Claim) -> list[TicketStep]:
    steps = [event for event in events if isinstance(event, TicketStep)]
    (start,) = (step for step in steps if unsigned(step.event) == claim.episode_key)
    return [
        step
        for step in steps
        if step.ticket == start.ticket
        and step.status in {Status.REPLIED, Status.RESOLVED, Status.CLOSED}
        and (step.at, step.status) > (start.at, start.status)
    ]


def _of_logins(known: Sequence[Event], playbook: Playbook, at: int) -> Iterable[Claim]:
    rule, logins = playbook.login_decay, _logins(known)
    if rule is not None and len(logins) >= rule.min_logins and login_ratio(logins, at) <= rule.ratio:
        yield Claim("login_decay", 0, _lifts(logins, rule.ratio)[-1])


@lru_cache(maxsize=1024)
def _lifts(logins: tuple[int, ...], threshold: float) -> list[int]:
    """The logins that lifted the ratio above the threshold: it was not above it without them."""
    lifts: list[int] = []
    for index, at in enumerate(logins):
        above_before = index > 0 and login_ratio(logins[:index], at) > threshold
        if not above_before and login_ratio(logins[: index + 1], at) > threshold:
            lifts.append(at)
    return lifts


def _many(openings: Sequence[int], at: int, rule: TicketSpike) -> bool:
    """At least so many in the window, and so many times the base, with both as openings a day."""
    window = [instant for instant in openings if at - rule.window < instant <= at]
    base_from = at - rule.window - rule.base_window
    base = [instant for instant in openings if base_from < instant <= at - rule.window]
    enough = len(window) >= rule.openings
    # Cross-multiplied, since a ratio of whole numbers may stand exactly on the line.
    above_base = len(window) * rule.base_window >= rule.factor * len(base) * rule.window
    above_floor = len(window) * rule.base_floor >= rule.factor * rule.window
    return enough and above_base and above_floor
