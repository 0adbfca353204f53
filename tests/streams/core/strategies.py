"""Random playbooks, and random lives of one customer that reach what the rules watch for."""

from fractions import Fraction

from hypothesis import strategies as st

from streams.core.playbook import (
    DAY,
    HOUR,
    LoginDecay,
    Playbook,
    Risk,
    SecondOrderDue,
    SilentFor,
    SlaBreach,
    TicketSpike,
    WinBackStep,
)
from streams.core.stimuli import Priority, Status
from tests.streams.core.world import MODEL, Event, login, order, refund, ticket

NO_COOL_DOWN = st.just(0)
cool_downs = st.one_of(st.just(0), st.integers(1, 90).map(lambda days: days * DAY), st.integers(1, 90 * DAY))


@st.composite
def playbooks(
    draw: st.DrawFn, cool_down: st.SearchStrategy[int] = cool_downs, second_order_after: int = 1
) -> Playbook:
    """Playbooks with every rule on. second_order_after: the least days of second_order_due."""
    medium = draw(st.floats(0.3, 0.85))
    min_silence = st.integers(0, 40).map(lambda days: days * DAY)
    ages = sorted(draw(st.lists(st.sampled_from(range(4, 12)), min_size=3, max_size=3, unique=True)))
    return Playbook(
        model=MODEL,
        lapse_age=draw(st.integers(30, 200)) * DAY + draw(st.integers(0, 3)),
        include_first_order=draw(st.booleans()),
        levels=draw(st.sampled_from(["highest", "all"])),
        risk_medium=Risk(probability=medium, min_silence=draw(min_silence), cool_down=draw(cool_down)),
        risk_high=Risk(
            probability=draw(st.floats(medium, 0.95, exclude_min=True)),
            min_silence=draw(min_silence),
            cool_down=draw(cool_down),
        ),
        silent_for=SilentFor(
            days=tuple(draw(st.lists(st.integers(1, 120), min_size=1, max_size=3, unique=True))),
            cool_down=draw(cool_down),
        ),
        second_order_due=SecondOrderDue(
            after=draw(st.integers(second_order_after, 120)) * DAY, cool_down=draw(cool_down)
        ),
        winback_1=WinBackStep(step=1, lapse_ages=Fraction(ages[0], 4), cool_down=draw(cool_down)),
        winback_2=WinBackStep(step=2, lapse_ages=Fraction(ages[1], 4), cool_down=draw(cool_down)),
        winback_3=WinBackStep(step=3, lapse_ages=Fraction(ages[2], 4), cool_down=draw(cool_down)),
        sla_breach=SlaBreach(cool_down=draw(cool_down)),
        ticket_spike=TicketSpike(
            openings=draw(st.integers(2, 4)), factor=draw(st.integers(1, 4)), cool_down=draw(cool_down)
        ),
        login_decay=LoginDecay(
            ratio=draw(st.sampled_from([0.3, 0.5, 0.9])),
            min_logins=draw(st.integers(1, 8)),
            cool_down=draw(cool_down),
        ),
    )


_pauses = st.one_of(
    # Short; about as long as an answer may take, and exactly so; days; a silence.
    st.integers(0, 2 * HOUR),
    st.sampled_from([1 * HOUR, 4 * HOUR, 8 * HOUR, 24 * HOUR]),
    st.integers(1, 12 * DAY),
    st.integers(1, 90).map(lambda days: days * DAY),
    st.integers(20 * DAY, 250 * DAY),
)
_kinds = st.sampled_from(
    [*4 * ["order"], "refund", *4 * ["logins"], *2 * ["open"], "burst", *2 * ["step"]],
)


@st.composite
def lives(draw: st.DrawFn, most: int = 15) -> list[Event]:
    """What happened to one customer, in order of time; every event has an id of its own."""
    events: list[Event] = []
    tickets: list[str] = []
    at = draw(st.integers(0, 2 * DAY))
    for number in range(draw(st.integers(1, most))):
        at += draw(_pauses)
        kind = draw(_kinds)
        if kind == "order":
            events.append(order(at, draw(st.integers(0, 10_000)), name=f"order {number}"))
        elif kind == "refund":
            events.append(refund(at, draw(st.integers(0, 10_000)), name=f"refund {number}"))
        elif kind == "logins":
            # Enough of them at once, and one later login does not lift the ratio any more.
            for index in range(draw(st.sampled_from([1, 1, 2, 5, 30]))):
                events.append(login(at, name=f"login {number} {index}"))
                at += draw(st.sampled_from([0, HOUR, DAY]))
        elif kind in {"open", "burst"}:
            for index in range(1 if kind == "open" else draw(st.integers(2, 4))):
                tickets.append(f"ticket {number} {index}")
                events.append(ticket(at, of=tickets[-1], priority=draw(st.sampled_from(Priority))))
                at += draw(st.one_of(st.integers(0, 3 * DAY), st.integers(0, 20 * DAY)))
        else:
            # Now and then of a ticket that nobody has opened.
            of = draw(st.sampled_from([*tickets[-3:], f"ticket {number}"]))
            status = draw(st.sampled_from([status for status in Status if status is not Status.OPENED]))
            priority = draw(st.sampled_from(Priority))
            events.append(ticket(at, status, of=of, name=f"step {number}", priority=priority))
    return sorted(events, key=lambda event: event.at)
