"""What intake and merge hand on: records of the source topics, checked in or refused, in their order."""

from typing import Final, Literal, NamedTuple

from mypy_extensions import i64, mypyc_attr

from schemas.codec import Headers
from schemas.customer import LONG_AGO
from schemas.errors import Rejected
from streams.core.stimuli import LoggedIn, Ordered, TicketStep


@mypyc_attr(acyclic=True)
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


@mypyc_attr(acyclic=True)
class Item:
    """A record that intake has looked at. source, newest: its place, which the merge fills in: the index of
    its topic, and that topic's running maximum with it (ms). A tuple for each would cost more than both."""

    __slots__ = ("newest", "offset", "source")

    def __init__(self, offset: i64) -> None:
        self.offset: Final = offset
        self.source: i64 = -1
        self.newest: i64 = LONG_AGO


@mypyc_attr(acyclic=True)
class CheckedIn(Item):
    """A good record. key: the customer's id in UTF-8. record: as it came, should it still be refused."""

    __slots__ = ("key", "record", "stimulus")

    def __init__(
        self, key: bytes, stimulus: Ordered | LoggedIn | TicketStep, offset: i64, record: SourceRecord
    ) -> None:
        super().__init__(offset)
        self.key: Final = key
        self.stimulus: Final = stimulus
        self.record: Final = record


class Refused(Item):
    """A record that becomes a dead letter; it still counts as consumed."""

    __slots__ = ("record", "rejected")

    def __init__(self, offset: i64, record: SourceRecord, rejected: Rejected) -> None:
        super().__init__(offset)
        self.record: Final = record
        self.rejected: Final = rejected


class Outside(Item):
    """A record dated outside of what a bounded replay is about; counted, and nothing else."""

    __slots__ = ("outcome",)

    def __init__(self, offset: i64, outcome: Literal["before_begin", "after_end"]) -> None:
        super().__init__(offset)
        self.outcome: Final = outcome


class Asked(NamedTuple):
    """A record of `erasures`: the customer of this key is to be forgotten up to `at` (ms, inclusive)."""

    offset: int
    key: bytes
    at: int
