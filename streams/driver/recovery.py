"""From an assignment to flowing sources: Faust's table recovery, replaced by the receiver's own.

Faust calls `TableManager.on_partitions_revoked` first of all when an assignment ends, and
`Recovery.on_rebalance` when the next has begun. Whatever happens between, the receiver sees a
clean sequence: no `open` while another is under way, none while a batch is in flight, and no
`resume` for an assignment that a newer rebalance has already overtaken.
"""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from aiokafka.errors import ConsumerStoppedError, KafkaError
from faust.tables.manager import TableManager as StockTableManager
from faust.tables.recovery import Recovery as StockRecovery
from faust.types import TP
from mode import Service

from schemas.errors import BrokerUnreachable, TopicsError, WinbackError
from streams.clock import monotonic
from streams.connection import translated
from streams.driver.consumer import Consumer
from streams.driver.engine import engine_of
from streams.driver.interface import Lease

STALLED_SECONDS = 60.0
"""An `open` without progress for so long has failed."""


@dataclass(frozen=True, slots=True)
class _Assignment:
    lease: Lease
    rebalance: int
    """The app's count of rebalances when it was made: a higher one has overtaken it."""


class Recovery(StockRecovery):
    """Opens the receiver for each assignment."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._engine = engine_of(self.app)
        self._engine.opening = self
        self._assignment: _Assignment | None = None
        self._opening: asyncio.Task[Mapping[TP, int]] | None = None
        self._progress_at = 0.0

    def progress(self) -> None:
        """The opening is getting on."""
        self._progress_at = monotonic()

    async def on_rebalance(
        self,
        assigned: set[TP],
        revoked: set[TP],  # noqa: ARG002 - Faust's signature
        newly_assigned: set[TP],  # noqa: ARG002
        generation_id: int = 0,
    ) -> None:
        """Note the assignment and wake the task below."""
        if generation_id == self.app.consumer_generation_id:
            lease = Lease(generation_id, frozenset(tp for tp in assigned if tp.topic in self._engine.sources))
            self._assignment = _Assignment(lease, self._engine.rebalancing_count)
            self.signal_recovery_start.set()

    def abandon(self) -> None:
        """The assignment being opened has ended."""
        self._assignment = None
        if self._opening is not None:
            self._opening.cancel()

    async def settled(self) -> None:
        """Until no opening is under way."""
        if self._opening is not None:
            await asyncio.wait([self._opening])

    @Service.task
    async def _restart_recovery(self) -> None:
        while not self.should_stop:
            if await self.wait_for_stopped(self.signal_recovery_start):  # type: ignore[arg-type] # mode misses asyncio's
                return
            self.signal_recovery_start.clear()
            assignment = self._assignment
            try:
                if assignment is not None:
                    await self._open(assignment)
            except ConsumerStoppedError:
                return
            except (WinbackError, KafkaError) as error:
                self._engine.fail(translated(error, self._engine.worker))
                return

    async def _open(self, assignment: _Assignment) -> None:
        lease = assignment.lease
        partitions = self._co_partitioned(lease.partitions)
        self._set_recovery_started()
        positions = await self._positions(partitions, lease.generation)
        consumer = self.app.consumer
        assert isinstance(consumer, Consumer)
        if positions is None or self._overtaken(assignment):
            return
        # Idle until the flow is resumed; started here, since nothing may wait after the next check.
        await self._engine._fetcher.maybe_start()  # noqa: SLF001 - Faust's own recovery does so too
        if self._overtaken(assignment):
            return
        consumer.begin(lease, positions)
        consumer.resume_partitions(lease.partitions)
        self._set_recovery_ended()
        self.completed.set()
        self.app.flow_control.resume()
        consumer.resume_flow()
        self.tables.on_actives_ready()
        self.tables.on_standbys_ready()
        self.app.on_rebalance_end()
        self._engine.receiver.resume(lease.generation)

    def _overtaken(self, assignment: _Assignment) -> bool:
        return (
            self.should_stop
            or self._assignment is not assignment
            or self._engine.rebalancing_count != assignment.rebalance
        )

    async def _positions(self, partitions: frozenset[int], generation: int) -> Mapping[TP, int] | None:
        """What the receiver answers; None where the assignment has ended meanwhile."""
        self.progress()
        opening = asyncio.ensure_future(self._engine.receiver.open(partitions, generation))
        self._opening = opening
        try:
            while not opening.done():
                await asyncio.wait([opening], timeout=1.0)
                if not opening.done() and monotonic() - self._progress_at > STALLED_SECONDS:
                    raise BrokerUnreachable(
                        f"the state of partitions {sorted(partitions)} could not be recovered: "
                        f"nothing has come for {STALLED_SECONDS:.0f} s"
                    )
            return None if opening.cancelled() else opening.result()
        finally:
            opening.cancel()

    def _co_partitioned(self, assigned: Iterable[TP]) -> frozenset[int]:
        """The partitions, the same of every source; TopicsError where they cannot be."""
        consumer, sources = self.app.consumer, self._engine.sources
        counts = {topic: consumer.topic_partitions(topic) for topic in sources}
        expected = self._engine.conf.topic_partitions
        if wrong := {topic: count for topic, count in counts.items() if count not in {None, expected}}:
            topic, count = next(iter(wrong.items()))
            if not count:
                raise _gone(topic)
            raise TopicsError(
                f"{topic} has {count} partitions now, not {expected}: customers would change their "
                "partition, away from their state. See docs/operations.md"
            )
        by_topic = {
            topic: frozenset(tp.partition for tp in assigned if tp.topic == topic) for topic in sources
        }
        partitions = by_topic[sources[0]]
        if any(found != partitions for found in by_topic.values()):
            for topic, found in by_topic.items():
                # Whoever assigned the partitions saw it gone; by now there may be another of its name.
                if not found:
                    raise _gone(topic)
            raise TopicsError(f"the topics {', '.join(sources)} were not assigned alike: {by_topic}")
        return partitions

    @Service.task
    async def _slurp_changelogs(self) -> None:
        """The changelog is not subscribed."""

    @Service.task
    async def _publish_stats(self) -> None:
        """See _slurp_changelogs."""


class TableManager(StockTableManager):
    """Tables without changelog channels: the group subscribes to the sources alone."""

    _recovery: Recovery | None

    @property
    def recovery(self) -> Recovery:
        """Made on first use."""
        if self._recovery is None:
            self._recovery = Recovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery

    async def on_start(self) -> None:
        """At once, without the second that Faust waits for late tables."""
        await self._update_channels()
        await self.recovery.start()

    async def _update_channels(self) -> None:
        self._tables_finalized.set()
        for table in self.values():
            await table.maybe_start()
        self._tables_registered.set()

    def on_partitions_revoked(self, revoked: set[TP]) -> None:  # noqa: ARG002 - Faust's signature
        """The first call of every revoke, and of the end."""
        engine = engine_of(self.app)
        consumer = engine.consumer
        assert isinstance(consumer, Consumer)
        consumer.expire()
        self.recovery.abandon()
        engine.receiver.drop_unmerged()


def _gone(topic: str) -> TopicsError:
    return TopicsError(
        f"{topic} is gone: was it deleted? The state belongs to it, and made anew it would be "
        "another topic. See docs/operations.md"
    )
