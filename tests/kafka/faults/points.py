"""Named points in a worker's life, as they show on the wire: no hook in the engine is needed.

Each request of Kafka's protocol begins with its length (4 bytes), the key of its API (2), its version
(2) and a correlation id (4), which the answer repeats right after its own length. So whoever stands
between a worker and its broker sees the commit of a transaction come, go, and be acknowledged.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from struct import Struct
from typing import Final, Literal, NamedTuple

REQUEST: Final = Struct(">hhi")
"""API key, version, correlation id: the head of a request after its length."""
ANSWER: Final = Struct(">i")
"""Correlation id: the head of an answer after its length."""

FENCED: Final = frozenset({47, 90})
"""Error codes: INVALID_PRODUCER_EPOCH, PRODUCER_FENCED."""

Moment = Literal["before", "during", "after"]
"""The request has been sent by the worker, and not gone on; it has gone on, and its answer is not
heard; its answer has been handed to the worker."""


class Api(IntEnum):
    """The keys of those APIs whose requests mark a point."""

    PRODUCE = 0
    FETCH = 1
    JOIN_GROUP = 11
    SYNC_GROUP = 14
    INIT_PRODUCER_ID = 22
    ADD_PARTITIONS_TO_TXN = 24
    END_TXN = 26


class Point(NamedTuple):
    """A request of this API that holds these bytes, at this moment; the first `passing` go by."""

    api: Api
    moment: Moment
    holding: bytes = b""
    passing: int = 0


@dataclass
class Trap:
    """Waits for a point; `strike` is called at once when it is reached.

    hold: the request is kept back until `release` is set, and only then goes on; its answer is kept in
    `answer`. drop: it never goes
    on, and its connection ends. forget: its answer never goes on, and its connection ends.
    """

    point: Point
    strike: Callable[[], object] = lambda: None
    hold: bool = False
    drop: bool = False
    forget: bool = False
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    release: asyncio.Event = field(default_factory=asyncio.Event)
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    answer: bytes = b""
    seen: int = 0
    met: bool = False

    def meets(self, frame: bytes) -> bool:
        """Whether this request is the one; there is only one."""
        if self.met or int.from_bytes(frame[:2]) != self.point.api:
            return False
        if self.point.holding not in frame:
            return False
        self.seen += 1
        self.met = self.seen > self.point.passing
        return self.met

    def spring(self) -> None:
        """The point is reached."""
        self.reached.set()
        self.strike()

    def hear(self, answer: bytes) -> None:
        """What the broker says to a request that was held."""
        self.answer = answer
        self.answered.set()


def error_of_end_txn(answer: bytes) -> int:
    """The error code in an answer to END_TXN: it stands behind the correlation id and the throttle time."""
    return int.from_bytes(answer[8:10], signed=True)
