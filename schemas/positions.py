"""Where a partition stands: what the changelog keeps beside the customers."""

from msgspec import Struct


class SourcePosition(Struct, frozen=True, array_like=True, gc=False):
    """Where a partition stands in one source topic.

    next_offset: the first record not yet folded. newest: running maximum of occurred_at. end: for
    a bounded replay the offset at which this source ends, else None.
    """

    next_offset: int
    newest: int
    end: int | None = None


class PartitionRecord(Struct, frozen=True, array_like=True, gc=False):
    """Where a partition stands: in the order purchases, logins, support-tickets; and its clock.

    until: the end instant of the bounded replay whose ends the sources hold, else None. erasures_next:
    the first offset of `erasures` that has not been obeyed; erasures_end: for a bounded replay the
    offset at which they end, else None.
    """

    sources: tuple[SourcePosition, SourcePosition, SourcePosition]
    clock: int
    until: int | None = None
    erasures_next: int = 0
    erasures_end: int | None = None
