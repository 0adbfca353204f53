"""The deadlines of one partition: a heap, in which a stale entry is put right when it is popped.

A customer's own record says when to wake. Each customer with a deadline has an entry in the heap at
it or before it: so a deadline that moves later, as every purchase moves one, costs nothing until the
old one has come; only one that moves earlier is pushed. The heap is rebuilt should entries outnumber
the living.
"""

import heapq
from collections.abc import Callable, Iterable

from schemas.customer import NEVER

Entry = tuple[int, bytes]
"""The instant, ms since the epoch, and the customer's key."""

SLACK = 10_000


class Deadlines:
    """A heap of entries; `wake_of` answers when a customer's record says to wake."""

    __slots__ = ("_heap", "_living", "_wake_of")

    def __init__(self, heap: list[Entry], wake_of: Callable[[bytes], int]) -> None:
        self._heap = heap
        self._living = len(heap)
        self._wake_of = wake_of

    def __len__(self) -> int:
        return len(self._heap)

    @property
    def next_at(self) -> int:
        """The earliest instant in the heap, stale or not; NEVER for none."""
        return self._heap[0][0] if self._heap else NEVER

    def push(self, at: int, key: bytes) -> None:
        """Wake the customer at `at`. Needless where the heap holds an earlier entry of theirs."""
        heapq.heappush(self._heap, (at, key))

    def pop_before(self, limit: int) -> Entry | None:
        """Take out the earliest entry before `limit` that its customer's record agrees with, and whatever
        equals it."""
        heap = self._heap
        while heap and heap[0][0] < limit:
            entry = heap[0]
            at, key = entry
            wake_at = self._wake_of(key)
            if at < wake_at < NEVER:
                heapq.heapreplace(heap, (wake_at, key))
                continue
            heapq.heappop(heap)
            if wake_at == at:
                while heap and heap[0] == entry:
                    heapq.heappop(heap)
                return entry
        return None

    def tidy(self, entries: Callable[[], Iterable[Entry]]) -> None:
        """Rebuild from `entries` where the heap has grown to twice what lived in it last."""
        if len(self._heap) > 2 * self._living + SLACK:
            self._heap = list(entries())
            heapq.heapify(self._heap)
            self._living = len(self._heap)
