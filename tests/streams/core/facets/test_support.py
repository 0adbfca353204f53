"""Tickets: their steps in order, the openings, and what is forgotten of both."""

import pytest

from schemas.customer import Support
from schemas.tickets import Ticket
from streams.core.facets.recent import Refusal
from streams.core.facets.support import fold, unsigned
from streams.core.playbook import DAY, HOUR
from streams.core.stimuli import Priority, Status, TicketStep
from tests.streams.core.world import START, hash64, ticket

LATENESS = 30 * DAY
OPENED, REPLIED, RESOLVED, REOPENED, CLOSED = Status


def folded(*events: TicketStep, clock: int | None = None) -> Support:
    """The facet after these events, each as late as the clock (after START) makes it."""
    facet: Support | None = None
    newest = 0
    for event in events:
        newest = max(newest, event.at - START)
        after = fold(facet, event, now=START + max(clock or 0, newest), max_lateness=LATENESS)
        assert not isinstance(after, Refusal)
        facet = after
    assert facet is not None
    return facet


def steps(facet: Support, of: str = "ticket") -> list[tuple[int, int]]:
    """(ms after START, status) of a ticket's steps; none if it is not kept."""
    found = [kept for kept in facet.tickets if kept.key == unsigned(hash64(of))]
    return [
        (at - START, status) for one in found for at, status in zip(one.instants, one.statuses, strict=True)
    ]


def test_steps_stand_in_order_of_time_whatever_order_they_came_in() -> None:
    """A step keeps its priority and hash with it when it is sorted into its place."""
    opened, replied = ticket(0, priority=Priority.URGENT), ticket(HOUR, REPLIED)
    expected = Ticket(
        unsigned(hash64("ticket")),
        (opened.at, replied.at),
        (OPENED, REPLIED),
        (Priority.URGENT, Priority.NORMAL),
        (unsigned(opened.event), unsigned(replied.event)),
    )
    assert (expected,) == folded(opened, replied).tickets == folded(replied, opened).tickets


def test_steps_of_one_instant_are_read_in_the_order_of_a_tickets_life() -> None:
    """Opened before replied, reopened before closed."""
    life = [ticket(0, status) for status in (CLOSED, REOPENED, RESOLVED, REPLIED, OPENED)]
    assert [(0, status) for status in Status] == steps(folded(*life))


def test_an_update_that_comes_before_its_opening_creates_the_ticket() -> None:
    """It stands there as a ticket without an opening."""
    facet = folded(ticket(HOUR, REPLIED))
    assert [(HOUR, REPLIED)] == steps(facet)
    assert () == facet.openings


def test_a_closed_ticket_is_kept_for_max_lateness() -> None:
    """At 30 days after its closing it is there, a millisecond later another ticket's step drops it."""
    life = [ticket(0), ticket(DAY, CLOSED)]
    kept = folded(*life, ticket(31 * DAY, of="other"))
    gone = folded(*life, ticket(31 * DAY + 1, of="other"))
    assert [(0, OPENED), (DAY, CLOSED)] == steps(kept)
    assert [] == steps(gone)


def test_a_ticket_without_an_answer_is_kept_for_ever() -> None:
    """Somebody still waits."""
    assert [(0, OPENED)] == steps(folded(ticket(0), ticket(1000 * DAY, of="other")))


@pytest.mark.parametrize("answer", [REPLIED, RESOLVED, CLOSED])
def test_what_was_answered_long_ago_is_forgotten_alike_in_any_order(answer: Status) -> None:
    """A reopening that comes late finds the ticket dropped, or it is kept for it alone: the same state."""
    opened, answered = ticket(0), ticket(DAY, answer)
    reopened, other = ticket(2 * DAY, REOPENED), ticket(31 * DAY + 1, of="other")
    in_time = folded(opened, answered, reopened, other)
    late = folded(opened, answered, other, reopened)
    assert [(2 * DAY, REOPENED)] == steps(in_time)
    assert in_time == late


def test_openings_are_kept_for_240_days() -> None:
    """So long as the spike's window, its base and max_lateness together."""
    facet = folded(ticket(0), ticket(1, of="second"), ticket(240 * DAY + 1, of="third"))
    assert (START + 1, START + 240 * DAY + 1) == facet.openings
    assert len(facet.openings) == len(facet.opening_hashes)


def test_openings_of_one_instant_stand_in_order_of_their_hashes() -> None:
    """So that the order of arrival leaves no trace."""
    first, second, third = sorted(
        (ticket(0, of=name) for name in ("a", "b", "c")), key=lambda event: unsigned(event.event)
    )
    expected = (unsigned(first.event), unsigned(second.event), unsigned(third.event))
    assert expected == folded(third, first, second).opening_hashes


def test_a_step_is_applied_once() -> None:
    """The second time it is refused as a duplicate."""
    facet = folded(ticket(0))
    assert Refusal.DUPLICATE is fold(facet, ticket(0), now=START, max_lateness=LATENESS)
