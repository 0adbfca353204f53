"""What the state remembers of firings, and for how long."""

from streams.core.facets.support import unsigned
from streams.core.playbook import DAY, HOUR, Playbook, Risk, SilentFor, SlaBreach, TicketSpike
from streams.core.stimuli import Status
from tests.streams.core.world import MODEL, order, seen, ticket


def test_a_leap_of_the_clock_forgets_no_cool_down_on_the_way() -> None:
    """Dues settled in one go are those settled day by day, cool-downs included."""
    playbook = Playbook(
        model=MODEL,
        lapse_age=30 * DAY,
        include_first_order=True,
        risk_medium=Risk(probability=0.5, min_silence=0, cool_down=3 * DAY),
        silent_for=SilentFor(days=(1,)),
    )
    leaping = seen(playbook, [order(0), order(DAY)]).until(700 * DAY)
    walking = seen(playbook, [order(0), order(DAY)])
    for day in range(2, 700):
        walking.until(day * DAY)

    assert ("raised", "risk_medium", 3 * DAY) == walking.said()[-1]
    assert walking.said() == leaping.said()


def test_what_a_late_event_may_still_judge_is_remembered() -> None:
    """An opening exactly max_lateness late finds the spike of that instant, and does not repeat it."""
    playbook = Playbook(model=MODEL, ticket_spike=TicketSpike(openings=2, factor=1), sla_breach=SlaBreach())
    openings = sorted((ticket(0, of=name) for name in "abc"), key=lambda opening: unsigned(opening.event))
    world = seen(playbook, openings[:2]).until(30 * DAY)
    world.see(openings[2])

    assert [("raised", "ticket_spike", 0)] == world.said("ticket_spike")


def test_a_spike_is_forgotten_when_nothing_can_ask_for_it_any_more() -> None:
    """Nothing ends it, so it is not kept for ever: only through its cool-down and max_lateness."""
    playbook = Playbook(
        model=MODEL, ticket_spike=TicketSpike(openings=2, factor=1, cool_down=5 * DAY), sla_breach=SlaBreach()
    )
    world = seen(playbook, [ticket(0, of="a"), ticket(1, of="b")])
    for day, kept in ((35, True), (36, False)):
        # Whatever fires then tidies up.
        world.see(ticket(day * DAY - 8 * HOUR, Status.REOPENED))
        customer = world.until(day * DAY + 1).customer
        assert customer is not None
        assert kept is any(firing.rule == "ticket_spike" for firing in customer.firings)


def test_what_stands_open_is_never_forgotten() -> None:
    """Years later its end is still told."""
    playbook = Playbook(model=MODEL, silent_for=SilentFor(days=(1, 2000)))
    world = seen(playbook, [order(0)]).until(2 * DAY).until(2001 * DAY)
    world.see(order(3000 * DAY))
    assert ["raised", "raised", "cleared", "cleared"] == [kind for kind, _, _ in world.said()]
