"""The working copy of one customer during one decision; advance.py says in which order it is used.

It never outlives the call of `advance`, and nothing outside the core sees it.
"""

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from mypy_extensions import i64, mypyc_attr

from schemas.customer import BEFORE_ALL, NEVER, RULES, Customer, Firing
from schemas.triggers import ChurnRisk, MovedBy, WinBack
from streams.core.facets.logins import rejudged
from streams.core.facets.support import ANSWERS, unsigned
from streams.core.firings import NOTHING, History, State
from streams.core.identity import in_holdout
from streams.core.lifecycle import MOVES, Signal
from streams.core.message import Kind, health_of, level_of, trigger_of
from streams.core.playbook import Playbook, Rule
from streams.core.rules import ABOUT, BY_NAME, LAPSED_RULES, LOGIN_RULES, SILENCE_RULES, SUPPORT_RULES, Family
from streams.core.rules.due import Due
from streams.core.rules.lapse import Spell, first_of_silence
from streams.core.rules.logins import still_true
from streams.core.rules.support import answered_at, spikes
from streams.core.step import Outcome, Step, Suppressed
from streams.core.stimuli import Status, TicketStep

_LAPSE = "lapse"
"""Not a rule of the playbook: the instant at which the stage turns to LAPSED; its step is the
spell's day."""

# Each access to a member of an enumeration is a call in Python 3.11; these are in everyone's way.
_SPELL: Final = int(Family.SPELL)
_SUPPORT: Final = int(Family.SUPPORT)
_LOGINS: Final = int(Family.LOGINS)
_FOLDED: Final = Outcome.FOLDED
_OPEN: Final = int(State.OPEN)
_ENDED: Final = int(State.ENDED)
_REVOKED: Final = int(State.REVOKED)
_LAPSED: Final = MOVES[Signal.LAPSE]
_AT_RISK: Final = MOVES[Signal.RISK]

_NUMBERS: Final = {rule: number for number, rule in enumerate(RULES)}
_NO_RULE = Rule()
_Subject = TypeVar("_Subject")
_RISKS = frozenset({"risk_medium", "risk_high"})


