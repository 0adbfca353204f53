"""sla_breach: nobody answered in time. ticket_spike: suddenly many tickets."""

import dataclasses

import pytest

from streams.core.playbook import DAY, HOUR, Playbook, SlaBreach, TicketSpike
from streams.core.step import Suppressed
from streams.core.stimuli import Priority, Status
from tests.streams.core.world import MODEL, World, login, order, seen, ticket

OPENED, REPLIED, RESOLVED, REOPENED, CLOSED = Status
BREACH = "sla_breach"
SPIKE = "ticket_spike"
SLA = Playbook(model=MODEL, sla_breach=SlaBreach())
SPIKES = Playbook(model=MODEL, ticket_spike=TicketSpike())


@pytest.mark.parametrize(
    ("hours", "priority"),
    [(24, Priority.LOW), (8, Priority.NORMAL), (4, Priority.HIGH), (1, Priority.URGENT)],
)
def test_each_priority_has_its_own_time(hours: int, priority: Priority) -> None:
    """Due at the opening plus the time of its priority, to the ms."""
    world = seen(SLA, [ticket(0, priority=priority)])
    assert [] == world.until(hours * HOUR).said()
    assert [("raised", BREACH, hours * HOUR)] == world.until(hours * HOUR + 1).said()


@pytest.mark.parametrize("answer", [REPLIED, RESOLVED, CLOSED])
def test_an_answer_in_time_prevents_the_breach(answer: Status) -> None:
    """One at the very due instant is in time."""
    assert [] == seen(SLA, [ticket(0), ticket(8 * HOUR, answer)]).until(DAY).said()


@pytest.mark.parametrize("answer", [REPLIED, RESOLVED, CLOSED])
def test_an_answer_after_the_breach_clears_it(answer: Status) -> None:
    """The cleared trigger says when, and has the due instant of what it ends."""
    world = seen(SLA, [ticket(0), ticket(8 * HOUR + 1, answer)])
    assert [("raised", BREACH, 8 * HOUR), ("cleared", BREACH, 8 * HOUR)] == world.said()
    raised, cleared = world.triggers
    assert raised.episode == cleared.episode
    assert 1 == round((cleared.ended_at - cleared.due_at).total_seconds() * 1000)  # type: ignore[operator]


def test_an_answer_to_another_ticket_ends_nothing() -> None:
    """Nor do orders and logins."""
    world = seen(SLA, [ticket(0), ticket(DAY, REPLIED, of="other"), order(DAY), login(DAY)])
    assert [("raised", BREACH, 8 * HOUR)] == world.said()


def test_a_reopening_is_an_episode_of_its_own() -> None:
    """Answered or not, from a reopening on somebody waits anew."""
    world = seen(SLA, [ticket(0), ticket(HOUR, RESOLVED), ticket(DAY, REOPENED, priority=Priority.URGENT)])
    assert [("raised", BREACH, DAY + HOUR)] == world.until(2 * DAY).said()


def test_an_opening_and_a_reopening_without_an_answer_are_two_breaches() -> None:
    """One answer then clears both."""
    world = seen(SLA, [ticket(0), ticket(HOUR, REOPENED)]).until(DAY)
    world.see(ticket(2 * DAY, REPLIED))
    dues = [8 * HOUR, 9 * HOUR]
    expected = [("raised", BREACH, due) for due in dues] + [("cleared", BREACH, due) for due in dues]
    assert expected == world.said()
    assert 2 == len({trigger.episode for trigger in world.triggers})


def test_an_update_that_arrives_before_its_opening_counts() -> None:
    """The late opening has its answer already."""
    assert [] == seen(SLA, [ticket(HOUR, REPLIED), ticket(0)]).until(DAY).said()


def test_an_answer_before_the_opening_is_no_answer_to_it() -> None:
    """Whatever order they arrive in."""
    assert [("raised", BREACH, 9 * HOUR)] == seen(SLA, [ticket(0, REPLIED), ticket(HOUR)]).until(DAY).said()


def test_a_late_opening_that_nobody_answered_is_due_in_the_past() -> None:
    """It fires when it arrives."""
    world = World(SLA).until(DAY)
    world.see(ticket(0))
    assert [("raised", BREACH, 8 * HOUR)] == world.said()


