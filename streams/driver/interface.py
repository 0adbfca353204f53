"""What the driver and the one who receives its batches agree on.

The driver calls the receiver, always in the main loop and in this order:

    attach      once
    open        partitions were assigned; nothing flows
    resume      the sources are sought and flow; batches may be folded, timers may run
    deliver     again and again
    drop_unmerged, quiesce      the assignment ends, or the worker: then `open` again, or nothing

`drop_unmerged` may also come before `resume`, where a rebalance overtakes an opening.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from faust.types import TP

from streams.checked import SourceRecord

__all__ = ["TP", "Batch", "EndSight", "Lease", "Receiver", "Source"]


@dataclass(slots=True, eq=False)
class Lease:
    """One assignment of partitions. It expires with the first sign of a rebalance or of the end."""

    generation: int
    partitions: frozenset[TP]
    live: bool = True


@dataclass(frozen=True, slots=True)
class Batch:
    """What one fetch brought of one topic-partition, in offset order.

    It spans the offsets from `first_offset` up to, not including, `next_offset`, where the batch
    after it begins. Records may be fewer than that, also none: transaction markers and aborted
    records take up offsets. `lost`: how many offsets before `next_offset` retention had removed
    before they were read.
    """

    topic: str
    partition: int
    records: Sequence[SourceRecord]
    first_offset: int
    next_offset: int
    lease: Lease
    lost: int = 0

    @property
    def generation(self) -> int:
        """The group's generation in which it was fetched."""
        return self.lease.generation

    @property
    def tp(self) -> TP:
        """Its topic and partition."""
        return TP(self.topic, self.partition)

    @property
    def current(self) -> bool:
        """False once the assignment it belongs to has ended: it must then be dropped unread."""
        return self.lease.live


class EndSight(NamedTuple):
    """The end of a source partition as a fetch saw it.

    sent_at: the wall clock, in milliseconds since the epoch, just before that fetch was sent.
    end_offset: the last stable offset in its answer. So an event that was readable at `sent_at`
    lies below `end_offset`.
    """

    sent_at: int
    end_offset: int


class Receiver(Protocol):
    """Who merges, folds and commits what the driver delivers."""

    identities: Mapping[str, str]
    """The ids of the topics that the open partitions were recovered for, by name; "" for unknown ones."""

    def attach(self, source: "Source") -> None:
        """Called once, before anything else: what the receiver may ask of the driver."""

    def deliver(self, batch: Batch) -> None:
        """Take a batch: cheap, never waiting. One that is not `current` must be dropped.

        After `hold` at most one more batch of that partition comes.
        """

    def let_time_pass(self) -> None:
        """An instant that was awaited has passed, and the ends have been seen since."""

    def drop_unmerged(self) -> None:
        """Forget what is buffered: its records will come again. Holds are already gone."""

    async def quiesce(self) -> None:
        """Finish the batches in flight; afterwards none is, and none starts. May be called twice."""

    async def open(self, partitions: frozenset[int], generation: int) -> Mapping[TP, int]:
        """Fence and recover these partitions; answer the offset at which each source goes on.

        It is cancelled where a rebalance overtakes it. It must call `Source.progress` at least
        every STALLED_SECONDS, or the worker stops.
        """

    def resume(self, generation: int) -> None:
        """The sources flow from where `open` put them."""


class Source(Protocol):
    """What a receiver may ask of the driver, in the main loop."""

    def hold(self, tp: TP) -> None:
        """Stop delivering a partition; what was fetched ahead is kept. Ends with the assignment."""

    def release(self, tp: TP) -> None:
        """Deliver a held partition again, at once."""

    def next_offset(self, tp: TP) -> int | None:
        """The offset after the last batch handed over; None for a partition that is not ours."""

    def end_sight(self, tp: TP) -> EndSight | None:
        """The end, if the last fetch answer reached it and all before it has been handed over."""

    def await_time(self, tps: Iterable[TP], instant: int) -> None:
        """Have the ends of these partitions looked at as soon as `instant` (ms) has passed, not later.

        Takes the place of what was awaited of them before. Ends with the assignment.
        """

    def last_end(self, tp: TP) -> int | None:
        """The end as the last fetch answer saw it, reached or not; None before the first."""

    async def publish_offsets(self, offsets: Mapping[TP, int], generation: int) -> bool:
        """Write the group's offsets, for lag tools alone; False if that was not possible."""

    def progress(self) -> None:
        """`open` is getting on."""
