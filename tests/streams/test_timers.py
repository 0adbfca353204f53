"""The heap of deadlines, in which stale entries are passed over."""

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from schemas.customer import NEVER
from streams.timers import SLACK, Deadlines, Entry


class Customers:
    """When each customer is to be woken, as their records say."""

    def __init__(self) -> None:
        self.wakes: dict[bytes, int] = {}
        self.asked = 0

    def wake_of(self, key: bytes) -> int:
        """See Deadlines."""
        return self.wakes.get(key, NEVER)

    def entries(self) -> Iterable[Entry]:
        """One for each customer who is to be woken."""
        self.asked += 1
        return [(at, key) for key, at in self.wakes.items()]


def test_the_earliest_before_the_limit_comes_first() -> None:
    """Entries come in the order of their instants, strictly before the limit."""
    customers = Customers()
    customers.wakes = {b"a": 30, b"b": 10, b"c": 20}
    deadlines = Deadlines([], customers.wake_of)
    for key, at in customers.wakes.items():
        deadlines.push(at, key)
    assert 10 == deadlines.next_at
    assert (10, b"b") == deadlines.pop_before(30)
    assert (20, b"c") == deadlines.pop_before(30)
    assert deadlines.pop_before(30) is None
    assert 1 == len(deadlines)
    assert (30, b"a") == deadlines.pop_before(31)
    assert NEVER == deadlines.next_at


def test_an_entry_that_has_moved_is_put_right() -> None:
    """A customer whose record says later is woken later, unasked; one who need not be woken, not at all."""
    customers = Customers()
    customers.wakes = {b"moved": 10, b"gone": 11, b"stays": 12}
    deadlines = Deadlines(sorted(customers.entries()), customers.wake_of)
    customers.wakes[b"moved"] = 40
    del customers.wakes[b"gone"]
    assert (12, b"stays") == deadlines.pop_before(100)
    assert (40, b"moved") == deadlines.pop_before(100)
    assert deadlines.pop_before(100) is None
    assert 0 == len(deadlines)


def test_a_customer_with_two_entries_is_woken_once() -> None:
    """A deadline that moved earlier and then later again leaves two entries, which end as one."""
    customers = Customers()
    customers.wakes = {b"a": 10}
    deadlines = Deadlines(sorted(customers.entries()), customers.wake_of)
    customers.wakes[b"a"] = 5
    deadlines.push(5, b"a")
    customers.wakes[b"a"] = 20
    assert deadlines.pop_before(20) is None
    assert 2 == len(deadlines)
    assert (20, b"a") == deadlines.pop_before(21)
    assert 0 == len(deadlines)


def test_the_heap_is_rebuilt_when_the_stale_outnumber_the_living() -> None:
    """Beyond twice what lived in it, and some slack, the heap is built anew from the records."""
    customers = Customers()
    customers.wakes = {b"%d" % number: number for number in range(100)}
    deadlines = Deadlines(sorted(customers.entries()), customers.wake_of)
    for at in range(100 + SLACK):
        customers.wakes[b"0"] = at
        deadlines.push(at, b"0")
    deadlines.tidy(customers.entries)
    assert 200 + SLACK == len(deadlines)
    deadlines.push(at, b"0")
    deadlines.tidy(customers.entries)
    assert 100 == len(deadlines)
    assert (1, b"1") == deadlines.pop_before(NEVER)


moves = st.lists(st.tuples(st.sampled_from([b"a", b"b", b"c"]), st.integers(0, 20)), max_size=30)


@given(moves, st.integers(0, 21))
def test_whatever_moved_everybody_is_woken_once_and_in_order(
    moved: list[tuple[bytes, int]], limit: int
) -> None:
    """After any moves those whose last word lies before the limit come out, earliest first, once."""
    customers = Customers()
    deadlines = Deadlines([], customers.wake_of)
    for key, at in moved:
        if at < customers.wake_of(key):
            deadlines.push(at, key)
        customers.wakes[key] = at
    woken = []
    while (entry := deadlines.pop_before(limit)) is not None:
        woken.append(entry)
        del customers.wakes[entry[1]]  # firing moves the wake
    expected = dict(moved)
    assert sorted((at, key) for key, at in expected.items() if at < limit) == woken
