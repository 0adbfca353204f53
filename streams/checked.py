"""What intake and merge hand on: records of the source topics, checked in or refused, in their order."""

from typing import Literal, NamedTuple, Protocol

from msgspec import Struct

from schemas.codec import Headers
from schemas.errors import Rejected
from streams.core.stimuli import LoggedIn, Ordered, TicketStep


class SourceRecord(Protocol):
    """What is read of a record of a source topic. timestamp: milliseconds since the epoch."""

    @property
    def topic(self) -> str:
        """Source topic."""

    @property
    def partition(self) -> int:
        """Its partition."""

    @property
    def offset(self) -> int:
        """Its place there."""

    @property
    def timestamp(self) -> int:
        """When it was written, milliseconds since the epoch; -1 where the broker knows none."""

    @property
    def key(self) -> bytes | None:
        """The customer's id."""

    @property
    def value(self) -> bytes | None:
        """The event."""

    @property
    def headers(self) -> Headers:
        """As they came."""


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


class Merged(Struct, frozen=True, gc=False):
    """One record in its place. newest: its topic's running maximum with it, ms since the epoch."""

    source: int
    item: Item
    newest: int
