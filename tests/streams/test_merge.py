"""The merge: the three topics of a partition as one sequence, whatever the batches were."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from schemas.customer import LONG_AGO
from schemas.errors import Rejected
from streams.checked import CheckedIn, Item, Outside, Refused, SourceRecord
from streams.core.model import Model
from streams.core.playbook import Playbook
from streams.core.stimuli import LoggedIn
from streams.merge import STRETCH, Merge

PLAYBOOK = Playbook(model=Model(r=0.637, alpha=7.310, a=0.807, b=1.228, p=6.28, q=3.62, gamma=14.98))
PURCHASES, LOGINS, TICKETS = range(3)
OPEN = (False, False, False)
ENDED = (True, True, True)
BAD = None
"""A record that check-in refuses."""

Placed = tuple[int, int, int]
"""Topic, offset, running maximum."""


def check_in(record: SourceRecord, _: Playbook) -> CheckedIn | Refused:
    """Values are instants; an empty one is refused."""
    if not record.value:
        return Refused(record.offset, record, Rejected("empty_value", "the record has no value"))
    return CheckedIn(b"customer", LoggedIn(int(record.value), 0), record.offset, record)


def merge_of(
    positions: Sequence[tuple[int, int]] = ((0, LONG_AGO),) * 3,
    end: int | None = None,
    begin: int | None = None,
    stretch: int = STRETCH,
) -> Merge:
    """An empty merge."""
    return Merge(positions, [check_in] * 3, PLAYBOOK, end, begin, stretch=stretch)


def records(source: int, *instants: int | None, first: int = 0) -> list[SourceRecord]:
    """A topic's records of these instants, at offsets from `first` on."""
    return [
        SourceRecord(str(source), 0, first + index, 0, None, b"" if at is None else str(at).encode())
        for index, at in enumerate(instants)
    ]


def placed(taken: Sequence[Item]) -> list[Placed]:
    """What was taken, to compare."""
    return [(item.source, item.offset, item.newest) for item in taken]


# ------------------------------------------------------------------------------------------- examples


def test_the_older_record_goes_first() -> None:
    """Between topics the smaller instant goes first."""
    merge = merge_of()
    merge.add(PURCHASES, records(PURCHASES, 10, 30), 2)
    merge.add(LOGINS, records(LOGINS, 20, 40), 2)
    expected = [(PURCHASES, 0, 10), (LOGINS, 0, 20), (PURCHASES, 1, 30), (LOGINS, 1, 40)]
    assert expected == placed(merge.take(10, ENDED))


def test_ties_go_purchases_logins_tickets() -> None:
    """Records of one instant go in the order of the topics."""
    merge = merge_of()
    for source in (TICKETS, LOGINS, PURCHASES):
        merge.add(source, records(source, 5, 5), 2)
    expected = [PURCHASES, PURCHASES, LOGINS, LOGINS, TICKETS, TICKETS]
    assert expected == [item.source for item in merge.take(10, ENDED)]


def test_a_late_record_goes_where_its_topic_stands() -> None:
    """Within a topic it is offset order, and a late event has the running maximum as its place."""
    merge = merge_of()
    merge.add(PURCHASES, records(PURCHASES, 50, 10, 60), 3)
    merge.add(LOGINS, records(LOGINS, 20, 55), 2)
    expected = [
        (LOGINS, 0, 20),
        (PURCHASES, 0, 50),
        (PURCHASES, 1, 50),
        (LOGINS, 1, 55),
        (PURCHASES, 2, 60),
    ]
    assert expected == placed(merge.take(10, ENDED))


def test_a_topic_that_may_still_bring_something_holds_the_others() -> None:
    """Nothing is taken while a topic not at its end has nothing buffered and nothing seen."""
    merge = merge_of()
    merge.add(PURCHASES, records(PURCHASES, 10), 1)
    assert [] == merge.take(10, (False, False, True))
    assert [(PURCHASES, 0, 10)] == placed(merge.take(10, (False, True, True)))


def test_what_lies_below_the_running_maximum_goes_in_any_case() -> None:
    """A topic not at its end can bring nothing that comes before its running maximum."""
    merge = merge_of()
    merge.add(LOGINS, records(LOGINS, 20), 1)
    merge.add(PURCHASES, records(PURCHASES, 10, 15, 20, 21), 4)
    merge.add(TICKETS, records(TICKETS, 20, 99), 2)
    # A purchase of the same instant goes before whatever logins still bring, a ticket after it.
    expected = [(PURCHASES, 0, 10), (PURCHASES, 1, 15), (PURCHASES, 2, 20), (LOGINS, 0, 20)]
    assert expected == placed(merge.take(10, (True, False, True)))