@mypyc_attr(acyclic=True, free_list_len=1)
class Draft:
    """One customer, being decided about."""

    __slots__ = (
        "_before",
        "_dues",
        "_history",
        "_holdout",
        "_moved_by",
        "_points",
        "_spell",
        "_suppressed",
        "_triggers",
        "_wake_logins",
        "_wake_spell",
        "_wake_support",
        "customer_id",
        "firings",
        "lapsed_day",
        "logins",
        "now",
        "playbook",
        "purchases",
        "stage",
        "support",
    )

    def __init__(self, customer_id: str, customer: Customer, now: i64, playbook: Playbook) -> None:
        self.customer_id = customer_id
        self.now = now
        self.playbook = playbook
        self.purchases = customer.purchases
        self.logins = customer.logins
        self.support = customer.support
        self.firings = customer.firings
        self.stage = customer.stage
        self.lapsed_day = customer.lapsed_day
        self._wake_spell = customer.wake_spell
        self._wake_support = customer.wake_support
        self._wake_logins = customer.wake_logins
        self._before = customer
        self._dues: list[list[Due] | None] = [None, None, None]
        self._points: tuple[Due, ...] = ()
        self._history: History | None = None
        self._moved_by: MovedBy | None = None
        self._triggers: tuple[ChurnRisk | WinBack, ...] = ()
        self._suppressed: tuple[Suppressed, ...] = ()
        self._spell: Spell | None = None
        self._holdout: bool | None = None

    # What is due

    def settle(self, limit: i64, made_at: i64 = BEFORE_ALL) -> None:
        """Fire what is due before `limit`, and what a stimulus at `made_at` made due at once."""
        reach = made_at + 1 if made_at >= limit else limit
        if (
            self._wake_spell >= reach
            and self._wake_support >= reach
            and self._wake_logins >= reach
            and not self._points
        ):
            return
        while (due := self._next(limit, reach)) is not None:
            self._fire(due)

    def recompute(self, moved_by: MovedBy) -> None:
        """Ask every rule again: the model or the playbook is another one than the state's."""
        self._moved_by = moved_by
        rule = self.playbook.login_decay
        if rule is not None and self.logins is not None:
            self.logins = rejudged(self.logins, threshold=rule.ratio, min_logins=rule.min_logins)
        self.ask_spell()
        self.ask_support()
        self.ask_logins()

    def ask_spell(self) -> None:
        """Ask the rules of silence for the earliest of their instants; which it is, is asked when it
        has come: nearly always there is an order before it."""
        purchases = self.purchases
        self._dues[_SPELL] = self._spell = None
        if purchases is None or not purchases.days:
            self._wake_spell = NEVER
            return
        spell = Spell(purchases, self.playbook, self.lapsed_day)
        if spell.lapsed:
            self._ask_all_of_spell()
        else:
            self._wake_spell = first_of_silence(spell, self._told(), self.playbook)

    def _ask_all_of_spell(self) -> None:
        purchases = self.purchases
        dues: list[Due] = []
        if purchases is not None and purchases.days:
            spell = self._spell = Spell(purchases, self.playbook, self.lapsed_day)
            self._ask_each(SILENCE_RULES, spell, dues)
            if spell.lapsed:
                self._ask_each(LAPSED_RULES, spell, dues)
            else:
                dues.append(Due(spell.lapse_at, 0, _LAPSE, 0, spell.day, spell.starts_at))
        self._remember(_SPELL, dues)

    def _ask_again(self, fired: Due, spell: Spell) -> None:
        """One due of the spell has fired: only its own rule, and one it overrides, answer anew."""
        dues = [due for due in self._dues[_SPELL] or () if due is not fired]
        if fired.rule == _LAPSE:
            spell.lapsed = True
            self._ask_each(LAPSED_RULES, spell, dues)
        else:
            overridden = ABOUT[fired.rule].overrides
            if overridden is not None:
                dues = [due for due in dues if due.rule != overridden]
                self._ask_each((BY_NAME[overridden],), spell, dues)
            self._ask_each((BY_NAME[fired.rule],), spell, dues)
        self._remember(_SPELL, dues)

    def ask_support(self) -> None:
        """Ask the rules of tickets."""
        dues: list[Due] = []
        if self.support is not None:
            self._ask_each(SUPPORT_RULES, self.support, dues)
        self._remember(_SUPPORT, dues)

    def ask_logins(self) -> None:
        """Ask the rules of logins."""
        dues: list[Due] = []
        if self.logins is not None:
            self._ask_each(LOGIN_RULES, self.logins, dues)
        self._remember(_LOGINS, dues)

    def _ask_each(
        self,
        rules: Sequence[Callable[[_Subject, History, Playbook], Due | None]],
        subject: _Subject,
        dues: list[Due],
    ) -> None:
        history = self._told()
        for rule in rules:
            due = rule(subject, history, self.playbook)
            if due is not None:
                dues.append(due)

    def _remember(self, family: i64, dues: list[Due]) -> None:
        self._dues[family] = dues
        wake: i64 = NEVER
        for due in dues:
            if due.at < wake:  # noqa: PLR1730 - min() costs a call for each of a million purchases
                wake = due.at
        if family == _SPELL:
            self._wake_spell = wake
        elif family == _SUPPORT:
            self._wake_support = wake
        else:
            self._wake_logins = wake

    def _ask(self, family: i64) -> list[Due]:
        if family == _SPELL:
            self._ask_all_of_spell()
        elif family == _SUPPORT:
            self.ask_support()
        else:
            self.ask_logins()
        return self._dues[family] or []

    def _next(self, limit: i64, reach: i64) -> Due | None:
        """The earliest due before `limit`; and of those that a stimulus made at once, before `reach`."""
        earliest: Due | None = None
        wakes = (self._wake_spell, self._wake_support, self._wake_logins)
        for family, wake in enumerate(wakes):
            if wake >= reach:
                continue
            dues = self._dues[family]
            for due in self._ask(family) if dues is None else dues:
                if (earliest is None or due < earliest) and (
                    due.at < limit or (due.at_once and due.at < reach)
                ):
                    earliest = due
        for due in self._points:
            if earliest is None or due < earliest:
                earliest = due
        return earliest

    # What fires, and what ends

    def _fire(self, due: Due) -> None:
        if due.rule == _LAPSE:
            self.lapsed_day = due.step
            self.move(_LAPSED)
            self._ask_after(due, Family.SPELL)
            return
        about = ABOUT[due.rule]
        firing = Firing(
            _NUMBERS[due.rule],
            due.version,
            due.step,
            due.episode_at,
            due.episode_key,
            self._told().revisions(due.rule, due.version, due.step, due.episode_at, due.episode_key),
            due.at,
            _OPEN,
        )
        self._set_firings((*self.firings, firing))
        self._emit(firing, "raised" if about.topic == "churn-risk" else "due")
        if due.rule in _RISKS:
            self.move(_AT_RISK)
        self._points = tuple([point for point in self._points if point is not due])
        self._ask_after(due, about.family)

    def _ask_after(self, fired: Due, family: Family) -> None:
        if family is Family.SPELL and self._spell is not None:
            self._ask_again(fired, self._spell)
        else:
            self._ask(family)

    def end_spell(self, at: i64) -> None:
        """An order at `at`, on a later day, ends the spell; `purchases` still are those before it."""
        if not self.firings:
            return
        firings: list[Firing] = []
        achieved: Firing | None = None
        for firing in self.firings:
            if firing.state != _OPEN or ABOUT[firing.rule].family is not Family.SPELL:
                firings.append(firing)
                continue
            if firing.due >= at:
                firings.append(self._close(firing, "revoked", at))
            elif ABOUT[firing.rule].topic == "churn-risk":
                firings.append(self._close(firing, "cleared", at))
            else:
                if achieved is None or firing.due > achieved.due:
                    achieved = firing
                firings.append(firing.turned(_ENDED))
        if achieved is not None:
            self._emit(achieved, "achieved", at)
        self._set_firings(tuple(firings))

    def judge_login_decay(self, at: i64) -> None:
        """A login at `at` has been folded: does what login_decay has said still stand?"""
        rule, logins = self.playbook.login_decay, self.logins
        if rule is None or logins is None:
            return
        for firing in self._standing("login_decay"):
            if at <= firing.due and not still_true(logins, firing, rule):
                self._swap(firing, "revoked", at)
            elif firing.state == _OPEN and logins.rates.lifted_at != firing.episode_at:
                self._swap(firing, "cleared", max(at, logins.rates.lifted_at))

    def judge_sla(self, event: TicketStep) -> None:
        """A ticket's step has been folded: does it answer, in time or too late, a breach?"""
        if event.status not in ANSWERS or self.support is None:
            return
        for firing in self._standing("sla_breach"):
            for ticket in self.support.tickets:
                answered = answered_at(ticket, firing) if ticket.key == unsigned(event.ticket) else None
                if answered is None:
                    continue
                if answered <= firing.due:
                    self._swap(firing, "revoked", answered)
                elif firing.state == _OPEN:
                    self._swap(firing, "cleared", answered)

    def judge_spikes(self, event: TicketStep) -> None:
        """An opening has been folded: which openings from it on are spikes, and which are not?"""
        rule = self.playbook.ticket_spike
        if rule is None or event.status != Status.OPENED or self.support is None:
            return
        # Of what was said longer ago nothing is remembered, so it cannot be judged anew.
        since = max(event.at, self.now - self.playbook.max_lateness)
        standing = self._standing("ticket_spike")
        last_due = max([firing.due for firing in standing if firing.due < since], default=None)
        found = spikes(self.support, rule, since, last_due)
        for firing in standing:
            if firing.due >= since and (firing.due, firing.episode_key) not in found.points:
                self._swap(firing, "revoked", event.at)
        for at, key in found.points:
            if not self._told().has_fired("ticket_spike", rule.version, 0, at, key):
                point = Due(at, 10, "ticket_spike", rule.version, 0, at, key, at_once=True)
                self._points = (*self._points, point)
        if found.cooling:
            self._suppressed = (*self._suppressed, Suppressed("ticket_spike", "cool_down"))

    def move(self, move: tuple[int, ...]) -> None:
        """To another stage: by a row of MOVES."""
        self.stage = move[self.stage]

    # What comes out

    def step(self, outcome: Outcome) -> Step:
        """The decision."""
        before = self._before
        firings = self.firings if self.firings is before.firings else self._worth_keeping()
        after = Customer(
            self.purchases,
            self.logins,
            self.support,
            firings,
            self.stage,
            self.lapsed_day,
            self._wake_spell,
            self._wake_support,
            self._wake_logins,
            before.forgotten_at,
        )
        if outcome is not _FOLDED and after == before:
            return Step(before, outcome)
        health = None
        if after.stage != before.stage or (
            firings is not before.firings and level_of(firings) != level_of(before.firings)
        ):
            health = health_of(self.customer_id, after, now=self.now, playbook=self.playbook)
        return Step(after, outcome, self._triggers, self._suppressed, health)

    def _told(self) -> History:
        if self._history is None:
            self._history = History(self.firings) if self.firings else NOTHING
        return self._history

    def _standing(self, rule: str) -> list[Firing]:
        """The rule's firings that were not taken back. Even of what has been cleared since, a late
        event may show that it was never true: then it defers nothing, and may come true again."""
        return [firing for firing in self.firings if firing.rule == rule and firing.state != _REVOKED]

    def _swap(self, firing: Firing, kind: Kind, at: i64) -> None:
        closed = self._close(firing, kind, at)
        self._set_firings(tuple(closed if other is firing else other for other in self.firings))

    def _close(self, firing: Firing, kind: Kind, at: i64) -> Firing:
        self._emit(firing, kind, at)
        return firing.turned(_REVOKED if kind == "revoked" else _ENDED)

    def _emit(self, firing: Firing, kind: Kind, ended_at: int | None = None) -> None:
        if self._holdout is None:
            self._holdout = in_holdout(self.customer_id, self.playbook.holdout_share)
        trigger = trigger_of(
            self.customer_id,
            self.purchases,
            firing,
            kind,
            now=self.now,
            playbook=self.playbook,
            holdout=self._holdout,
            ended_at=ended_at,
            moved_by=self._moved_by if ended_at is None else None,
        )
        self._triggers = (*self._triggers, trigger)

    def _set_firings(self, firings: tuple[Firing, ...]) -> None:
        self.firings = firings
        self._history = None

    def _worth_keeping(self) -> tuple[Firing, ...]:
        """Without those that can no longer be ended, repeated, revoked, or defer another.

        Judged at the end of a decision: while the clock leaps over many dues, an early one of them
        may still defer a later one.
        """
        now, max_lateness = self.now, self.playbook.max_lateness
        episode_at = None if self.logins is None else self.logins.rates.lifted_at
        kept: list[Firing] = []
        for firing in self.firings:
            if firing.rule == "login_decay" and firing.episode_at == episode_at:
                # This episode may last for years, and what was taken back come true again in it.
                lasting = True
            else:
                lasting = firing.state == _OPEN and firing.rule != "ticket_spike"
            if lasting or firing.due + self._cool_down(firing) + max_lateness >= now:
                kept.append(firing)
        return tuple(kept)

    def _cool_down(self, firing: Firing) -> int:
        rule: Rule = getattr(self.playbook, firing.rule) or _NO_RULE
        return rule.cool_down
