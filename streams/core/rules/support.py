"""Tickets: sla_breach (nobody answered in time) and ticket_spike (suddenly many of them)."""

from bisect import bisect_left, bisect_right
from typing import NamedTuple

from schemas.customer import Firing, Support
from schemas.tickets import Ticket
from streams.core.facets.support import ANSWERS, STARTS
from streams.core.firings import History
from streams.core.playbook import Playbook, TicketSpike
from streams.core.rules.due import Due


def sla_breach(support: Support, history: History, playbook: Playbook) -> Due | None:
    """The earliest end of an answer's time among the openings and reopenings still unanswered."""
    rule = playbook.sla_breach
    if rule is None:
        return None
    next_due: Due | None = None
    for ticket in support.tickets:
        for index in range(len(ticket.statuses) - 1, -1, -1):
            if ticket.statuses[index] in ANSWERS:
                break
            start, key = ticket.instants[index], ticket.hashes[index]
            if history.has_fired("sla_breach", rule.version, 0, start, key):
                continue
            due = start + rule.within[ticket.priorities[index]]
            at = history.after_cool_down("sla_breach", 0, due, rule.cool_down)
            if next_due is None or at < next_due.at:
                next_due = Due(at, 0, "sla_breach", rule.version, 0, start, key)
    return next_due


def answered_at(ticket: Ticket, firing: Firing) -> int | None:
    """The instant of the first answer after the opening that names the firing's episode, if any.

    None too where the opening is not this ticket's.
    """
    for index, (instant, key) in enumerate(zip(ticket.instants, ticket.hashes, strict=True)):
        if instant == firing.episode_at and key == firing.episode_key and ticket.statuses[index] in STARTS:
            for later in range(index + 1, len(ticket.statuses)):
                if ticket.statuses[later] in ANSWERS:
                    return ticket.instants[later]
    return None


class Spikes(NamedTuple):
    """The openings that are spikes, as (instant, hash), and how many a cool-down swallowed."""

    points: tuple[tuple[int, int], ...]
    cooling: int


def spikes(support: Support, rule: TicketSpike, since: int, last_due: int | None) -> Spikes:
    """Every opening from `since` on that makes the condition true after it was false.

    last_due: the rule's newest firing before `since`. A point rule does not wait for the end of a
    cool-down: what falls into it is dropped.
    """
    openings = support.openings
    points: list[tuple[int, int]] = []
    cooling = 0
    for index in range(bisect_left(openings, since), len(openings)):
        at = openings[index]
        if not _is_spike(openings, index + 1, at, rule) or _is_spike(openings, index, at, rule):
            continue
        if last_due is not None and at < last_due + rule.cool_down:
            cooling += 1
            continue
        points.append((at, support.opening_hashes[index]))
        last_due = at
    return Spikes(tuple(points), cooling)


def _is_spike(openings: tuple[int, ...], count: int, at: int, rule: TicketSpike) -> bool:
    """The condition at `at`, with the first `count` openings alone.

    Openings in (at - window, at] against `factor` times the base: those of the base window before
    it scaled to the window's length, but never less than one per `base_floor`. Integers only.
    """
    window_from = bisect_right(openings, at - rule.window, 0, count)
    recent = count - window_from
    if recent < rule.openings:
        return False
    base = window_from - bisect_right(openings, at - rule.window - rule.base_window, 0, count)
    return (
        recent * rule.base_window >= rule.factor * base * rule.window
        and recent * rule.base_floor >= rule.factor * rule.window
    )