def test_what_arrives_below_a_quiet_topics_maximum_does_not_wait_for_it() -> None:
    """Live, a topic that was at its end brings more: another's silence holds only what lies beyond."""
    merge = merge_of()
    merge.add(LOGINS, records(LOGINS, 20), 1)
    assert [(LOGINS, 0, 20)] == placed(merge.take(10, (True, False, True)))
    merge.add(PURCHASES, records(PURCHASES, 19, 20, 21), 3)
    merge.add(TICKETS, records(TICKETS, 19, 20), 2)
    expected = [(PURCHASES, 0, 19), (TICKETS, 0, 19), (PURCHASES, 1, 20)]
    assert expected == placed(merge.take(10, (True, False, True)))


def test_a_refused_record_goes_where_its_topic_stands() -> None:
    """A record without a usable instant has its topic's running maximum as its place."""
    merge = merge_of()
    merge.add(PURCHASES, records(PURCHASES, 30, BAD, 50), 3)
    merge.add(LOGINS, records(LOGINS, 40), 1)
    expected = [(PURCHASES, 0, 30), (PURCHASES, 1, 30), (LOGINS, 0, 40), (PURCHASES, 2, 50)]
    taken = merge.take(10, ENDED)
    assert expected == placed(taken)
    assert isinstance(taken[1], Refused)


def test_what_is_dated_after_the_end_moves_nothing() -> None:
    """A record dated at or after the replay's end is only counted, and leaves the running maximum."""
    merge = merge_of(end=100)
    merge.add(PURCHASES, records(PURCHASES, 99, 100, 101), 3)
    merge.add(LOGINS, records(LOGINS, 99), 1)
    taken = merge.take(10, ENDED)
    assert [(PURCHASES, 0, 99), (PURCHASES, 1, 99), (PURCHASES, 2, 99), (LOGINS, 0, 99)] == placed(taken)
    assert [CheckedIn, Outside, Outside, CheckedIn] == [type(item) for item in taken]


def test_what_is_dated_before_the_beginning_moves_nothing() -> None:
    """A record dated before a replay's beginning is only counted; one dated at it is the first."""
    merge = merge_of(begin=50, end=100)
    merge.add(PURCHASES, records(PURCHASES, 49, 60, 30, 100), 4)
    merge.add(LOGINS, records(LOGINS, 50), 1)
    taken = merge.take(10, ENDED)
    expected = [(PURCHASES, 0, LONG_AGO), (LOGINS, 0, 50), (PURCHASES, 1, 60)]
    assert [*expected, (PURCHASES, 2, 60), (PURCHASES, 3, 60)] == placed(taken)
    outside = [item.outcome for item in taken if isinstance(item, Outside)]
    assert ["before_begin", "before_begin", "after_end"] == outside


def test_markers_move_the_offset() -> None:
    """A batch without records, and offsets at the end of a batch that hold none, are passed over."""
    merge = merge_of()
    merge.add(PURCHASES, [], 3)
    merge.add(PURCHASES, records(PURCHASES, 10, first=3), 6)
    merge.add(PURCHASES, [], 9)
    assert 0 == merge.next_offset(PURCHASES)
    merge.take(10, ENDED)
    merge.take(10, ENDED)
    assert 9 == merge.next_offset(PURCHASES)
    assert merge.empty


def test_the_next_offset_is_that_of_the_record_not_yet_taken() -> None:
    """Within a batch the offset after the last record taken is where the next one lies."""
    merge = merge_of()
    first, second = records(PURCHASES, 10, 20)
    merge.add(PURCHASES, [first, SourceRecord("0", 0, 7, 0, None, second.value)], 9)
    merge.take(1, ENDED)
    assert 7 == merge.next_offset(PURCHASES)


def test_buffered_bytes_come_and_go_with_the_batches() -> None:
    """A topic that waits says how much memory it takes; nothing once all is taken."""
    merge = merge_of()
    merge.add(PURCHASES, records(PURCHASES, 10, 20), 2)
    weight = merge.buffered(PURCHASES)
    merge.add(PURCHASES, records(PURCHASES, 30, 40, first=2), 4)
    assert 2 * weight == merge.buffered(PURCHASES)
    assert 0 == merge.buffered(LOGINS)
    merge.take(2, ENDED)
    assert weight == merge.buffered(PURCHASES)
    merge.take(2, ENDED)
    assert 0 == merge.buffered(PURCHASES)


# ------------------------------------------------------------------------------------------------ laws


