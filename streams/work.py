"""A batch as it is folded: on what terms, and what it comes to."""

from collections import Counter
from dataclasses import dataclass

from schemas.record import Fingerprint
from schemas.topics import SOURCES, Topics
from streams.changes import Changes
from streams.core.playbook import Playbook
from streams.metrics import Tally
from streams.run import Run


@dataclass(frozen=True, slots=True)
class Terms:
    """What all partitions of a worker have in common.

    end: with the event clock the instant (ms) at which the replay ends; None with the wall clock.
    run: the replay apart from the live application that this is, None where it is none. linger_seconds:
    how long a batch without a trigger waits for more; 0 in a replay, where more is always there.
    """

    playbook: Playbook
    partitions: int
    topics: Topics
    end: int | None
    batch_records: int
    buffer_bytes: int
    run: Run | None = None
    linger_seconds: float = 0.0

    @property
    def fingerprint(self) -> Fingerprint:
        """What deadlines are computed with now."""
        return Fingerprint(self.playbook.fingerprint_model, self.playbook.fingerprint_playbook)


class Work:
    """One batch being folded.

    wall: the wall clock (ms) when it began. budget: records and deadlines it may still take on.
    dirty: customers it has changed, each packed at once: a batch of them unpacked would outgrow the
    processor's cache, and few come twice in a batch. gone: those whose stub has been given up, unless
    they came back. moved: how many more or fewer customers are in each stage by it. consumed: records
    taken, erasures among them. folded: records folded, by topic; the plain case is counted apart, since
    it is nearly all of them.
    """

    __slots__ = ("budget", "changes", "consumed", "dirty", "folded", "gone", "moved", "tally", "wall")

    def __init__(self, wall: int, budget: int) -> None:
        self.wall = wall
        self.budget = budget
        self.dirty: dict[bytes, bytes] = {}
        self.gone: list[bytes] = []
        self.moved: Counter[int] = Counter()
        self.changes = Changes()
        self.tally = Tally()
        self.consumed = 0
        self.folded = [0] * len(SOURCES)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to commit."""
        return not (self.consumed or self.dirty or self.gone)