@pytest.mark.parametrize(("kind", "answered"), [("revoked", 8 * HOUR), ("cleared", 8 * HOUR + 1)])
def test_a_late_answer_revokes_up_to_the_due_and_clears_after_it(kind: str, answered: int) -> None:
    """At the very due instant it still counts as in time."""
    world = seen(SLA, [ticket(0)]).until(DAY)
    world.see(ticket(answered, REPLIED))
    assert [("raised", BREACH, 8 * HOUR), (kind, BREACH, 8 * HOUR)] == world.said()


def test_an_answer_in_time_revokes_even_after_another_has_cleared() -> None:
    """It turns out that nobody had to wait too long."""
    world = seen(SLA, [ticket(0), ticket(10 * HOUR, REPLIED)])
    world.see(ticket(2 * HOUR, REPLIED))
    assert ["raised", "cleared", "revoked"] == [kind for kind, _, _ in world.said()]


def test_a_second_answer_says_nothing_more() -> None:
    """Cleared is cleared."""
    world = seen(SLA, [ticket(0), ticket(10 * HOUR, REPLIED), ticket(11 * HOUR, CLOSED)])
    world.see(ticket(9 * HOUR, REPLIED))
    assert [("raised", BREACH, 8 * HOUR), ("cleared", BREACH, 8 * HOUR)] == world.said()


def test_an_answer_accepted_late_by_hand_clears() -> None:
    """Though its ticket is old enough to be forgotten once it is answered."""
    world = seen(SLA, [ticket(0), ticket(50 * DAY, of="other"), ticket(50 * DAY, CLOSED, of="other")])
    world.see(ticket(2 * DAY, REPLIED, late=True))
    assert [("raised", BREACH, 8 * HOUR), ("cleared", BREACH, 8 * HOUR)] == world.said()


def test_without_a_cool_down_a_late_opening_keeps_its_own_due() -> None:
    """A breach that is due before one that has been said waits for nothing."""
    world = seen(SLA, [ticket(0, of="said")]).until(DAY)
    world.see(ticket(HOUR, of="late", priority=Priority.URGENT))
    assert [("raised", BREACH, 8 * HOUR), ("raised", BREACH, 2 * HOUR)] == world.said()


def test_a_cool_down_defers_the_next_breach() -> None:
    """Due = max(crossing, last due + cool-down); answered by then, it never was."""
    playbook = Playbook(model=MODEL, sla_breach=SlaBreach(cool_down=DAY))
    world = seen(playbook, [ticket(0), ticket(0, of="second"), ticket(0, of="third")])
    world.until(HOUR).see(ticket(30 * HOUR, REPLIED, of="third"))
    world.until(10 * DAY)
    assert 8 * HOUR == world.said()[0][2]
    raised = [due for kind, _, due in world.said() if kind == "raised"]
    assert {8 * HOUR, 32 * HOUR} <= set(raised)


@pytest.mark.parametrize(("expected", "third"), [([30 * DAY - 1], 30 * DAY - 1), ([], 30 * DAY)])
def test_three_openings_in_thirty_days_are_a_spike(expected: list[int], third: int) -> None:
    """At the third, at once; the window's first instant is not in it."""
    world = seen(SPIKES, [ticket(0, of="a"), ticket(DAY, of="b"), ticket(third, of="c")])
    assert expected == [due for _, _, due in world.said()]


def test_a_fourth_opening_is_no_spike_of_its_own() -> None:
    """A spike begins where the condition becomes true after it was false."""
    world = seen(SPIKES, [ticket(hour * HOUR, of=str(hour)) for hour in range(6)])
    assert [("raised", SPIKE, 2 * HOUR)] == world.said()


def test_only_openings_make_a_spike() -> None:
    """Reopenings and replies don't."""
    steps = [ticket(HOUR, REOPENED), ticket(2 * HOUR, REPLIED), ticket(3 * HOUR, REOPENED)]
    assert [] == seen(SPIKES, [ticket(0), *steps]).until(DAY).said()


@pytest.mark.parametrize(("spiking", "base"), [(True, 6), (False, 7)])
def test_a_spike_is_three_times_the_customers_own_base(spiking: bool, base: int) -> None:
    """Six openings in the 180 days before are one in 30 days, and three are thrice that; of seven, not."""
    before = [ticket(number * 20 * DAY, of=f"base {number}") for number in range(base)]
    now = [ticket(179 * DAY + 30 * DAY + number, of=str(number)) for number in range(3)]
    world = seen(dataclasses.replace(SPIKES), [*before, *now])
    assert spiking is bool(world.said())


