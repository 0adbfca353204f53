"""The deadlines of one partition: a calendar of hours, and a heap of the hours that have come.

A customer's own record says when to wake. Each customer with a deadline has an entry at it or
before it: so a deadline that moves later, as every purchase moves one, costs nothing until the old
one has come; the entry is then put right. Only one that moves earlier makes a new entry. What lies
in hours to come is a bare list of keys, 8 bytes each: a million sleeping customers need neither a
tuple nor a place in a heap until their hour.
"""

import heapq
from collections.abc import Callable, Iterable
from typing import Final

from schemas.customer import LONG_AGO, NEVER

Entry = tuple[int, bytes]
"""The instant, ms since the epoch, and the customer's key."""
Calendar = dict[int, list[bytes]]
"""By hour since the epoch, the keys of those to be woken in it."""

HOUR: Final = 3_600_000
SLACK: Final = 10_000


class Deadlines:
    """All deadlines of a partition; `wake_of` answers when a customer's record says to wake.

    It takes `calendar` over.
    """

    __slots__ = ("_calendar", "_count", "_heap", "_hours", "_living", "_reached", "_wake_of")

    def __init__(self, calendar: Calendar, wake_of: Callable[[bytes], int]) -> None:
        self._wake_of = wake_of
        self._take(calendar)

    def __len__(self) -> int:
        return self._count

    @property
    def next_at(self) -> int:
        """An instant before which nothing is due, and the earliest in the heap where there is one."""
        if self._heap:
            return self._heap[0][0]
        return self._hours[0] * HOUR if self._hours else NEVER

    def push(self, at: int, key: bytes) -> None:
        """Wake the customer at `at`. Needless where there is an earlier entry of theirs."""
        self._count += 1
        hour = at // HOUR
        if hour <= self._reached:
            heapq.heappush(self._heap, (at, key))
            return
        keys = self._calendar.get(hour)
        if keys is None:
            self._calendar[hour] = [key]
            heapq.heappush(self._hours, hour)
        else:
            keys.append(key)

    def pop_before(self, limit: int) -> Entry | None:
        """Take out the earliest deadline before `limit`."""
        heap, hours = self._heap, self._hours
        while True:
            while not heap and hours and hours[0] * HOUR < limit:
                self._open()
            if not heap or heap[0][0] >= limit:
                return None
            entry = self._pop()
            at, key = entry
            wake_at = self._wake_of(key)
            if wake_at == at:
                while heap and heap[0] == entry:  # it had moved to and fro
                    self._pop()
                return entry
            if at < wake_at < NEVER:
                self.push(wake_at, key)

    def tidy(self, entries: Callable[[], Iterable[Entry]]) -> None:
        """Rebuild from `entries` where there are twice as many as lived last."""
        if self._count <= 2 * self._living + SLACK:
            return
        calendar: Calendar = {}
        for at, key in entries():
            calendar.setdefault(at // HOUR, []).append(key)
        self._take(calendar)

    def _take(self, calendar: Calendar) -> None:
        self._calendar = calendar
        self._hours = sorted(calendar)
        self._heap: list[Entry] = []
        self._reached = LONG_AGO
        """The last hour whose entries have gone to the heap."""
        self._count = sum([len(keys) for keys in calendar.values()])
        self._living = self._count

    def _pop(self) -> Entry:
        self._count -= 1
        return heapq.heappop(self._heap)

    def _open(self) -> None:
        """The next hour has come: its customers, each at the instant that the record says."""
        hour = self._reached = heapq.heappop(self._hours)
        keys = self._calendar.pop(hour)
        self._count -= len(keys)
        for key in keys:
            wake_at = self._wake_of(key)
            # One to be woken before this hour has another entry, or had one.
            if hour * HOUR <= wake_at < NEVER:
                self.push(wake_at, key)
