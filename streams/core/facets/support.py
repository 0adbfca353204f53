"""Tickets: the steps of each, and the openings of the last 240 days.

Steps are kept in order of (instant, status, hash), so the order of arrival leaves no trace; an
update that arrives before its opening creates the ticket.
"""

from bisect import bisect_left

from mypy_extensions import i64

from schemas.customer import Recent, Support
from schemas.entries import EVENT_SIZE, event_entry, instant_at
from schemas.tickets import Ticket
from streams.core.facets.recent import Refusal, admit
from streams.core.playbook import DAY
from streams.core.stimuli import Status, TicketStep

OPENINGS_KEPT = 240 * DAY
"""The spike's window (30 d) and base (180 d), as of an instant up to `max_lateness` (30 d) ago."""

STARTS = frozenset({Status.OPENED, Status.REOPENED})
"""A customer waits from here on."""

ANSWERS = frozenset({Status.REPLIED, Status.RESOLVED, Status.CLOSED})
"""And no longer from here on."""

_EMPTY = Support()


def fold(facet: Support | None, event: TicketStep, *, now: i64, max_lateness: i64) -> Support | Refusal:
    """The facet with the step in it, or why it is refused."""
    before = _EMPTY if facet is None else facet
    step, key = unsigned(event.event), unsigned(event.ticket)
    events = admit(
        before.events,
        event_entry(event.at, event.event),
        event.at,
        now=now,
        max_lateness=max_lateness,
        accept_late=event.accept_late,
    )
    if not isinstance(events, Recent):
        return events
    newest = instant_at(events.entries, len(events.entries) - EVENT_SIZE) if events.entries else event.at
    kept: list[Ticket] = []
    found = False
    for ticket in before.tickets:
        touched = ticket.key == key
        found = found or touched
        if touched:
            ticket = _insert(ticket, event)  # noqa: PLW2901 - the same ticket, one step further
        # Not yet where a step was accepted by hand: it may be the old answer to what still stands open.
        trimmed = ticket if touched and event.accept_late else _trim(ticket, newest - max_lateness)
        if trimmed is not None:
            kept.append(trimmed)
    if not found:
        kept.append(_insert(Ticket(key, (), (), (), ()), event))
        kept.sort(key=_key)
    openings, opening_hashes = before.openings, before.opening_hashes
    if event.status == Status.OPENED:
        place = bisect_left(openings, event.at)
        while place < len(openings) and openings[place] == event.at and opening_hashes[place] < step:
            place += 1
        openings = (*openings[:place], event.at, *openings[place:])
        opening_hashes = (*opening_hashes[:place], step, *opening_hashes[place:])
    if openings:
        cut = bisect_left(openings, newest - OPENINGS_KEPT)
        openings = openings[cut:]
        opening_hashes = opening_hashes[cut:]
    return Support(events, tuple(kept), openings, opening_hashes)


def unsigned(hashed: i64) -> int:
    """A hash as tickets and triggers write it: they had it before it was a machine number."""
    return int(hashed) if hashed >= 0 else int(hashed) + 2**64


def _key(ticket: Ticket) -> int:
    return ticket.key


def _insert(ticket: Ticket, event: TicketStep) -> Ticket:
    steps = sorted(
        [
            *zip(ticket.instants, ticket.statuses, ticket.hashes, ticket.priorities, strict=True),
            (event.at, event.status, unsigned(event.event), event.priority),
        ]
    )
    return _of(ticket.key, steps)


def _of(key: int, steps: "list[tuple[int, int, int, int]]") -> Ticket:
    instants, statuses, hashes, priorities = zip(*steps, strict=True)
    return Ticket(key, instants, statuses, priorities, hashes)


def _trim(ticket: Ticket, cutoff: int) -> Ticket | None:
    """Without what no later step can change: all up to the last answer older than `cutoff`.

    None for a ticket of which nothing is left then: closed for `max_lateness`, or as good as closed,
    since a step that comes later creates it again with the same consequences.
    """
    if ticket.instants[0] >= cutoff:
        return ticket
    settled = 0
    for index in range(bisect_left(ticket.instants, cutoff)):
        if ticket.statuses[index] in ANSWERS:
            settled = index + 1
    if settled == len(ticket.instants):
        return None
    if not settled:
        return ticket
    return Ticket(
        ticket.key,
        ticket.instants[settled:],
        ticket.statuses[settled:],
        ticket.priorities[settled:],
        ticket.hashes[settled:],
    )