class Delivery(NamedTuple):
    """A batch: how many records, and how many offsets after them hold none."""

    records: int
    markers: int


instants = st.lists(st.one_of(st.integers(0, 12), st.just(BAD)), max_size=12)
logs = st.tuples(instants, instants, instants)
deliveries = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 4), st.integers(0, 2)), max_size=25)
limits = st.lists(st.integers(0, 5), max_size=25)


def defined(topics: Sequence[Sequence[int | None]], end: int | None = None) -> list[tuple[int, int, int]]:
    """The order as SEMANTICS has it: (topic, index, running maximum) by running maximum and topic."""
    everything = []
    for source, log in enumerate(topics):
        newest = LONG_AGO
        for index, at in enumerate(log):
            if at is not None and (end is None or at < end):
                newest = max(newest, at)
            everything.append((newest, source, index))
    return [(source, index, newest) for newest, source, index in sorted(everything)]


class Feed:
    """Delivers three logs to a merge in batches and takes in between; offsets have gaps."""

    def __init__(self, merge: Merge, topics: Sequence[Sequence[int | None]]) -> None:
        self.merge = merge
        self.topics = topics
        self.sent = [0, 0, 0]
        self.offsets = [0, 0, 0]
        self.index_of: list[dict[int, int]] = [{}, {}, {}]
        self.taken: list[Item] = []

    def deliver(self, source: int, count: int, markers: int) -> None:
        """The next records of a topic, then offsets without any."""
        first, upto = self.sent[source], min(self.sent[source] + count, len(self.topics[source]))
        batch = records(source, *self.topics[source][first:upto], first=self.offsets[source])
        for index, record in enumerate(batch, first):
            self.index_of[source][record.offset] = index
        self.sent[source] = upto
        self.offsets[source] += len(batch) + markers
        self.merge.add(source, batch, self.offsets[source])

    def take(self, limit: int) -> None:
        """Take; a topic is at its end once all of it has been delivered."""
        ended = [self.sent[source] == len(log) for source, log in enumerate(self.topics)]
        self.taken += self.merge.take(limit, ended)

    def finish(self) -> None:
        """Deliver and take all that is left."""
        for source, log in enumerate(self.topics):
            self.deliver(source, len(log), 0)
        total, before = sum(map(len, self.topics)), -1
        while len(self.taken) < total and len(self.taken) > before:
            before = len(self.taken)
            self.take(3)
        self.take(1)  # batches without records may be left

    @property
    def sequence(self) -> list[tuple[int, int, int]]:
        """What was taken, by index."""
        return [(item.source, self.index_of[item.source][item.offset], item.newest) for item in self.taken]


@given(logs, deliveries, limits, st.one_of(st.none(), st.integers(0, 12)), st.integers(1, 5))
def test_any_split_into_batches_gives_one_sequence(
    topics: tuple[list[int | None], ...],
    batches: list[tuple[int, int, int]],
    takes: list[int],
    end: int | None,
    stretch: int,
) -> None:
    """The sequence is the defined one, however the topics were cut and taken; no offset is lost."""
    feed = Feed(merge_of(end=end, stretch=stretch), topics)
    for index, (source, count, markers) in enumerate(batches):
        feed.deliver(source, count, markers)
        feed.take(takes[index] if index < len(takes) else 1)
    feed.finish()
    assert defined(topics, end) == feed.sequence
    assert feed.offsets == [feed.merge.next_offset(source) for source in range(3)]


@given(logs, st.integers(0, 36))
def test_a_merge_goes_on_where_another_stopped(topics: tuple[list[int | None], ...], stop: int) -> None:
    """Offsets and running maxima are all that a successor needs."""
    whole = Feed(merge_of(), topics)
    whole.finish()
    taken = whole.taken[:stop]
    positions = [
        (
            len([None for item in taken if item.source == source]),
            max([item.newest for item in taken if item.source == source], default=LONG_AGO),
        )
        for source in range(3)
    ]
    successor = merge_of(positions)
    for source, (offset, _) in enumerate(positions):
        successor.add(source, records(source, *topics[source][offset:], first=offset), len(topics[source]))
    rest = successor.take(len(whole.taken) + 1, ENDED)
    assert placed(whole.taken[stop:]) == placed(rest)


@given(logs)
def test_running_maxima_only_grow(topics: tuple[list[int | None], ...]) -> None:
    """Over the merged sequence the running maximum never falls, so a clock that follows it never does."""
    feed = Feed(merge_of(), topics)
    feed.finish()
    assert all(one <= other for one, other in pairwise([item.newest for item in feed.taken]))
