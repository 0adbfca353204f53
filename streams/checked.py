"""What intake and merge hand on: records of the source topics, checked in or refused, in their order."""

from typing import Literal, NamedTuple

from msgspec import Struct

from schemas.codec import Headers
from schemas.errors import Rejected
from streams.core.stimuli import LoggedIn, Ordered, TicketStep


class SourceRecord(Struct, frozen=True, gc=False):
    """One record of a source topic. timestamp: milliseconds since the epoch; -1 where there is none.

    aiokafka's own has a dozen fields in a frozen dataclass, which takes as long to fill as an event
    takes to decode.
    """

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


class CheckedIn(Struct, frozen=True, gc=False):
    """A good record. key: the customer's id in UTF-8. record: as it came, should it still be refused."""

    key: bytes
    stimulus: Ordered | LoggedIn | TicketStep
    offset: int
    record: SourceRecord


class Refused(Struct, frozen=True, gc=False):
    """A record that becomes a dead letter; it still counts as consumed."""

    offset: int
    record: SourceRecord
    rejected: Rejected


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