def test_the_base_is_never_less_than_one_opening_in_ninety_days() -> None:
    """With a factor of ten, three openings do not outweigh a third of an opening ten times; four do."""
    playbook = Playbook(model=MODEL, ticket_spike=TicketSpike(factor=10))
    world = seen(playbook, [ticket(number, of=str(number)) for number in range(4)])
    assert [("raised", SPIKE, 3)] == world.said()


def test_nothing_ends_a_spike() -> None:
    """It tells of a moment."""
    world = seen(SPIKES, [ticket(number, of=str(number)) for number in range(3)])
    world.see(*(ticket(DAY + number, CLOSED, of=str(number)) for number in range(3)), order(2 * DAY))
    assert [("raised", SPIKE, 2)] == world.until(400 * DAY).said()


def test_a_spike_in_the_cool_down_is_dropped_with_a_reason() -> None:
    """A point rule does not wait: what falls into the cool-down never fires."""
    playbook = Playbook(model=MODEL, ticket_spike=TicketSpike(cool_down=60 * DAY))
    first = [ticket(number, of=f"first {number}") for number in range(3)]
    world = seen(playbook, first)
    second = [ticket(40 * DAY + number, of=f"second {number}") for number in range(3)]
    step = world.see(*second)
    assert (Suppressed(SPIKE, "cool_down"),) == step.suppressed
    assert [("raised", SPIKE, 2)] == world.until(400 * DAY).said()


def test_a_spike_at_the_end_of_the_cool_down_fires() -> None:
    """It counts from the due instant."""
    playbook = Playbook(model=MODEL, ticket_spike=TicketSpike(cool_down=40 * DAY))
    first = [ticket(number, of=f"first {number}") for number in range(3)]
    second = [ticket(40 * DAY + number, of=f"second {number}") for number in range(3)]
    assert [2, 40 * DAY + 2] == [due for _, _, due in seen(playbook, [*first, *second]).said()]


def test_a_late_opening_moves_the_spike_to_an_earlier_one() -> None:
    """What was said of the third is revoked; the spike was at what is now the third."""
    world = seen(SPIKES, [ticket(day * DAY, of=str(day)) for day in (0, 2, 3)])
    world.see(ticket(DAY, of="late"))
    expected = [("raised", SPIKE, 3 * DAY), ("revoked", SPIKE, 3 * DAY), ("raised", SPIKE, 2 * DAY)]
    assert expected == world.said()


def test_a_late_opening_can_show_that_there_was_no_spike() -> None:
    """It raises the base above a third of what came; of the cool-down nothing is left."""
    playbook = Playbook(
        model=MODEL, ticket_spike=TicketSpike(window=10 * DAY, base_window=10 * DAY, base_floor=90 * DAY)
    )
    world = seen(playbook, [ticket(0, of="base"), *(ticket(12 * DAY + n, of=str(n)) for n in range(3))])
    world.see(ticket(DAY, of="late"))
    assert [("raised", SPIKE, 12 * DAY + 2), ("revoked", SPIKE, 12 * DAY + 2)] == world.said()


def test_a_revoked_spike_gives_its_cool_down_back() -> None:
    """One that was dropped for its sake is raised instead."""
    playbook = Playbook(
        model=MODEL, ticket_spike=TicketSpike(window=5 * DAY, base_window=5 * DAY, cool_down=20 * DAY)
    )
    first = [ticket(6 * DAY + number, of=f"first {number}") for number in range(3)]
    second = [ticket(20 * DAY + number, of=f"second {number}") for number in range(3)]
    world = seen(playbook, [ticket(DAY // 2, of="base"), *first, *second])
    assert [("raised", SPIKE, 6 * DAY + 2)] == world.said()
    world.see(ticket(DAY // 2 + HOUR, of="late"))
    expected = [("revoked", SPIKE, 6 * DAY + 2), ("raised", SPIKE, 20 * DAY + 2)]
    assert expected == world.said()[1:]


def test_an_opening_accepted_late_by_hand_repeats_no_forgotten_spike() -> None:
    """What was said longer ago than max_lateness is not judged anew: nobody remembers it."""
    playbook = Playbook(model=MODEL, ticket_spike=TicketSpike(), sla_breach=SlaBreach())
    world = seen(playbook, [ticket(number * DAY, of=str(number)) for number in range(3)])
    world.until(100 * DAY)
    world.see(ticket(100 * DAY, of="later"))
    world.until(101 * DAY).see(ticket(HOUR, of="late", late=True))
    assert [("raised", SPIKE, 2 * DAY)] == world.said(SPIKE)
