"""Which events have been applied: once each, within max_lateness, and as many as fit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.customer import BEFORE_ALL, Recent
from schemas.entries import EVENT_SIZE, event_entry
from streams.core.facets.recent import CAPACITY, Refusal, admit
from streams.core.playbook import DAY
from tests.entries import events_of, late_events_of

LATENESS = 30 * DAY


def admitted(
    *events: tuple[int, int], recent: Recent | None = None, clock: int = 0, late: bool = False
) -> Recent:
    """The record after these events (hash, instant), none of them refused."""
    recent = recent or Recent()
    for event, at in events:
        clock = max(clock, at)
        after = admit(recent, event_entry(at, event), at, now=clock, max_lateness=LATENESS, accept_late=late)
        assert not isinstance(after, Refusal)
        recent = after
    return recent


def refusal(recent: Recent, event: int, at: int, *, clock: int, late: bool = False) -> Recent | Refusal:
    """What becomes of one more event."""
    return admit(recent, event_entry(at, event), at, now=clock, max_lateness=LATENESS, accept_late=late)


def test_events_stand_in_order_of_instant_and_hash() -> None:
    """Whatever order they came in."""
    expected = [(10, 3), (20, 1), (20, 2), (30, 4)]
    assert expected == events_of(admitted((4, 30), (2, 20), (3, 10), (1, 20)))
    assert expected == events_of(admitted((3, 10), (1, 20), (2, 20), (4, 30)))


def test_an_id_counts_once() -> None:
    """The second event of that id is a duplicate, whatever it says."""
    assert Refusal.DUPLICATE is refusal(admitted((1, 10)), 1, 20, clock=20)


@pytest.mark.parametrize(("expected", "at"), [(Recent, 1), (Refusal, 0)])
def test_exactly_max_lateness_is_not_too_late(expected: type, at: int) -> None:
    """One millisecond more is."""
    assert isinstance(refusal(Recent(), 1, at, clock=LATENESS + 1), expected)


def test_what_is_older_than_max_lateness_is_forgotten() -> None:
    """Cut at the customer's own newest event; it would be refused for its age by now."""
    recent = admitted((1, 0), (2, 1), (3, LATENESS + 1))
    assert [(1, 2), (LATENESS + 1, 3)] == events_of(recent)
    assert BEFORE_ALL == recent.horizon
    assert Refusal.TOO_LATE is refusal(recent, 1, 0, clock=LATENESS + 1)


def test_at_most_256_are_kept_and_the_horizon_rises() -> None:
    """To the newest instant that was evicted: what lies at or below it is too late from then on."""
    recent = admitted(*((number, number) for number in range(CAPACITY + 2)))
    assert 256 == CAPACITY == len(recent.entries) // EVENT_SIZE
    assert 1 == recent.horizon
    assert Refusal.TOO_LATE is refusal(recent, 0, 0, clock=CAPACITY + 2)
    assert Refusal.TOO_LATE is refusal(recent, 10**6, 1, clock=CAPACITY + 2)
    assert isinstance(refusal(recent, 10**6, 2, clock=CAPACITY + 2), Recent)


def test_what_is_evicted_at_once_cannot_come_twice() -> None:
    """An event older than all that are kept of a full record is applied, and then too late."""
    full = admitted(*((number, 100 + number) for number in range(CAPACITY)))
    after = admitted((999, 50), recent=full, clock=1000)
    assert full.entries == after.entries
    assert Refusal.TOO_LATE is refusal(after, 999, 50, clock=1000)


def test_what_is_accepted_by_hand_is_remembered_for_good() -> None:
    """However old it is, replaying it twice changes nothing."""
    recent = admitted((1, 0), clock=100 * DAY, late=True)
    assert ([1], []) == (late_events_of(recent), events_of(recent))
    recent = admitted((2, 400 * DAY), recent=recent)
    assert Refusal.DUPLICATE is refusal(recent, 1, 0, clock=400 * DAY, late=True)


def test_even_by_hand_nothing_is_accepted_below_the_horizon() -> None:
    """What was applied there is not known any more."""
    recent = Recent(horizon=10)
    assert Refusal.TOO_LATE is refusal(recent, 1, 10, clock=100 * DAY, late=True)


def test_by_hand_at_most_256_are_accepted() -> None:
    """The state of a customer stays bounded."""
    recent = admitted(*((number, 0) for number in range(CAPACITY)), clock=100 * DAY, late=True)
    assert Refusal.TOO_LATE is refusal(recent, 999, 0, clock=100 * DAY, late=True)


def test_accepted_by_hand_but_not_late_is_an_ordinary_event() -> None:
    """The mark alone makes nothing late."""
    assert Recent(event_entry(0, 1)) == admitted((1, 0), late=True)


@given(
    st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1), st.integers(0, LATENESS)), max_size=20), st.data()
)
def test_only_whole_ids_are_found(events: list[tuple[int, int]], data: st.DataObject) -> None:
    """Eight bytes out of two neighbouring entries are nobody's id, even if an event has just that."""
    recent = Recent()
    for event, at in events:
        after = refusal(recent, event, at, clock=LATENESS)
        recent = after if isinstance(after, Recent) else recent
    known = {event for event, _ in events}
    places = st.integers(0, max(0, len(recent.entries) - 8))
    start = data.draw(places)
    event = int.from_bytes(recent.entries[start : start + 8], signed=True) if recent.entries else 0
    expected = Refusal if event in known else Recent
    assert isinstance(refusal(recent, event, LATENESS, clock=LATENESS), expected)
