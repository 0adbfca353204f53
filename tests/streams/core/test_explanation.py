"""What `winback explain` shows is what `advance` will do."""

from datetime import UTC, datetime, timedelta

import pytest

from schemas.customer import Customer
from schemas.instants import since_epoch
from streams.core.advance import STRANGER, advance
from streams.core.explanation import Explanation, RuleStanding, explain
from streams.core.playbook import DAY
from streams.core.stimuli import Elapsed, Ordered, Status, Stimulus, TicketStep
from streams.playbook_file import load_playbook

PLAYBOOK = load_playbook(None, None)
FIRST = since_epoch(datetime(2026, 1, 1, tzinfo=UTC))


def after(*stimuli: tuple[int, Stimulus]) -> Customer:
    """A customer after stimuli at the given clock instants."""
    customer = STRANGER
    for now, stimulus in stimuli:
        customer = advance("c", customer, stimulus, now=now, playbook=PLAYBOOK).customer
    return customer


def order(at: int, number: int) -> tuple[int, Stimulus]:
    """An order of 10.00."""
    return at, Ordered(at, number, number, 1000)


def rule(explanation: Explanation, name: str) -> RuleStanding:
    """How a rule stands."""
    [found] = [standing for standing in explanation.rules if standing.rule == name]
    return found


def test_each_rule_says_when_it_will_fire() -> None:
    """Waking the customer right after the instant that is shown fires that very rule, not before."""
    customer = after(order(FIRST, 1), order(FIRST + 5 * DAY, 2))
    shown = rule(explain("c", customer, now=FIRST + 6 * DAY, playbook=PLAYBOOK), "risk_medium")
    assert shown.standing == "due"
    assert shown.at is not None
    due = since_epoch(shown.at)
    early = advance("c", customer, Elapsed(), now=due, playbook=PLAYBOOK)
    late = advance("c", customer, Elapsed(), now=due + 1, playbook=PLAYBOOK)
    assert [] == [trigger.rule for trigger in early.triggers]
    assert ["risk_medium"] == [trigger.rule for trigger in late.triggers]


def test_a_purchase_clears_what_stood_open() -> None:
    """Before it the risk is open, and an order is named as what clears it; after it, it is due anew."""
    silent = after(order(FIRST, 1), order(FIRST + 5 * DAY, 2), (FIRST + 80 * DAY, Elapsed()))
    before = explain("c", silent, now=FIRST + 80 * DAY, playbook=PLAYBOOK)
    at, stimulus = order(FIRST + 80 * DAY, 3)
    bought = advance("c", silent, stimulus, now=at, playbook=PLAYBOOK).customer
    afterwards = explain("c", bought, now=at, playbook=PLAYBOOK)
    assert ("at_risk", "open", "an order on a later day") == (
        before.stage,
        rule(before, "risk_medium").standing,
        rule(before, "risk_medium").cleared_by,
    )
    assert ("active", "due") == (afterwards.stage, rule(afterwards, "risk_medium").standing)


def test_win_back_steps_are_shown_before_the_lapse() -> None:
    """Nobody asks them before the lapse, but who explains a customer wants to know."""
    customer = after(order(FIRST, 1))
    shown = rule(explain("c", customer, now=FIRST, playbook=PLAYBOOK), "winback_2")
    assert datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=90 * 1.25) == shown.at


def test_a_rule_that_is_off_says_so() -> None:
    """silent_for is off in the packaged playbook."""
    shown = rule(explain("c", after(order(FIRST, 1)), now=FIRST, playbook=PLAYBOOK), "silent_for")
    assert ("off", None) == (shown.standing, shown.at)


def test_drivers_add_up_to_what_is_shown() -> None:
    """As in a trigger."""
    score = explain("c", after(order(FIRST, 1)), now=FIRST + 20 * DAY, playbook=PLAYBOOK).score
    assert score is not None
    assert pytest.approx(score.logit, abs=1e-9) == sum(driver.logit for driver in score.drivers)


def test_who_has_never_bought_has_no_score() -> None:
    """But tickets and their deadlines are shown."""
    opened = TicketStep(FIRST, 1, 7, Status.OPENED, 3)
    shown = explain("c", after((FIRST, opened)), now=FIRST, playbook=PLAYBOOK)
    assert (None, "prospect", 1) == (shown.score, shown.stage, shown.open_tickets)
    assert datetime(2026, 1, 1, 1, tzinfo=UTC) == rule(shown, "sla_breach").at
