"""What a trigger says about itself, and when customer-health speaks."""

import dataclasses
import math
from datetime import UTC, datetime, timedelta

import pytest

from schemas.triggers import ChurnRisk, Trigger, WinBack, Window
from streams.core.identity import in_holdout
from streams.core.playbook import (
    DAY,
    HOUR,
    LoginDecay,
    Playbook,
    Risk,
    SecondOrderDue,
    SlaBreach,
    ValueOfCustomer,
    WinBackStep,
)
from streams.core.stimuli import Status
from tests.streams.core.definitions import p_lapse
from tests.streams.core.world import MODEL, World, after_start, login, order, refund, seen, ticket

LAPSE = 100 * DAY
RISK = Playbook(
    model=MODEL,
    lapse_age=LAPSE,
    risk_medium=Risk(version=3, probability=0.1, min_silence=20 * DAY, action="send content"),
    risk_high=Risk(probability=0.2, min_silence=40 * DAY),
    winback_1=WinBackStep(step=1),
    value=ValueOfCustomer(expansion=0.2, acquisition_minor=500),
)
LAST = 28 * DAY
DUE = LAST + 20 * DAY
ORDERS = [order(0, 2000), order(LAST, 3000), refund(LAST + DAY, 500)]
MIDNIGHT = datetime(1997, 5, 19, tzinfo=UTC)


def first(world: World, kind: str, rule: str) -> Trigger:
    """The first trigger of that kind and rule."""
    return next(trigger for trigger in world.triggers if (trigger.kind, trigger.rule) == (kind, rule))


def test_a_trigger_says_what_when_and_about_what() -> None:
    """Every plain field of a risk that is raised three days after it was due."""
    world = seen(RISK, ORDERS).until(DUE + 3 * DAY)
    (trigger,) = world.triggers
    assert isinstance(trigger, ChurnRisk)
    assert ("customer-1", "risk_medium", 3, "raised") == (
        trigger.customer_id,
        trigger.rule,
        trigger.rule_version,
        trigger.kind,
    )
    assert ("spell:1997-06-16", 0, "medium") == (trigger.episode, trigger.step, trigger.level)
    assert MIDNIGHT + timedelta(days=48) == trigger.due_at
    assert MIDNIGHT + timedelta(days=51) == trigger.detected_at
    assert ("send content", "an order on a later day") == (trigger.suggested_action, trigger.cleared_by)
    assert (None, None, "live", False) == (trigger.ended_at, trigger.moved_by, trigger.origin, trigger.stale)


def test_score_and_windows_are_as_of_the_due_instant() -> None:
    """Whenever the clock comes to it; here ten days late, after two windows have slid on."""
    score_at_once = seen(RISK, ORDERS).until(DUE + 1).triggers[0]
    late = seen(RISK, ORDERS).until(DUE + 10 * DAY).triggers[0]
    assert score_at_once.score is not None
    expected = p_lapse(MODEL, [0, LAST], LAPSE, DUE)
    assert pytest.approx(expected, rel=1e-12) == score_at_once.score.p_lapse
    windows = (Window(0, 0), Window(1, 2500), Window(2, 4500))
    assert windows == (late.windows.days_7, late.windows.days_30, late.windows.days_90)
    assert (score_at_once.score, score_at_once.value) == (late.score, late.value)


def test_the_drivers_add_up_to_the_logit() -> None:
    """prior + history + silence = ln(P / (1 - P)) of what the score explains."""
    score = seen(RISK, ORDERS).until(DUE + 1).triggers[0].score
    assert score is not None
    assert ["prior", "history", "silence"] == [driver.name for driver in score.drivers]
    assert pytest.approx(score.logit, abs=1e-9) == math.fsum(driver.logit for driver in score.drivers)
    assert pytest.approx(math.log(score.p_lapse / (1 - score.p_lapse)), abs=1e-9) == score.logit
    assert "p_lapse" == score.explains


def test_from_the_lapse_on_the_drivers_explain_that_nobody_comes_back() -> None:
    """P(lapse) is 1 by definition there, whose log-odds are infinite."""
    world = seen(RISK, ORDERS).until(LAST + LAPSE + 1)
    trigger = first(world, "due", "winback_1")
    assert isinstance(trigger, WinBack)
    assert trigger.score is not None
    assert (1.0, "p_dead") == (trigger.score.p_lapse, trigger.score.explains)
    assert pytest.approx(trigger.score.logit, abs=1e-9) == math.fsum(d.logit for d in trigger.score.drivers)


