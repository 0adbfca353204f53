"""Winning back: three steps from the lapse on, stopped and crowned by an order."""

from fractions import Fraction

import pytest

from streams.core.identity import in_holdout
from streams.core.playbook import DAY, Playbook, Risk, WinBackStep
from tests.streams.core.world import MODEL, World, order, seen

LAPSE = 80 * DAY + 1
"""Not divisible by four: the second step is rounded up."""
PLAYBOOK = Playbook(
    model=MODEL,
    lapse_age=LAPSE,
    winback_1=WinBackStep(step=1, lapse_ages=Fraction(1)),
    winback_2=WinBackStep(step=2, lapse_ages=Fraction(5, 4)),
    winback_3=WinBackStep(step=3, lapse_ages=Fraction(3, 2)),
)
FIRST, SECOND, THIRD = LAPSE, 100 * DAY + 2, 120 * DAY + 2
STEPS = [("due", "winback_1", FIRST), ("due", "winback_2", SECOND), ("due", "winback_3", THIRD)]


def test_the_steps_are_due_at_multiples_of_the_lapse_age_rounded_up() -> None:
    """Each to the ms, and each once."""
    world = seen(PLAYBOOK, [order(0)])
    for number, (_, _, due) in enumerate(STEPS):
        assert STEPS[:number] == world.until(due).said()
        assert STEPS[: number + 1] == world.until(due + 1).said()
    assert STEPS == world.until(1000 * DAY).said()


@pytest.mark.parametrize(
    ("fired", "back"),
    [(0, FIRST), (1, FIRST + 1), (1, SECOND), (2, SECOND + 1), (3, THIRD + 1), (3, 900 * DAY)],
)
def test_an_order_stops_the_steps_and_achieves_the_last_one_once(fired: int, back: int) -> None:
    """At the very instant of a step it prevents it; with no step out nothing is achieved."""
    world = seen(PLAYBOOK, [order(0), order(back)])
    achieved = [("achieved", *STEPS[fired - 1][1:])] if fired else []
    assert STEPS[:fired] + achieved == world.said()


def test_achieved_names_step_episode_and_the_order() -> None:
    """It is a win-back of the same episode, ended at the order's instant, under an id of its own."""
    world = seen(PLAYBOOK, [order(0), order(SECOND + DAY)])
    _, second, achieved = world.triggers
    assert (second.step, second.episode, second.due_at) == (achieved.step, achieved.episode, achieved.due_at)
    assert DAY == round((achieved.ended_at - achieved.due_at).total_seconds() * 1000)  # type: ignore[operator]
    assert second.id != achieved.id


@pytest.mark.parametrize("holdout", [True, False])
def test_due_and_achieved_carry_the_holdout_flag(holdout: bool) -> None:
    """So that the effect of winning back can be measured."""
    name = next(name for name in map(str, range(1000)) if in_holdout(name, 0.05) is holdout)
    world = World(PLAYBOOK, customer_id=name)
    world.see(order(0), order(FIRST + DAY))
    assert [holdout, holdout] == [trigger.holdout for trigger in world.triggers]


def test_the_next_lapse_is_another_episode() -> None:
    """The steps begin again."""
    world = seen(PLAYBOOK, [order(0), order(200 * DAY)]).until(1000 * DAY)
    again = [(kind, rule, 200 * DAY + due) for kind, rule, due in STEPS]
    assert [*STEPS, ("achieved", "winback_3", THIRD), *again] == world.said()
    assert 7 == len({trigger.id for trigger in world.triggers})


def test_a_late_order_revokes_the_steps_that_should_not_have_been() -> None:
    """Dated between the first and the second step: the second is revoked, the first achieved."""
    world = seen(PLAYBOOK, [order(0)]).until(SECOND + DAY)
    world.see(order(FIRST + DAY))
    assert sorted([*STEPS[:2], ("achieved", "winback_1", FIRST), ("revoked", "winback_2", SECOND)]) == sorted(
        world.said()
    )


def test_a_late_order_at_the_very_lapse_revokes_every_step() -> None:
    """Nothing is achieved, since nobody had lapsed."""
    world = seen(PLAYBOOK, [order(0)]).until(SECOND + DAY)
    world.see(order(FIRST))
    revoked = [("revoked", rule, due) for _, rule, due in STEPS[:2]]
    assert STEPS[:2] + revoked == world.said()


def test_risk_is_cleared_beside_what_is_achieved() -> None:
    """A cleared for each open risk of the spell, and one achieved."""
    playbook = Playbook(
        model=MODEL,
        lapse_age=LAPSE,
        risk_medium=Risk(),
        winback_1=PLAYBOOK.winback_1,
        include_first_order=True,
    )
    world = seen(playbook, [order(0), order(FIRST + DAY)])
    expected = {("cleared", "risk_medium"), ("achieved", "winback_1")}
    assert expected == {(kind, rule) for kind, rule, _ in world.said()[2:]}


def test_a_cool_down_defers_each_step_on_its_own() -> None:
    """The first step's cool-down holds back the next spell's first step, not this one's second."""
    playbook = Playbook(
        model=MODEL,
        lapse_age=LAPSE,
        winback_1=WinBackStep(step=1, cool_down=400 * DAY),
        winback_2=PLAYBOOK.winback_2,
    )
    world = seen(playbook, [order(0), order(200 * DAY)]).until(1000 * DAY)
    dues = [(rule, due) for kind, rule, due in world.said() if kind == "due"]
    expected = [
        ("winback_1", FIRST),
        ("winback_2", SECOND),
        ("winback_2", 200 * DAY + SECOND),
        ("winback_1", FIRST + 400 * DAY),
    ]
    assert expected == dues
