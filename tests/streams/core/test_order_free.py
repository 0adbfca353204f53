"""Late, in any order, twice, or in one leap of the clock: what it may change, and what it may not.

Where the order of arrival does count, by design:

- Two events that name one order: the first to arrive counts.
- More than 256 events of a topic within max_lateness: those below the horizon are refused.
- A cool-down of an interval rule. What was said before a late event came defers what follows; in
  order something else might have been said first, and have deferred it.
- second_order_due earlier than max_lateness: it may be said before the second purchase day is known,
  and an older order ends no spell.
- A whole episode that was over when it became known is never told: a late opening with its answer
  already there, a decay that the next login has ended, a spell between two orders.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.customer import Customer
from schemas.record import Fingerprint, pack
from streams.core.firings import State
from streams.core.playbook import DAY, Playbook
from streams.core.step import Outcome
from tests.customers import changed
from tests.streams.core.definitions import Claim, spikes
from tests.streams.core.reading import net_of, open_of
from tests.streams.core.strategies import NO_COOL_DOWN, lives, playbooks
from tests.streams.core.world import START, Event, World, seen

LATENESS = 30 * DAY
AFTER_ALL = 5000 * DAY

delays = st.one_of(st.just(0), st.integers(0, LATENESS), st.sampled_from([DAY, 10 * DAY, LATENESS]))


@st.composite
def arrivals(draw: st.DrawFn) -> list[tuple[int, Event]]:
    """A life whose events arrive up to LATENESS after they happened: (clock after START, event)."""
    events = draw(lives())
    late = [(event.at - START + draw(delays), event) for event in events]
    order = draw(st.permutations(range(len(late))))
    return [late[index] for index in sorted(order, key=lambda index: late[index][0])]


def arrive(playbook: Playbook, late: Sequence[tuple[int, Event]]) -> World:
    """The world in which the events have arrived at these clocks."""
    world = World(playbook)
    for clock, event in late:
        world.until(clock)
        assert world.see(event).outcome is Outcome.FOLDED
    return world


def in_order(late: Sequence[tuple[int, Event]]) -> list[Event]:
    """The events as they happened."""
    return sorted((event for _, event in late), key=lambda event: event.at)


def facets(customer: Customer | None) -> bytes:
    """The facets as they stand in the changelog, bit for bit."""
    assert customer is not None
    return pack(Customer(customer.purchases, customer.logins, customer.support), Fingerprint(0, 0))


@given(playbooks(), arrivals())
@settings(max_examples=60)
def test_the_order_of_arrival_leaves_no_trace_in_the_facets(
    playbook: Playbook, late: list[tuple[int, Event]]
) -> None:
    """Bitwise the same facets; but for two events that name one order, and for overflow (256)."""
    assert facets(seen(playbook, in_order(late)).customer) == facets(arrive(playbook, late).customer)


@given(playbooks(cool_down=NO_COOL_DOWN, second_order_after=30), arrivals())
@settings(max_examples=60)
def test_the_order_of_arrival_does_not_change_what_stands_open_in_the_end(
    playbook: Playbook, late: list[tuple[int, Event]]
) -> None:
    """The same rules, steps and episodes: with no cool-downs, and second_order_due not before 30 days."""
    expected = seen(playbook, in_order(late)).until(AFTER_ALL)
    actual = arrive(playbook, late).until(AFTER_ALL)
    assert highest(open_of(expected.triggers)) == highest(open_of(actual.triggers))


def highest(standing: set[Claim]) -> set[Claim]:
    """Without a medium risk that stands below a high one: which came first depends on the arrival."""
    return {
        claim
        for claim in standing
        if claim.rule != "risk_medium" or claim._replace(rule="risk_high") not in standing
    }


@given(playbooks(cool_down=NO_COOL_DOWN), arrivals())
@settings(max_examples=60)
def test_of_tickets_and_logins_nothing_stands_that_never_was(
    playbook: Playbook, late: list[tuple[int, Event]]
) -> None:
    """Raised less revoked is part of what is raised in order; with no cool-downs."""
    rules = {"sla_breach", "login_decay"}
    expected = {
        c for c in net_of(seen(playbook, in_order(late)).until(AFTER_ALL).triggers) if c.rule in rules
    }
    actual = {c for c in net_of(arrive(playbook, late).until(AFTER_ALL).triggers) if c.rule in rules}
    assert set() == actual - expected


@given(playbooks(), arrivals())
@settings(max_examples=60)
def test_spikes_raised_less_revoked_are_those_that_there_were(
    playbook: Playbook, late: list[tuple[int, Event]]
) -> None:
    """All of them and no other, cool-downs included: each late opening judges those from it on anew."""
    actual = net_of(arrive(playbook, late).until(AFTER_ALL).triggers)
    assert playbook.ticket_spike is not None
    assert set(spikes(in_order(late), playbook.ticket_spike)) == {
        claim for claim in actual if claim.rule == "ticket_spike"
    }


@given(playbooks(), arrivals(), st.data())
@settings(max_examples=60)
def test_a_stretch_fed_twice_changes_nothing(
    playbook: Playbook, late: list[tuple[int, Event]], data: st.DataObject
) -> None:
    """Not one bit of the state, and nothing is said: known again, or too late."""
    world = World(playbook)
    events: list[Event] = []
    for clock, event in late:
        world.until(clock).see(event)
        events.append(event)
        first = data.draw(st.integers(0, len(events)))
        for again in events[first:]:
            before = world.customer
            step = world.see(again)
            assert before is step.customer
            assert ((), None) == (step.triggers, step.health)
            assert step.outcome in {Outcome.DUPLICATE, Outcome.TOO_LATE}


@given(playbooks(), arrivals(), st.lists(st.integers(0, 400 * DAY), max_size=20))
@settings(max_examples=60)
def test_elapsed_time_may_be_cut_into_any_steps(
    playbook: Playbook, late: list[tuple[int, Event]], cuts: list[int]
) -> None:
    """The same triggers and deadlines, whether the clock creeps or leaps; only what has become of no
    use any more may be forgotten sooner or later."""
    whole, cut = arrive(playbook, late), arrive(playbook, late)
    end = late[-1][0] + 400 * DAY
    whole.until(end)
    for at in sorted(cuts):
        cut.until(late[-1][0] + at)
    cut.until(end)
    assert said(whole) == said(cut)
    assert standing(whole) == standing(cut)


def standing(world: World) -> Customer:
    """The customer without the firings that are over."""
    assert world.customer is not None
    firings = tuple(firing for firing in world.customer.firings if firing.state == State.OPEN)
    lasting = tuple(firing for firing in firings if firing.rule != "ticket_spike")
    return changed(world.customer, firings=lasting)


def said(world: World) -> list[Any]:
    """All that was said, but for the clock at which it was."""
    return [msgspec.structs.replace(trigger, detected_at=trigger.due_at) for trigger in world.triggers]


@given(playbooks(), arrivals())
@settings(max_examples=60)
def test_no_trigger_has_the_id_of_another_of_its_kind(
    playbook: Playbook, late: list[tuple[int, Event]]
) -> None:
    """(id, kind) never repeats, over any history and any order of arrival."""
    names = [(t.id, t.kind) for t in arrive(playbook, late).until(AFTER_ALL).triggers]
    assert len(set(names)) == len(names)


@given(playbooks(), arrivals())
@settings(max_examples=60)
def test_nothing_infinite_leaves(playbook: Playbook, late: list[tuple[int, Event]]) -> None:
    """Every float of every message is finite, and the drivers add up to the logit."""
    world = arrive(playbook, late).until(AFTER_ALL)
    for message in [*world.triggers, *world.healths]:
        assert [] == [number for number in numbers(msgspec.to_builtins(message)) if not math.isfinite(number)]
    for score in (trigger.score for trigger in world.triggers):
        if score is not None:
            assert abs(score.logit - math.fsum(driver.logit for driver in score.drivers)) < 1e-9


def numbers(thing: Any) -> Iterator[float]:
    """Every float in a message."""
    if isinstance(thing, float):
        yield thing
    elif isinstance(thing, dict):
        for value in thing.values():
            yield from numbers(value)
    elif isinstance(thing, list | tuple):
        for value in thing:
            yield from numbers(value)
