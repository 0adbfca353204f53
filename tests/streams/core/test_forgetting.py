"""A customer who was forgotten: nothing brings them back, and what comes later starts afresh."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.customer import BEFORE_ALL, NEVER, Customer, wake_of
from streams.core.playbook import DAY, Playbook
from streams.core.step import Outcome
from streams.playbook_file import load_playbook
from tests.customers import changed
from tests.streams.core.strategies import lives, playbooks
from tests.streams.core.world import START, Event, World, login, order, refund, seen, ticket

PLAYBOOK = load_playbook(None, None)


@st.composite
def histories(draw: st.DrawFn) -> list[Event]:
    """A life in any order, some of it more than once: what a replay or an unruly producer brings."""
    events = draw(lives())
    again = draw(st.lists(st.sampled_from(events), max_size=5))
    return list(draw(st.permutations([*events, *again])))


@given(playbooks(), lives(), histories())
@settings(max_examples=60)
def test_a_history_from_before_leaves_nothing_but_the_stub(
    playbook: Playbook, life: list[Event], replayed: list[Event]
) -> None:
    """Whoever the customer was, and whatever comes again: no state, no trigger, no health, no deadline."""
    world = seen(playbook, life)
    at = max(event.at for event in [*life, *replayed])
    world.forget(at - START)
    triggers, healths = len(world.triggers), len(world.healths)
    outcomes = {world.see(event).outcome for event in replayed}
    world.until(world.clock + 1000 * DAY)
    assert Customer(forgotten_at=at) == world.customer
    assert {Outcome.FORGOTTEN} == outcomes
    assert (triggers, healths) == (len(world.triggers), len(world.healths))


@given(playbooks(), lives(), lives(), st.integers(0, 400 * DAY))
@settings(max_examples=60)
def test_what_comes_later_starts_afresh(
    playbook: Playbook, before: list[Event], after: list[Event], at: int
) -> None:
    """The same state and words as of a stranger to whom what is dated at or before never happened."""
    forgotten, stranger = seen(playbook, before), World(playbook)
    forgotten.forget(at)
    said, healths = len(forgotten.triggers), len(forgotten.healths)
    stranger.clock = forgotten.clock
    for event in after:
        forgotten.see(event)
        if event.at > START + at:
            stranger.see(event)
        else:
            stranger.until(forgotten.clock)
    for world in (forgotten, stranger):
        world.until(world.clock + 300 * DAY)
    assert forgotten.customer is not None
    assert START + at == forgotten.customer.forgotten_at
    assert (stranger.customer or Customer()) == changed(forgotten.customer, forgotten_at=BEFORE_ALL)
    assert stranger.triggers == forgotten.triggers[said:]
    assert stranger.healths == forgotten.healths[healths:]


@given(playbooks(), lives(), st.integers(0, 400 * DAY), st.integers(0, 400 * DAY))
@settings(max_examples=40)
def test_it_is_done_once_however_often_it_is_asked_for(
    playbook: Playbook, life: list[Event], at: int, earlier: int
) -> None:
    """The same request again, or one that asks for less, changes nobody who has come back since."""
    world = World(playbook)
    world.forget(at)
    for event in life:
        world.see(event)
    before = world.customer
    world.forget(min(at, earlier))
    assert before is world.customer


def test_a_stranger_can_be_forgotten() -> None:
    """Of whom nothing is known, a stub stands there for what may still come."""
    world = World(PLAYBOOK)
    assert Outcome.FORGOTTEN is world.forget(5).outcome
    assert Customer(forgotten_at=START + 5) == world.customer


@pytest.mark.parametrize("make", [order, login, ticket])
def test_the_instant_itself_is_forgotten(make: Callable[[int], Event]) -> None:
    """What is dated at the very instant is dropped, and what comes a millisecond later counts."""
    world = World(PLAYBOOK)
    world.forget(5)
    assert Outcome.FORGOTTEN is world.see(make(5)).outcome
    assert Outcome.FOLDED is world.see(make(6)).outcome


def test_what_is_too_late_is_forgotten_first() -> None:
    """No dead letter keeps what was to go, not even by the mark that has late events folded."""
    world = World(PLAYBOOK)
    world.forget(DAY)
    world.until(100 * DAY)
    late = order(DAY, late=True)
    assert [Outcome.FORGOTTEN] * 2 == [world.see(order(DAY)).outcome, world.see(late).outcome]
    assert Outcome.TOO_LATE is world.see(order(DAY + 1)).outcome


def test_nothing_is_due_any_more() -> None:
    """Deadlines go with the state, and nothing that had been raised is cleared: nobody is spoken of."""
    world = seen(PLAYBOOK, [order(0), ticket(DAY), refund(DAY, 5)])
    world.until(200 * DAY)
    said = len(world.triggers)
    step = world.forget(200 * DAY)
    assert (NEVER, (), None) == (wake_of(step.customer), step.triggers, step.health)
    world.until(400 * DAY)
    world.see(order(400 * DAY))
    assert said == len(world.triggers)
