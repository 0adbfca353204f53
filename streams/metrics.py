"""Every metric, once. Base units, bounded labels, never a customer.

The hot path counts in the plain ints of a Tally; what a batch did is added to the metrics once,
after its transaction has committed, so a batch that was aborted and done again counts once.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import Final, Literal, get_args

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)

from schemas.reasons import Reason
from schemas.topics import SOURCES
from schemas.triggers import StageName

RecordOutcome = Literal[
    "folded", "duplicate", "too_late", "dead_letter", "before_begin", "after_end", "forgotten"
]
"""What became of a record.

duplicate: its event was folded before. too_late: a dead letter because of its age. dead_letter: one
for any other reason. before_begin, after_end: dated outside of a bounded replay. forgotten: dated at
or before its customer's erasure.
"""

QuarantineReason = Literal["damaged", "unknown_version", "unknown_compression", "bad_header"]
"""Why a state record cannot be read.

damaged: cut short, or not what its checksum says. unknown_version: written by another Winback.
unknown_compression: its batch is packed in a way that is not installed here. bad_header: a header that
is not UTF-8.
"""

ErasureOutcome = Literal["obeyed", "unreadable"]
"""What became of a record of `erasures`.

obeyed: the customer is forgotten, and a receipt says so. unreadable: nobody can tell who was meant, or
up to when.
"""

_FOLD_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_FLUSH_BUCKETS: Final = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0)
_LATENESS_BUCKETS: Final = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 300.0, 3600.0, 86_400.0)
_RECOVERY_BUCKETS: Final = (0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)


class Tally:
    """What one batch of one partition did: `tally.records[topic, "folded"] += 1`.

    records: by topic and RecordOutcome. triggers: by rule and kind. suppressed: by rule and reason.
    dead_letters: by topic and reason. quarantined: by reason. erasures: how many were
    obeyed. lateness: seconds from due instant to firing, of each trigger.
    """

    __slots__ = (
        "dead_letters",
        "erasures",
        "lateness",
        "quarantined",
        "records",
        "suppressed",
        "triggers",
    )

    def __init__(self) -> None:
        self.records: defaultdict[tuple[str, str], int] = defaultdict(int)
        self.triggers: defaultdict[tuple[str, str], int] = defaultdict(int)
        self.suppressed: defaultdict[tuple[str, str], int] = defaultdict(int)
        self.dead_letters: defaultdict[tuple[str, str], int] = defaultdict(int)
        self.quarantined: defaultdict[str, int] = defaultdict(int)
        self.erasures = 0
        self.lateness: list[float] = []


class Metrics:
    """The metrics of one worker, in a registry that the caller owns."""

    def __init__(self, registry: CollectorRegistry) -> None:
        # Throughput, and what became of it: sum over outcomes = records taken from the source topics.
        self.records: Final = Counter(
            "winback_records",
            "Records of the source topics that were settled, by outcome",
            ["topic", "outcome"],
            registry=registry,
        )
        # Why records were refused. Alert on its rate: the producer of that topic has changed.
        self.dead_letters: Final = Counter(
            "winback_dead_letters", "Dead letters written, by reason", ["topic", "reason"], registry=registry
        )
        # What the engine said. kind: raised, cleared, revoked, due or achieved.
        self.triggers: Final = Counter(
            "winback_triggers", "Triggers emitted", ["rule", "kind"], registry=registry
        )
        # What it kept to itself, such as a point rule inside its cool-down.
        self.suppressed: Final = Counter(
            "winback_suppressed",
            "Firings that were suppressed, by reason",
            ["rule", "reason"],
            registry=registry,
        )
        # Retention took them before they were read: the topic keeps too little for how far we were behind.
        self.lost: Final = Counter(
            "winback_lost_offsets",
            "Offsets of a source topic that retention removed unread",
            ["topic"],
            registry=registry,
        )
        # One transaction each; records per batch = rate(records) / rate(batches).
        self.batches: Final = Counter("winback_batches", "Batches committed", registry=registry)
        # Pure work: merge and advance. It blocks the loop, so a second is long.
        self.fold_seconds: Final = Histogram(
            "winback_fold_seconds", "Folding one batch", registry=registry, buckets=_FOLD_BUCKETS
        )
        # The broker's part: from the first record sent to the commit acknowledged.
        self.flush_seconds: Final = Histogram(
            "winback_flush_seconds", "Committing one batch", registry=registry, buckets=_FLUSH_BUCKETS
        )
        # Customers who will be heard of if they stay silent. It grows with customers, not with time.
        self.deadlines_pending: Final = Gauge(
            "winback_deadlines_pending", "Deadlines to come", ["partition"], registry=registry
        )
        # How punctual silence is: the clock at the firing (live the wall's) less the due instant. Live it
        # stays below a second; after an outage it shows how far back the worker had to reach.
        self.deadline_lateness_seconds: Final = Histogram(
            "winback_deadline_lateness_seconds",
            "From the due instant of a trigger to its firing",
            registry=registry,
            buckets=_LATENESS_BUCKETS,
        )
        # How far behind its topic a partition is. Seconds: the age of the record that is
        # folded next; 0 at the end.
        self.lag_records: Final = Gauge(
            "winback_lag_records", "Records not yet folded", ["topic", "partition"], registry=registry
        )
        self.lag_seconds: Final = Gauge(
            "winback_lag_seconds", "Age of the record folded next", ["topic", "partition"], registry=registry
        )
        # The population, as the engine sees it. Sum over partitions and workers.
        self.customers: Final = Gauge(
            "winback_customers", "Customers by stage", ["partition", "stage"], registry=registry
        )
        # Summed over workers it is the partition count; less means that nobody serves some of them.
        self.partitions_owned: Final = Gauge(
            "winback_partitions_owned", "Partitions this worker owns", registry=registry
        )
        # What a restart or a rebalance costs. Each partition's recovery is one observation.
        self.recovery_seconds: Final = Histogram(
            "winback_recovery_seconds",
            "Recovering one partition's customers from the changelog",
            registry=registry,
            buckets=_RECOVERY_BUCKETS,
        )
        self.recovery_records: Final = Counter(
            "winback_recovery_records", "Changelog records read while recovering", registry=registry
        )
        # Customers whose state cannot be read stand still: their events become dead letters. Alert on
        # any; the log names topic, partition and offset of each.
        self.quarantined: Final = Counter(
            "winback_quarantined_records",
            "State records that could not be read, by reason",
            ["reason"],
            registry=registry,
        )
        # Customers who were forgotten. Alert on any that is unreadable: somebody waits for it, and the
        # log names topic, partition and offset.
        self.erasures: Final = Counter(
            "winback_erasures", "Records of erasures, by outcome", ["outcome"], registry=registry
        )
        self._owned: set[int] = set()
        # A counter that is born with its first event has no increase to alert on: start at nought.
        for why in get_args(QuarantineReason):
            self.quarantined.labels(why)
        for fate in get_args(ErasureOutcome):
            self.erasures.labels(fate)
        for source in SOURCES:
            self.lost.labels(source.name)
            for outcome in get_args(RecordOutcome):
                self.records.labels(source.name, outcome)
            for reason in get_args(Reason):
                self.dead_letters.labels(source.name, reason)

    def add(self, tally: Tally, *, fold_seconds: float, flush_seconds: float) -> None:
        """Count a batch that has committed."""
        self.batches.inc()
        self.fold_seconds.observe(fold_seconds)
        self.flush_seconds.observe(flush_seconds)
        for counter, counts in (
            (self.records, tally.records),
            (self.triggers, tally.triggers),
            (self.suppressed, tally.suppressed),
            (self.dead_letters, tally.dead_letters),
        ):
            for labels, count in counts.items():
                counter.labels(*labels).inc(count)
        for why, count in tally.quarantined.items():
            self.quarantined.labels(why).inc(count)
        if tally.erasures:
            self.erasures.labels("obeyed").inc(tally.erasures)
        for seconds in tally.lateness:
            self.deadline_lateness_seconds.observe(seconds)

    def recovered(self, partition: int, *, records: int, seconds: float) -> None:
        """The partition is this worker's now, and its customers are loaded."""
        self._owned.add(partition)
        self.partitions_owned.set(len(self._owned))
        self.recovery_records.inc(records)
        self.recovery_seconds.observe(seconds)

    def revoked(self, partition: int) -> None:
        """The partition is another worker's: what this one said of it last would be counted twice."""
        self._owned.discard(partition)
        self.partitions_owned.set(len(self._owned))
        for gauge in (self.deadlines_pending, self.lag_records, self.lag_seconds, self.customers):
            gauge.remove_by_labels({"partition": str(partition)})

    def set_partition(self, partition: int, *, deadlines: int, customers: Mapping[StageName, int]) -> None:
        """How a partition stands: deadlines to come, and its customers by stage."""
        self.deadlines_pending.labels(partition).set(deadlines)
        for stage in get_args(StageName):
            self.customers.labels(partition, stage).set(customers.get(stage, 0))

    def set_lag(self, topic: str, partition: int, *, records: int, seconds: float) -> None:
        """How far a partition's position in one source topic is behind its end."""
        self.lag_records.labels(topic, partition).set(records)
        self.lag_seconds.labels(topic, partition).set(seconds)


def new_registry() -> CollectorRegistry:
    """A registry with the process's own figures in it: memory, CPU, files, garbage collection."""
    registry = CollectorRegistry(auto_describe=True)
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry
