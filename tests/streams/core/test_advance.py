"""The one function that decides: in which order, from what, and what becomes of a refused event."""

import dataclasses
from collections.abc import Callable

import pytest

from schemas.customer import NEVER, Customer
from schemas.record import Fingerprint, pack
from streams.core.advance import advance
from streams.core.model import Model
from streams.core.playbook import DAY, LoginDecay, Playbook, Risk, SilentFor, SlaBreach
from streams.core.step import Outcome
from streams.core.stimuli import Elapsed, Priority, Status
from tests.streams.core.world import MODEL, START, Event, World, login, order, refund, seen, ticket

SILENT = Playbook(model=MODEL, silent_for=SilentFor(days=(60,)))
OTHER_MODEL = Model(r=0.9, alpha=4.0, a=0.5, b=2.0, p=6.28, q=3.62, gamma=14.98)


def test_what_was_due_fires_before_the_event_is_folded() -> None:
    """An order on day 100 does not erase the alarm of day 60, though nobody had looked."""
    first = advance("c", None, order(0), now=START, playbook=SILENT)
    step = advance("c", first.customer, order(100 * DAY), now=START + 100 * DAY, playbook=SILENT)
    assert ["raised", "cleared"] == [trigger.kind for trigger in step.triggers]


def test_an_event_at_the_due_instant_comes_first() -> None:
    """One millisecond later it would have fired."""
    assert [] == seen(SILENT, [order(0), order(60 * DAY)]).said()
    assert 2 == len(seen(SILENT, [order(0), order(60 * DAY + 1)]).said())


def test_elapsed_time_fires_what_lies_before_the_clock() -> None:
    """Not what is due at it: an event of that instant may still come."""
    customer = advance("c", None, order(0), now=START, playbook=SILENT).customer
    at = START + 60 * DAY
    assert () == advance("c", customer, Elapsed(), now=at, playbook=SILENT).triggers
    assert 1 == len(advance("c", customer, Elapsed(), now=at + 1, playbook=SILENT).triggers)


def test_a_due_at_the_events_own_instant_waits_unless_the_event_made_it() -> None:
    """A login on the due instant fires nothing yet: the order that prevents it may still come."""
    world = seen(SILENT, [order(0), login(60 * DAY)])
    assert [] == world.said()
    world.see(order(60 * DAY))
    assert [] == world.until(100 * DAY).said()


def test_a_late_event_prevents_what_lies_after_it_and_not_what_lies_before() -> None:
    """Dated to day 70, it comes on day 80 to a customer nobody has looked at since day 0."""
    playbook = Playbook(model=MODEL, silent_for=SilentFor(days=(60, 75)))
    customer = advance("c", None, order(0), now=START, playbook=playbook).customer
    step = advance("c", customer, order(70 * DAY), now=START + 80 * DAY, playbook=playbook)
    assert [("raised", 60), ("cleared", 60)] == [(trigger.kind, trigger.step) for trigger in step.triggers]


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (order(0), order),
        (ticket(0, priority=Priority.URGENT), lambda at: ticket(at, Status.REPLIED)),
        (login(0), login),
    ],
    ids=["order", "ticket", "login"],
)
def test_an_event_dated_ahead_of_the_clock_erases_nothing_either(
    first: Event, then: Callable[[int], Event]
) -> None:
    """A worker's clock that is behind, or a producer's that is ahead, loses no alarm."""
    playbook = dataclasses.replace(SILENT, sla_breach=SlaBreach(), login_decay=LoginDecay(min_logins=1))
    before = advance("c", None, first, now=first.at, playbook=playbook)
    second = then(before.wake_at + 1 - START)
    behind = advance("c", before.customer, second, now=before.wake_at - 5000, playbook=playbook)
    in_time = advance("c", before.customer, second, now=second.at, playbook=playbook)
    assert ["raised", "cleared"] == [trigger.kind for trigger in behind.triggers]
    assert in_time.customer == behind.customer


def test_several_dues_fire_in_order_of_their_instants() -> None:
    """Across the families of rules."""
    playbook = Playbook(
        model=MODEL,
        silent_for=SilentFor(days=(60, 90)),
        sla_breach=SlaBreach(),
        login_decay=LoginDecay(min_logins=1),
    )
    world = seen(playbook, [order(0), login(0), ticket(0)]).until(1000 * DAY)
    assert ["sla_breach", "login_decay", "silent_for", "silent_for"] == [rule for _, rule, _ in world.said()]
    assert sorted(due for _, _, due in world.said()) == [due for _, _, due in world.said()]


def test_wake_at_is_the_earliest_instant_still_to_come() -> None:
    """Of all families; NEVER when there is none."""
    playbook = dataclasses.replace(SILENT, sla_breach=SlaBreach())
    world = World(playbook)
    assert START + 60 * DAY == world.see(order(0)).wake_at
    assert START + DAY + 8 * 3_600_000 == world.see(ticket(DAY)).wake_at
    assert NEVER == advance("c", None, Elapsed(), now=START, playbook=playbook).wake_at


