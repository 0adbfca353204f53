"""The crowd of a scale: copies of a sample of the default population, and how they go on."""

from datetime import UTC, date, datetime

import msgspec
import pytest

from agents.population import population
from bench.crowd import FUTURE_DAYS, Member, goes_on, name_of, sample
from schemas.customer import wake_of
from schemas.instants import DAY_MS, since_epoch
from schemas.record import head, unpack
from schemas.topics import SOURCES
from streams.playbook_file import load_playbook
from tests.flows.events import logs_of
from tests.flows.pure_fold import pure_fold

PLAYBOOK = load_playbook(None, None)
END = since_epoch(datetime(2025, 7, 1, tzinfo=UTC))
SIZE, DAYS = 12, 200


@pytest.fixture(scope="module")
def members() -> list[Member]:
    """A small sample, of a shorter time."""
    return sample(PLAYBOOK, END, SIZE, DAYS)


def test_a_state_is_what_the_engine_makes_of_the_life(members: list[Member]) -> None:
    """The same as the pure fold of the same population up to its end."""
    start = date(2025, 7, 1).toordinal() - DAYS
    events = list(population(1, SIZE, date.fromordinal(start), DAYS).events())
    expected = pure_fold(logs_of(events), PLAYBOOK, END).customers
    assert expected == {
        name_of(number).encode(): unpack(member.state) for number, member in enumerate(members)
    }


def test_no_deadline_is_left_behind(members: list[Member]) -> None:
    """At the end of the population every deadline still lies ahead, and stands in the record's head."""
    for member in members:
        assert head(member.state).wake_at == wake_of(unpack(member.state)) >= END


def test_a_crowd_goes_on_in_the_order_of_time(members: list[Member]) -> None:
    """Each event is one of a customer of the crowd, after its end, and there is none twice."""
    customers = 3 * SIZE + 5
    rows = list(goes_on(members, customers, 10_000))
    told = [msgspec.json.decode(value, type=SOURCES[place].body) for place, _, value in rows]
    instants = [since_epoch(event.occurred_at) for event in told]
    assert sorted(instants) == instants
    assert END <= instants[0]
    assert instants[-1] < END + FUTURE_DAYS * DAY_MS + 3_600_000
    assert {name_of(number) for number in range(customers)} >= {event.customer_id for event in told}
    assert [event.customer_id.encode() for event in told] == [key for _, key, _ in rows]
    assert len(told) == len({(type(event), event.id) for event in told})
    assert all(event.id.startswith(event.customer_id) for event in told)


def test_twice_the_crowd_does_twice_as_much(members: list[Member]) -> None:
    """The rate a customer is that of the sample, whatever the size."""
    once = len(list(goes_on(members, SIZE, 10_000)))
    assert once > 0
    assert 4 * once == len(list(goes_on(members, 4 * SIZE, 10_000)))


def test_a_crowd_is_heard_only_as_long_as_asked(members: list[Member]) -> None:
    """The first so many events, of all copies alike."""
    assert 20 == len(list(goes_on(members, 4 * SIZE, 20)))


def test_names_are_as_long_as_those_of_the_population() -> None:
    """A key's length is part of what a customer weighs."""
    assert "s1-0000000" == name_of(0)
    assert len(name_of(0)) == len(name_of(2_999_999))
