"""OPEN THIS FIRST: one function decides everything that Winback does about a customer.

    advance(customer_id, customer, stimulus, now=..., playbook=...) -> Step

A stimulus is an event, or elapsed time: silence has no second code path. The order is the
contract (it is what makes a replay say the same as the live run):

1. Every due instant strictly before the stimulus fires, earliest first. So a purchase on day 100
   does not erase the alarm of day 80, and one at the very instant of an alarm does prevent it.
   That holds too where the clock is behind the stimulus: after it, nobody could tell any more.
2. The stimulus is folded into its facet, and ends what it ends: an order on a later day closes the
   spell of silence, an answer the wait for one. What had fired with a due instant before the ending
   event is `cleared` (a win-back `achieved`); what should not have fired, given this event that
   came late, is `revoked`.
3. What the stimulus itself made due fires, and what a late one put before `now`.

A customer who was forgotten is a stranger again, but for one thing: what is dated at or before the
erasure does nothing at all, however often it comes.

Each rule answers one question: if nothing more happens, when do you fire? The earliest answer
stands in the customer's `wake_*`, and nobody looks at the customer before that instant.

The function is pure: `now` is the partition's clock, state goes in and comes out, and the working
copy below does not outlive the call.
"""

from typing import Final

from mypy_extensions import i64

from schemas.customer import Customer, Purchases
from streams.core.draft import Draft
from streams.core.facets import logins, purchases, support
from streams.core.facets.recent import Refusal
from streams.core.lifecycle import MOVES, Signal, Stage
from streams.core.playbook import DAY, LoginDecay, Playbook
from streams.core.step import Outcome, Step
from streams.core.stimuli import Elapsed, Forget, LoggedIn, Ordered, Stimulus, TicketStep

STRANGER: Final = Customer()
"""A customer of whom nothing is known."""

_LOGIN_DECAY = LoginDecay()
# Each access to a member of an enumeration is a call in Python 3.11.
_FOLDED: Final = Outcome.FOLDED
_ELAPSED: Final = Outcome.ELAPSED
_FORGOTTEN: Final = Outcome.FORGOTTEN
_FIRST_ORDER: Final = MOVES[Signal.FIRST_ORDER]
_ORDER_ON: Final = MOVES[Signal.ORDER]
_RETURN: Final = MOVES[Signal.RETURN]
_NEW: Final = int(Stage.NEW)


def advance(
    customer_id: str, customer: Customer | None, stimulus: Stimulus, *, now: i64, playbook: Playbook
) -> Step:
    """What follows for this customer. `now`: the partition's clock, ms since the epoch, UTC."""
    before = STRANGER if customer is None else customer
    if isinstance(stimulus, Elapsed):
        draft = Draft(customer_id, before, now, playbook)
        if stimulus.moved_by is not None:
            draft.recompute(stimulus.moved_by)
        draft.settle(now)
        return draft.step(_ELAPSED)
    if stimulus.at <= before.forgotten_at:
        return Step(before, _FORGOTTEN)
    if isinstance(stimulus, Forget):
        return Step(Customer(forgotten_at=stimulus.at), _FORGOTTEN)

    draft = Draft(customer_id, before, now, playbook)
    draft.settle(stimulus.at)
    if isinstance(stimulus, Ordered):
        refusal = _order(draft, stimulus)
    elif isinstance(stimulus, LoggedIn):
        refusal = _login(draft, stimulus)
    else:
        refusal = _ticket(draft, stimulus)
    if refusal is not None:
        return draft.step(Outcome(refusal.value))
    draft.settle(now, made_at=stimulus.at)
    return draft.step(_FOLDED)


def _order(draft: Draft, event: Ordered) -> Refusal | None:
    before = draft.purchases
    after = purchases.fold(before, event, now=draft.now, max_lateness=draft.playbook.max_lateness)
    if not isinstance(after, Purchases):
        return after
    if event.refund:
        draft.purchases = after
    elif before is None or not before.days:
        draft.purchases = after
        draft.move(_FIRST_ORDER)
        draft.ask_spell()
    elif event.at // DAY > before.last_at // DAY:
        returned = event.at > before.last_at + draft.playbook.lapse_age
        draft.end_spell(event.at)
        draft.purchases = after
        draft.move(_RETURN if returned else _ORDER_ON)
        draft.ask_spell()
    else:
        # The same day, or late and older: it moves what has not fired yet, and ends nothing.
        draft.purchases = after
        if draft.stage == _NEW and after.days > 1:
            draft.move(_ORDER_ON)
        draft.ask_spell()
    return None


def _login(draft: Draft, event: LoggedIn) -> Refusal | None:
    rule = draft.playbook.login_decay or _LOGIN_DECAY
    after = logins.fold(
        draft.logins,
        event,
        now=draft.now,
        max_lateness=draft.playbook.max_lateness,
        threshold=rule.ratio,
        min_logins=rule.min_logins,
    )
    if isinstance(after, Refusal):
        return after
    draft.logins = after
    draft.judge_login_decay(event.at)
    draft.ask_logins()
    return None


def _ticket(draft: Draft, event: TicketStep) -> Refusal | None:
    after = support.fold(draft.support, event, now=draft.now, max_lateness=draft.playbook.max_lateness)
    if isinstance(after, Refusal):
        return after
    draft.support = after
    draft.judge_sla(event)
    draft.judge_spikes(event)
    draft.ask_support()
    return None
