"""The three topics of one partition in event-time order: a k-way merge of heads.

Within a topic it is always offset order. A record's place between topics is its topic's running
maximum of `occurred_at`, so that an event that comes late does not hold its topic back; ties go in
the order of the topics. A topic without a buffered record holds the others, since its next record
may be older than theirs, unless it is known to be at its end; but what lies below its running
maximum can go in any case.
"""

from collections import deque
from collections.abc import Sequence
from typing import Final

from mypy_extensions import i64

from schemas.customer import LONG_AGO
from streams.checked import CheckedIn, Item, Outside, SourceRecord
from streams.core.playbook import Playbook
from streams.intake import CheckIn

SOURCES = 3
STRETCH = 250
"""Records checked in, merged and folded in one go: what they turn into is then still at hand in the
processor's cache, and the loop serves the other partitions in between."""
_AFTER_ALL = (2**63 - 1, 0)
_RECORD: Final[i64] = 200
"""What a record weighs in memory besides its key and value, bytes."""


class _Queue:
    """What one topic holds: batches as they came, and a stretch of the first of them checked in.

    batches: records, the offset after them, and what they weigh. opened: how many of the first
    batch's records have been checked in. place: the next in `head`.
    """

    __slots__ = ("batches", "head", "newest", "next_offset", "opened", "place", "size")

    def __init__(self, next_offset: int, newest: int) -> None:
        self.newest = newest
        self.next_offset = next_offset
        self.batches: deque[tuple[Sequence[SourceRecord], int, int]] = deque()
        self.head: list[Item] = []
        self.opened = 0
        self.place = 0
        self.size = 0


class Merge:
    """One partition's merge. positions: for each topic the next offset, and its running maximum.

    begin, end: of a bounded replay, ms since the epoch; records dated before `begin`, or at or after
    `end`, are not folded. stretch: records checked in at a time.
    """

    def __init__(
        self,
        positions: Sequence[tuple[int, int]],
        check_in: Sequence[CheckIn],
        playbook: Playbook,
        end: int | None = None,
        begin: int | None = None,
        *,
        stretch: int = STRETCH,
    ) -> None:
        self._queues = [_Queue(*position) for position in positions]
        self._check_in = check_in
        self._playbook = playbook
        self._stretch = stretch
        self._bounds = None if end is None else (LONG_AGO if begin is None else begin, end)

    def add(self, source: int, records: Sequence[SourceRecord], next_offset: int) -> None:
        """Take a batch of one topic; `next_offset` is where the batch after it begins."""
        queue = self._queues[source]
        size = _size(records)
        queue.batches.append((records, next_offset, size))
        queue.size += size

    def buffered(self, source: int) -> int:
        """Bytes of one topic that wait."""
        return self._queues[source].size

    def next_offset(self, source: int) -> int:
        """The first offset of one topic that has not been taken."""
        return self._queues[source].next_offset

    @property
    def empty(self) -> bool:
        """Whether nothing waits."""
        return not any(queue.batches for queue in self._queues)

    def take(self, limit: int, ended: Sequence[bool]) -> list[Item]:
        """At most `limit` records in order. ended: for each topic, whether nothing is to come."""
        taken: list[Item] = []
        while len(taken) < limit:
            first, bound = self._first(ended)
            if first < 0:
                break
            self._run(first, bound, limit, taken)
        return taken

    def _first(self, ended: Sequence[bool]) -> tuple[int, tuple[int, int]]:
        """The topic that goes first, -1 for none, and the place up to which it may go on."""
        first, place, bound = -1, _AFTER_ALL, _AFTER_ALL
        for source in range(SOURCES):
            head = self._head(source)
            if head is not None:
                candidate = (head, source)
                if candidate < place:
                    first, place, bound = source, candidate, min(bound, place)
                else:
                    bound = min(bound, candidate)
            elif not ended[source]:
                bound = min(bound, (self._queues[source].newest, source))
        return (first, bound) if place < bound else (-1, bound)

    def _run(self, source: int, bound: tuple[int, int], limit: int, taken: list[Item]) -> None:
        """Take of one topic while it comes before all others, within its stretch."""
        queue = self._queues[source]
        head = queue.head
        newest: i64 = queue.newest
        place = queue.place
        stop = min(len(head), place + limit - len(taken))
        last: i64 = bound[0]
        wins_ties = source < bound[1]
        while place < stop:
            item = head[place]
            if type(item) is CheckedIn:
                at = item.stimulus.at
                here = at if at > newest else newest
            else:
                here = newest
            if here > last or (here == last and not wins_ties):
                break
            item.source = source
            item.newest = newest = here
            taken.append(item)
            place += 1
        queue.place = place
        queue.newest = newest
        self._pop_if_done(queue)

    def _head(self, source: int) -> int | None:
        """The place in time of a topic's next record; None where none is buffered."""
        queue = self._queues[source]
        if not queue.batches:
            return None
        if not queue.head:
            self._open(queue, self._check_in[source])
            if not queue.batches:
                return None
        item = queue.head[queue.place]
        if type(item) is CheckedIn:
            return max(item.stimulus.at, queue.newest)
        return queue.newest

    def _open(self, queue: _Queue, check_in: CheckIn) -> None:
        """Check the next stretch in; a batch without records only moves the offset."""
        while queue.batches and not queue.head:
            records, _, _ = queue.batches[0]
            opened, playbook = queue.opened, self._playbook
            stretch = records[opened : opened + self._stretch]
            items: list[Item] = [check_in(record, playbook) for record in stretch]
            if self._bounds is not None:
                begin, end = self._bounds
                items = [_within(item, begin, end) for item in items]
            queue.head = items
            queue.opened = opened + len(items)
            queue.place = 0
            if not items:
                self._pop_if_done(queue)

    def _pop_if_done(self, queue: _Queue) -> None:
        if queue.place < len(queue.head):
            queue.next_offset = queue.head[queue.place].offset
            return
        queue.head = []
        queue.place = 0
        records, next_offset, size = queue.batches[0]
        if queue.opened < len(records):
            queue.next_offset = records[queue.opened].offset
            return
        queue.batches.popleft()
        queue.next_offset = next_offset
        queue.opened = 0
        queue.size -= size


def _within(item: Item, begin: i64, end: i64) -> Item:
    if type(item) is CheckedIn:
        at = item.stimulus.at
        if at >= end:
            return Outside(item.offset, "after_end")
        if at < begin:
            return Outside(item.offset, "before_begin")
    return item


def _size(records: Sequence[SourceRecord]) -> int:
    size: i64 = 0
    for record in records:
        value, key = record.value, record.key
        size += _RECORD + (len(value) if value else 0) + (len(key) if key else 0)
    return size