def test_nobody_can_tell_that_a_stranger_was_looked_at() -> None:
    """Elapsed time alone leaves no state, no trigger and no health."""
    step = advance("c", None, Elapsed(), now=START, playbook=SILENT)
    assert (Customer(), (), None, Outcome.ELAPSED) == (
        step.customer,
        step.triggers,
        step.health,
        step.outcome,
    )


def test_it_is_pure() -> None:
    """The same question has the same answer, and the customer that went in is as it was."""
    world = seen(SILENT, [order(0), login(DAY), ticket(DAY)])
    customer = world.customer
    assert customer is not None
    before = pack(customer, Fingerprint(0, 0))
    steps = [advance("c", customer, order(90 * DAY), now=START + 90 * DAY, playbook=SILENT) for _ in range(2)]
    first, second = [
        (step.customer, step.outcome, step.triggers, step.suppressed, step.health) for step in steps
    ]
    assert first == second
    assert before == pack(customer, Fingerprint(0, 0))


@pytest.mark.parametrize("event", [order(0), refund(0, 5), login(0), ticket(0)])
def test_a_repeated_event_is_a_duplicate(event: object) -> None:
    """The customer is the very same object: there is nothing to write."""
    world = World(SILENT)
    world.see(event)  # type: ignore[arg-type]
    before = world.customer
    step = world.see(event)  # type: ignore[arg-type]
    assert (Outcome.DUPLICATE, ()) == (step.outcome, step.triggers)
    assert before is step.customer


@pytest.mark.parametrize(("outcome", "days"), [(Outcome.FOLDED, 30), (Outcome.TOO_LATE, 31)])
@pytest.mark.parametrize("event", [order(0), refund(0, 5), login(0), ticket(0)])
def test_more_than_max_lateness_behind_the_clock_is_too_late(
    event: object, outcome: Outcome, days: int
) -> None:
    """Exactly thirty days are not."""
    assert outcome is World(SILENT).until(days * DAY).see(event).outcome  # type: ignore[arg-type]


def test_a_refused_event_does_not_hold_back_what_was_due() -> None:
    """What lies before it fires all the same."""
    customer = advance("c", None, order(0), now=START, playbook=SILENT).customer
    step = advance("c", customer, login(62 * DAY), now=START + 100 * DAY, playbook=SILENT)
    assert (Outcome.TOO_LATE, ["raised"]) == (step.outcome, [trigger.kind for trigger in step.triggers])


def test_an_order_accepted_by_hand_is_folded_once() -> None:
    """Forty days late; a second time it is a duplicate."""
    world = seen(SILENT, [order(39 * DAY)]).until(50 * DAY)
    assert Outcome.TOO_LATE is world.see(order(0)).outcome
    assert Outcome.FOLDED is world.see(order(0, late=True)).outcome
    assert Outcome.DUPLICATE is world.see(order(0, late=True)).outcome
    assert world.customer is not None
    assert world.customer.purchases is not None
    assert 2 == world.customer.purchases.days


@pytest.mark.parametrize("moved_by", ["model", "playbook"])
def test_a_crossing_that_a_new_playbook_puts_into_the_past_is_marked(moved_by: str) -> None:
    """It fires with its own due instant, and says what moved it there."""
    world = seen(SILENT, [order(0)]).until(50 * DAY)
    sooner = dataclasses.replace(SILENT, silent_for=SilentFor(days=(40,)))
    step = world.under(sooner, moved_by)  # type: ignore[arg-type]
    assert [("raised", "silent_for", 40 * DAY)] == world.said()
    assert [moved_by] == [trigger.moved_by for trigger in step.triggers]


def test_what_is_still_to_come_is_moved_in_silence() -> None:
    """It fires at its new instant, unmarked."""
    world = seen(SILENT, [order(0)]).until(50 * DAY)
    later = dataclasses.replace(SILENT, silent_for=SilentFor(days=(70,)))
    step = world.under(later, "playbook")
    assert ((), START + 70 * DAY) == (step.triggers, step.wake_at)
    world.until(80 * DAY)
    assert [None] == [trigger.moved_by for trigger in world.triggers]


def test_a_refit_does_not_send_twice() -> None:
    """What has fired in a spell has fired, wherever the new model puts its crossing."""
    playbook = Playbook(model=MODEL, risk_medium=Risk(probability=0.6), include_first_order=True)
    world = seen(playbook, [order(0)]).until(80 * DAY)
    world.under(dataclasses.replace(playbook, model=OTHER_MODEL), "model")
    assert 1 == len(world.until(85 * DAY).said())


def test_an_unchanged_playbook_changes_nothing() -> None:
    """Asking every rule again gives the same answers."""
    world = seen(SILENT, [order(0), login(DAY), ticket(DAY)]).until(50 * DAY)
    before = world.customer
    assert before is world.under(SILENT, "playbook").customer