def test_the_value_at_risk_follows_from_the_score() -> None:
    """P(lapse) x (a year's spend x (1 + expansion) + what a new customer costs), in minor units."""
    trigger = seen(RISK, ORDERS).until(DUE + 1).triggers[0]
    assert trigger.score is not None
    assert trigger.value is not None
    assert "USD" == trigger.value.currency
    expected = trigger.score.p_lapse * (trigger.value.annual_minor * 1.2 + 500)
    assert round(expected) == trigger.value.at_risk_minor


def test_what_ends_a_firing_repeats_it_and_says_when() -> None:
    """Due instant, score and windows are those of the firing, not of the day it ended."""
    world = seen(RISK, [*ORDERS, order(DUE + 5 * DAY, 700)])
    raised, cleared = world.triggers
    assert DUE + 5 * DAY == after_start(cleared.ended_at)
    same = ("episode", "due_at", "score", "value", "windows", "level", "rule_version", "step")
    assert [getattr(raised, name) for name in same] == [getattr(cleared, name) for name in same]
    assert raised.id != cleared.id


@pytest.mark.parametrize("bought_since", [False, True])
def test_no_ending_carries_the_score_of_another_instant(bought_since: bool) -> None:
    """The breach's score again; or none, where orders since have made it impossible to tell."""
    playbook = dataclasses.replace(RISK, risk_medium=None, risk_high=None, sla_breach=SlaBreach())
    world = seen(playbook, [*ORDERS, ticket(DUE)]).until(DUE + DAY)
    if bought_since:
        world.see(order(DUE + DAY))
    world.see(ticket(DUE + 2 * DAY, Status.REPLIED))
    raised, cleared = world.triggers
    assert raised.score is not None
    expected = (None, None) if bought_since else (raised.score, raised.value)
    assert expected == (cleared.score, cleared.value)


def test_each_family_names_its_episodes_readably() -> None:
    """A spell by its day; tickets and logins by the instant of the event, tickets by its hash too."""
    playbook = Playbook(
        model=MODEL,
        second_order_due=SecondOrderDue(),
        sla_breach=SlaBreach(),
        login_decay=LoginDecay(min_logins=1),
    )
    opened = ticket(HOUR)
    world = seen(playbook, [order(0), opened, login(2 * HOUR)]).until(200 * DAY)
    expected = {
        f"support:1997-05-19T01:00:00.000+00:00:{opened.event:016x}",
        "logins:1997-05-19T02:00:00.000+00:00",
        "spell:1997-05-19",
    }
    assert expected == {trigger.episode for trigger in world.triggers}


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_the_holdout_flag_is_the_customers(share: float) -> None:
    """A hash of the customer against the playbook's share, never a draw."""
    for name in ("a", "b", "c", "d"):
        world = World(dataclasses.replace(RISK, holdout_share=share), customer_id=name)
        world.see(*ORDERS)
        assert in_holdout(name, share) is world.until(DUE + 1).triggers[0].holdout


def test_health_is_told_when_stage_or_level_changes_and_only_then() -> None:
    """Not at a second order, a refund, a ticket or a win-back step beyond the first."""
    world = World(RISK)
    world.see(order(0), order(HOUR), refund(HOUR, 5), ticket(HOUR), login(HOUR), order(DAY), order(2 * DAY))
    for day in range(3, 300):
        world.until(day * DAY)
    expected = [
        ("new", None),
        ("active", None),
        ("at_risk", "medium"),
        ("at_risk", "high"),
        ("lapsed", "high"),
    ]
    assert expected == [(health.stage, health.level) for health in world.healths]
    world.see(order(300 * DAY), order(301 * DAY))
    assert [("won_back", None), ("active", None)] == [(h.stage, h.level) for h in world.healths[5:]]


def test_health_says_how_the_customer_stands() -> None:
    """As of the clock: windows, P(lapse), and the next instant at which something comes true."""
    world = seen(RISK, ORDERS)
    health = world.healths[-1]
    assert ("customer-1", "active") == (health.customer_id, health.stage)
    assert MIDNIGHT + timedelta(days=28) == health.as_of
    assert MIDNIGHT + timedelta(days=48) == health.next_deadline
    assert (Window(1, 3000), Window(2, 5000)) == (health.windows.days_7, health.windows.days_30)
    assert health.p_lapse is not None
    assert pytest.approx(p_lapse(MODEL, [0, LAST], LAPSE, LAST), rel=1e-12) == health.p_lapse


def test_health_of_a_customer_with_nothing_to_come_has_no_deadline() -> None:
    """When the last step is out, only events can change anything."""
    world = seen(Playbook(model=MODEL, lapse_age=LAPSE), [order(0)]).until(LAPSE + 1)
    assert ("lapsed", None, 1.0) == (
        world.healths[-1].stage,
        world.healths[-1].next_deadline,
        world.healths[-1].p_lapse,
    )
