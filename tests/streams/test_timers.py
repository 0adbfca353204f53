"""Deadlines: in order, each once, wherever its customer's record has moved it meanwhile."""

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from schemas.customer import NEVER
from streams.timers import HOUR, SLACK, Calendar, Deadlines, Entry


class Customers:
    """When each customer is to be woken, as their records say."""

    def __init__(self, **wakes: int) -> None:
        self.wakes = {name.encode(): at for name, at in wakes.items()}

    def wake_of(self, key: bytes) -> int:
        """See Deadlines."""
        return self.wakes.get(key, NEVER)

    def entries(self) -> Iterable[Entry]:
        """One for each customer who is to be woken."""
        return [(at, key) for key, at in self.wakes.items()]

    def deadlines(self) -> Deadlines:
        """As a recovery finds them."""
        calendar: Calendar = {}
        for at, key in self.entries():
            calendar.setdefault(at // HOUR, []).append(key)
        return Deadlines(calendar, self.wake_of)


def test_the_earliest_before_the_limit_comes_first() -> None:
    """Deadlines come in the order of their instants, strictly before the limit."""
    customers = Customers(a=30, b=10, c=20)
    deadlines = Deadlines({}, customers.wake_of)
    for key, at in customers.wakes.items():
        deadlines.push(at, key)
    assert (10, b"b") == deadlines.pop_before(30)
    assert (20, b"c") == deadlines.pop_before(30)
    assert deadlines.pop_before(30) is None
    assert 1 == len(deadlines)
    assert (30, b"a") == deadlines.pop_before(31)
    assert NEVER == deadlines.next_at


def test_the_next_instant_is_exact_once_its_hour_has_come() -> None:
    """Until somebody looks into the hour, its beginning stands for it; nothing is due before it."""
    deadlines = Customers(a=2 * HOUR + 7).deadlines()
    assert 2 * HOUR == deadlines.next_at
    assert deadlines.pop_before(2 * HOUR + 7) is None
    assert 2 * HOUR + 7 == deadlines.next_at
    assert (2 * HOUR + 7, b"a") == deadlines.pop_before(2 * HOUR + 8)


def test_an_entry_that_has_moved_is_put_right() -> None:
    """A customer whose record says later is woken later, unasked; one who need not be woken, not at all."""
    customers = Customers(moved=10, gone=11, stays=12, far=13)
    deadlines = customers.deadlines()
    customers.wakes |= {b"moved": 40, b"far": 3 * HOUR}
    del customers.wakes[b"gone"]
    assert (12, b"stays") == deadlines.pop_before(100)
    assert (40, b"moved") == deadlines.pop_before(100)
    assert deadlines.pop_before(3 * HOUR) is None
    assert 1 == len(deadlines)
    assert (3 * HOUR, b"far") == deadlines.pop_before(NEVER)
    assert 0 == len(deadlines)


def test_a_customer_with_two_entries_is_woken_once() -> None:
    """A deadline that moved earlier and then later again leaves two entries, which end as one."""
    customers = Customers(a=10)
    deadlines = customers.deadlines()
    deadlines.push(5, b"a")
    customers.wakes[b"a"] = 20
    assert deadlines.pop_before(20) is None
    assert 2 == len(deadlines)
    assert (20, b"a") == deadlines.pop_before(21)
    assert 0 == len(deadlines)


def test_the_calendar_is_rebuilt_when_the_stale_outnumber_the_living() -> None:
    """Beyond twice what lived in it, and some slack, it is built anew from the records."""
    customers = Customers(**{str(number): number for number in range(100)})
    deadlines = customers.deadlines()
    for at in range(100 + SLACK):
        customers.wakes[b"0"] = at
        deadlines.push(at, b"0")
    deadlines.tidy(customers.entries)
    assert 200 + SLACK == len(deadlines)
    deadlines.push(at, b"0")
    deadlines.tidy(customers.entries)
    assert 100 == len(deadlines)
    assert (1, b"1") == deadlines.pop_before(NEVER)


instants = st.one_of(st.integers(0, 20), st.integers(0, 5).map(lambda half: half * HOUR // 2))
moves = st.lists(st.tuples(st.sampled_from([b"a", b"b", b"c"]), instants), max_size=30)


@given(moves, st.lists(instants, max_size=3))
def test_whatever_moved_everybody_is_woken_once_and_in_order(
    moved: list[tuple[bytes, int]], limits: list[int]
) -> None:
    """As time passes in steps, those whose last word has passed come out, earliest first, once."""
    customers = Customers()
    deadlines = Deadlines({}, customers.wake_of)
    for key, at in moved:
        if at < customers.wake_of(key):
            deadlines.push(at, key)
        customers.wakes[key] = at
    expected = dict(moved)
    for limit in sorted(limits):
        due = sorted((at, key) for key, at in expected.items() if at < limit)
        woken = []
        while (entry := deadlines.pop_before(limit)) is not None:
            assert deadlines.next_at >= entry[0]
            woken.append(entry)
            del customers.wakes[entry[1]]  # firing moves the wake
            del expected[entry[1]]
        assert due == woken
        assert min(expected.values(), default=NEVER) >= deadlines.next_at
