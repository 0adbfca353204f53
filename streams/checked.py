"""What intake and merge hand on: records of the source topics, checked in or refused, in their order."""

from typing import Final, Literal, NamedTuple

from schemas.codec import Headers
from schemas.errors import Rejected
from streams.core.stimuli import LoggedIn, Ordered, TicketStep


class SourceRecord:
    """One record of a source topic. timestamp: milliseconds since the epoch; -1 where there is none.

    aiokafka's own has a dozen fields in a frozen dataclass, which takes as long to fill as an event
    takes to decode.
    """

    __slots__ = ("headers", "key", "offset", "partition", "timestamp", "topic", "value")

    def __init__(  # noqa: PLR0917 - by position: one is made for each record
        self,
        topic: str,
        partition: int,
        offset: int,
        timestamp: int,
        key: bytes | None,
        value: bytes | None,
        headers: Headers = (),
    ) -> None:
        self.topic: Final = topic
        self.partition: Final = partition
        self.offset: Final = offset
        self.timestamp: Final = timestamp
        self.key: Final = key
        self.value: Final = value
        self.headers: Final = headers


class CheckedIn:
    """A good record. key: the customer's id in UTF-8. record: as it came, should it still be refused."""

    __slots__ = ("key", "offset", "record", "stimulus")

    def __init__(
        self, key: bytes, stimulus: Ordered | LoggedIn | TicketStep, offset: int, record: SourceRecord
    ) -> None:
        self.key: Final = key
        self.stimulus: Final = stimulus
        self.offset: Final = offset
        self.record: Final = record


class Refused:
    """A record that becomes a dead letter; it still counts as consumed."""

    __slots__ = ("offset", "record", "rejected")

    def __init__(self, offset: int, record: SourceRecord, rejected: Rejected) -> None:
        self.offset: Final = offset
        self.record: Final = record
        self.rejected: Final = rejected


class Asked(NamedTuple):
    """A record of `erasures`: the customer of this key is to be forgotten up to `at` (ms, inclusive)."""

    offset: int
    key: bytes
    at: int


class Outside(NamedTuple):
    """A record dated outside of what a bounded replay is about; counted, and nothing else."""

    offset: int
    outcome: Literal["before_begin", "after_end"]


Item = CheckedIn | Refused | Outside


Merged = tuple[int, Item, int]
"""One record in its place: the index of its topic, the record, and its topic's running maximum with it,
ms since the epoch. A bare tuple: one is made and taken apart for every record."""
