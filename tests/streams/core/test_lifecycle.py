"""Where a customer stands: every stage that can be reached, by what reaches it."""

import pytest

from streams.core.lifecycle import LABELS, STAGES, TRANSITIONS, Signal, Stage
from streams.core.playbook import DAY, Playbook, Risk
from tests.streams.core.world import MODEL, Event, World, login, order, refund, ticket

LAPSE = 100 * DAY
PLAYBOOK = Playbook(
    model=MODEL,
    lapse_age=LAPSE,
    include_first_order=True,
    risk_medium=Risk(probability=0.1, min_silence=50 * DAY),
    risk_high=Risk(probability=0.2, min_silence=60 * DAY),
)

LIVES: dict[tuple[Stage, Signal], tuple[list[Event], int]] = {
    (Stage.PROSPECT, Signal.FIRST_ORDER): ([login(0), order(DAY)], DAY),
    (Stage.NEW, Signal.ORDER): ([order(0), order(DAY)], DAY),
    (Stage.NEW, Signal.RISK): ([order(0)], 50 * DAY + 1),
    (Stage.NEW, Signal.LAPSE): ([order(0)], LAPSE + 1),
    (Stage.ACTIVE, Signal.RISK): ([order(0), order(DAY)], 51 * DAY + 1),
    (Stage.ACTIVE, Signal.LAPSE): ([order(0), order(DAY)], LAPSE + DAY + 1),
    (Stage.AT_RISK, Signal.ORDER): ([order(0), login(51 * DAY), order(52 * DAY)], 52 * DAY),
    (Stage.AT_RISK, Signal.LAPSE): ([order(0), login(51 * DAY)], LAPSE + 1),
    (Stage.LAPSED, Signal.ORDER): ([order(0), login(LAPSE + DAY), order(LAPSE)], LAPSE + DAY),
    (Stage.LAPSED, Signal.RETURN): ([order(0), login(LAPSE + DAY), order(LAPSE + DAY)], LAPSE + DAY),
    (Stage.WON_BACK, Signal.ORDER): ([order(0), order(110 * DAY), order(120 * DAY)], 120 * DAY),
    (Stage.WON_BACK, Signal.RISK): ([order(0), order(110 * DAY)], 160 * DAY + 1),
    (Stage.WON_BACK, Signal.LAPSE): ([order(0), order(110 * DAY)], 110 * DAY + LAPSE + 1),
}
"""A life and the clock at its end, for each line of the table."""

WITHOUT_RISK = {(Stage.NEW, Signal.LAPSE), (Stage.ACTIVE, Signal.LAPSE), (Stage.WON_BACK, Signal.LAPSE)}


def test_every_line_of_the_table_has_a_life() -> None:
    """What no life can reach does not stand in the table."""
    assert set(LIVES) == set(TRANSITIONS)


@pytest.mark.parametrize("line", TRANSITIONS, ids=lambda line: f"{line[0].name}-{line[1].name}")
def test_a_life_reaches_each_stage_as_the_table_says(line: tuple[Stage, Signal]) -> None:
    """From the stage of the line, by its signal, to the stage that it names."""
    events, clock = LIVES[line]
    playbook = Playbook(model=MODEL, lapse_age=LAPSE) if line in WITHOUT_RISK else PLAYBOOK
    world = World(playbook)
    stages = [Stage.PROSPECT, *(world.see(event).stage for event in events)]
    world.until(clock)
    assert world.customer is not None
    stages.append(Stage(world.customer.stage))
    changes = [stage for number, stage in enumerate(stages) if number == 0 or stage is not stages[number - 1]]
    assert [line[0], TRANSITIONS[line]] == changes[-2:]


@pytest.mark.parametrize("stage", STAGES)
def test_what_is_not_in_the_table_stays(stage: Stage) -> None:
    """Refunds, logins and tickets move nobody."""
    arrive: dict[Stage, list[Event]] = {
        Stage.PROSPECT: [login(0)],
        Stage.NEW: [order(0)],
        Stage.ACTIVE: [order(0), order(DAY)],
        Stage.AT_RISK: [order(0), login(51 * DAY)],
        Stage.LAPSED: [order(0), login(LAPSE + 1)],
        Stage.WON_BACK: [order(0), order(LAPSE + 1)],
    }
    world = World(PLAYBOOK)
    step = world.see(*arrive[stage])
    assert stage is step.stage
    at = world.clock
    assert stage is world.see(login(at, name="x"), ticket(at, name="x"), refund(at, 5, name="x")).stage


def test_an_order_at_the_very_lapse_prevents_it() -> None:
    """At equal instants the event wins: nobody was lost, so nobody is won back."""
    assert Stage.ACTIVE is World(PLAYBOOK).see(order(0), order(LAPSE)).stage
    assert Stage.WON_BACK is World(PLAYBOOK).see(order(0), order(LAPSE + 1)).stage


def test_a_late_order_makes_a_new_customer_active() -> None:
    """Though it is older than the one that was known."""
    assert Stage.ACTIVE is World(PLAYBOOK).see(order(10 * DAY), order(0)).stage


def test_several_orders_on_one_day_leave_a_customer_new() -> None:
    """They are one purchase day."""
    assert Stage.NEW is World(PLAYBOOK).see(order(0), order(1), order(DAY - 1)).stage


def test_a_refund_makes_no_customer() -> None:
    """Nor does it make a known one return."""
    assert Stage.PROSPECT is World(PLAYBOOK).see(refund(0, 500)).stage
    assert Stage.NEW is World(PLAYBOOK).see(refund(0, 500), order(DAY)).stage


def test_the_wire_names_every_stage() -> None:
    """In the order of their numbers, which the state keeps."""
    assert [stage.name.lower() for stage in Stage] == list(LABELS)
    assert list(range(6)) == [stage.value for stage in STAGES]
