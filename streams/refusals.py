"""When refusing records is no longer the records' fault.

A record that cannot be folded becomes a dead letter and the worker goes on. But where most of what
comes is refused, it is a deploy that went wrong, here or at a producer: to go on would turn the
whole stream into dead letters. So the share among the last records of each topic is watched.
"""

from collections import deque
from typing import NamedTuple


class Burst(NamedTuple):
    """Too large a share of what came last was refused."""

    topic: str
    refused: int
    records: int


class Refusals:
    """The share of refused records among the last ones of each topic.

    share: from 0 to 1, above which it is a burst; at 1 nothing ever is. window: over how many records
    it is taken; with fewer than that seen of a topic, nothing is judged.
    """

    def __init__(self, share: float, window: int) -> None:
        self._share = share
        self._window = window
        self._batches: dict[str, deque[tuple[int, int]]] = {}
        """By topic, of each batch: accepted, refused."""
        self._records: dict[str, int] = {}
        self._refused: dict[str, int] = {}

    def add(self, topic: str, accepted: int, refused: int) -> Burst | None:
        """Count what a batch brought of one topic; a Burst where that was too much of it."""
        batches = self._batches.setdefault(topic, deque())
        batches.append((accepted, refused))
        records = self._records.get(topic, 0) + accepted + refused
        total = self._refused.get(topic, 0) + refused
        # The oldest batch goes once what came after it fills the window by itself.
        while records - sum(batches[0]) >= self._window:
            old_accepted, old_refused = batches.popleft()
            records -= old_accepted + old_refused
            total -= old_refused
        self._records[topic], self._refused[topic] = records, total
        if records >= self._window and total > self._share * records:
            return Burst(topic, total, records)
        return None
