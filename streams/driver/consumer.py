"""The transport: whole fetches of a topic-partition as one Faust message, each record once, in order.

`Consumer` runs in the main loop. It keeps the book (the next offset of each assigned partition)
and the lease (the assignment it is for), and asks its thread to fetch from exactly there.
"""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, cast

import faust
from aiokafka.errors import ConsumerStoppedError, KafkaError
from faust.transport.drivers import TRANSPORTS
from faust.transport.drivers import aiokafka as stock
from faust.types import TP, AppT, ConsumerMessage, EventT, Message
from mode import Service, ServiceT

from schemas.customer import NEVER
from schemas.errors import Fatal, Gap, WinbackError
from schemas.topics import CHANGELOG
from streams.connection import translated
from streams.driver.engine import engine_of
from streams.driver.fetch import FetchThread, Slice
from streams.driver.interface import Batch, EndSight, Lease

FETCH_SECONDS = 1.0
IDLE_SECONDS = 0.01
CHECK_SECONDS = 0.25
IDENTITY_SECONDS = 5.0
"""How often it is looked whether the topics are still the same ones."""
TRIES = 3
"""How often an offset may be refused, with the log reaching beyond it, before it counts as a gap."""


class Consumer(stock.Consumer):
    """Delivers batches; also the receiver's `Source`."""

    _thread: FetchThread

    def __post_init__(self) -> None:
        super().__post_init__()
        self._engine = engine_of(self.app)
        self._lease = Lease(generation=-1, partitions=frozenset(), live=False)
        self._book: dict[TP, int] = {}
        self._held: set[TP] = set()
        self._refused: dict[TP, int] = {}
        self.stale = 0
        """Fetches thrown away because their assignment had ended."""

    def _new_consumer_thread(self) -> FetchThread:
        engine = engine_of(self.app)
        return FetchThread(self, settings=engine.worker, loop=self.loop, beacon=self.beacon)

    # -------------------------------------------------------------------------------- the source

    def hold(self, tp: TP) -> None:
        """See Source."""
        if tp not in self._held:
            self._held.add(tp)
            self._thread.wake()  # a fetch that waits would still bring it

    def release(self, tp: TP) -> None:
        """See Source."""
        if tp in self._held:
            self._held.discard(tp)
            self._thread.wake()

    def next_offset(self, tp: TP) -> int | None:
        """See Source."""
        return self._book.get(tp)

    def end_sight(self, tp: TP) -> EndSight | None:
        """See Source."""
        sight = self._thread.sight(tp)
        reached = self._book.get(tp)
        return sight if sight is not None and reached is not None and reached >= sight.end_offset else None

    def await_time(self, tps: Iterable[TP], instant: int) -> None:
        """See Source."""
        self._thread.await_time(tps, instant)

    def last_end(self, tp: TP) -> int | None:
        """See Source."""
        sight = self._thread.sight(tp)
        return None if sight is None else sight.end_offset

    async def publish_offsets(self, offsets: Mapping[TP, int], generation: int) -> bool:
        """See Source."""
        if not self._lease.live or generation != self._lease.generation:
            return False
        try:
            return await self._thread.publish(offsets)
        except ConsumerStoppedError:  # it was told to stop while it waited for a broker
            return False

    def progress(self) -> None:
        """See Source."""
        if self._engine.opening is not None:
            self._engine.opening.progress()

    # ------------------------------------------------------------------------------ the assignment

    def begin(self, lease: Lease, positions: Mapping[TP, int]) -> None:
        """Deliver from these positions on."""
        if missing := lease.partitions - positions.keys():
            raise Fatal(f"no position for {sorted(missing)[0]}")
        self._lease = lease
        self._book = {tp: positions[tp] for tp in lease.partitions}
        self._held.clear()
        self._refused.clear()

    def expire(self) -> None:
        """The assignment ends: nothing more is delivered of it."""
        self._lease.live = False
        self._thread.await_time(self._book, NEVER)
        self._book.clear()
        self._held.clear()
        self._thread.wake()

    def leave_group(self) -> None:
        """Give up a static member's place when stopping."""
        self._thread.leave_group = True

    def stop_flow(self) -> None:
        """Also ends a waiting fetch, so that nobody waits for it."""
        super().stop_flow()
        self._thread.wake()

    async def perform_seek(self) -> None:
        """Positions come from the receiver, and go with each fetch."""

    async def wait_empty(self) -> None:
        """Until no batch is in flight, and none can start."""
        limit = self._engine.worker.rebalance_timeout_seconds
        try:
            async with asyncio.timeout(limit):
                if self._engine.opening is not None:
                    await self._engine.opening.settled()
                await self._engine.receiver.quiesce()
        except TimeoutError:
            self._engine.fail(Fatal(f"a batch in flight did not end within {limit:.0f} s"))

    async def on_stop(self) -> None:
        """Also where the worker never had an assignment."""
        await self.wait_empty()

    # ------------------------------------------------------------------------------ the drain loop

    async def _drain_messages(self, fetcher: ServiceT) -> None:
        assert isinstance(fetcher, Service)
        try:
            while not (self.should_stop or fetcher.should_stop):
                if self.flow_active:
                    await self._deliver_one_fetch()
                else:
                    await self.wait(self.can_resume_flow)  # type: ignore[arg-type] # mode misses asyncio's
        except (ConsumerStoppedError, asyncio.CancelledError):
            # Faust takes a fetcher that is cancelled within a rebalance for crashed, also at the end.
            if not self.app.should_stop:
                raise
        except (WinbackError, KafkaError) as error:
            self._engine.fail(translated(error, self._engine.worker))
        finally:
            self.expire()  # what was read and not handed over will be read again

    async def _deliver_one_fetch(self) -> None:
        if not self._lease.live:  # the flow of a worker without partitions is never stopped
            await asyncio.sleep(IDLE_SECONDS)
            return
        lease, wakes = self._lease, self._thread.wakes
        book = {tp: offset for tp, offset in self._book.items() if tp not in self._held}
        fetched = await self._thread.fetch(
            book, limit=self._engine.worker.fetch_max_records, seconds=FETCH_SECONDS, wakes=wakes
        )
        if not lease.live:
            self.stale += bool(fetched)
            return
        if fetched.slices:
            await self._hand_over(lease, fetched.slices)
        for tp in fetched.out_of_range:
            await self._explain(lease, tp)

    async def _hand_over(self, lease: Lease, slices: Iterable[Slice], lost: int = 0) -> None:
        # Waiting for either takes four tasks, so it is done once a fetch and not once a slice.
        await self.wait_first(self._pass_on(lease, slices, lost), self.suspend_flow.wait())

    async def _pass_on(self, lease: Lease, slices: Iterable[Slice], lost: int) -> None:
        for piece in slices:
            tp = piece.tp
            if not lease.live or self._book.get(tp) != piece.first_offset:
                continue
            self._refused.pop(tp, None)
            self._book[tp] = piece.next_offset
            batch = Batch(*tp, piece.records, piece.first_offset, piece.next_offset, lease, lost)
            await self.callback(_message(batch))

    async def _explain(self, lease: Lease, tp: TP) -> None:
        """The log does not hold the offset we stand at: only retention explains that."""
        first, end = await self._thread.bounds(tp)
        offset = self._book.get(tp)
        if not lease.live or offset is None:
            return
        if offset < first:
            self.log.warning("Retention removed %s offsets of %s before they were read", first - offset, tp)
            await self._hand_over(lease, [Slice(tp, offset, (), first)], lost=first - offset)
            return
        self._refused[tp] = self._refused.get(tp, 0) + 1
        if offset > end or self._refused[tp] >= TRIES:
            raise Gap(
                f"{tp.topic}, partition {tp.partition}: the next offset is {offset}, but the log holds "
                f"{first} to {end}: was the topic deleted and made anew? Its state belongs to the old one"
            )

    @Service.task
    async def _watch_coordination(self) -> None:
        while not self.should_stop:
            await self.sleep(CHECK_SECONDS)
            try:
                await self._thread.check()
            except ConsumerStoppedError:
                return
            except KafkaError as error:
                self._engine.fail(translated(error, self._engine.worker))

    @Service.task
    async def _watch_identities(self) -> None:
        """Stop where a topic was deleted and made anew under us: it may well hold the next offset."""
        names = [*self._engine.sources, self._engine.worker.topics.name(CHANGELOG)]
        await self.sleep(CHECK_SECONDS)  # the thread connects
        while not self.should_stop:
            try:
                found = await self._thread.identities(names)
            except ConsumerStoppedError:
                return
            except KafkaError:
                found = {}  # whether the broker is still there is for others to judge
            known = self._engine.receiver.identities
            for name, (identity, _) in found.items():
                if known.get(name) and identity and identity != known[name]:
                    self._engine.fail(
                        Gap(
                            f"{name} was deleted and made anew while it was being read: the state belongs to "
                            "the old one. See docs/operations.md"
                        )
                    )
                    return
            await self.sleep(IDENTITY_SECONDS)

    # ------------------------------------------------------------- what of stock Faust has no place

    async def create_topic(self, *_: Any, **__: Any) -> None:
        """`winback topics create` does that."""

    async def commit(self, *_: Any, **__: Any) -> bool:
        """Positions are committed with the state."""
        return False

    def close(self) -> None:
        """Stopping the thread closes everything, in the thread's own loop."""

    def on_buffer_full(self, tp: TP) -> None:
        """A full queue makes the drain loop wait; that is enough."""

    def on_buffer_drop(self, tp: TP) -> None:
        """See on_buffer_full."""

    def verify_event_path(self, now: float, tp: TP) -> None:
        """/livez judges progress."""

    def verify_recovery_event_path(self, now: float, tp: TP) -> None:
        """See verify_event_path."""


class Producer(stock.Producer):
    """Faust wants one; it connects nowhere and sends nothing."""

    async def on_start(self) -> None:
        """Nothing to connect."""

    async def on_stop(self) -> None:
        """Nothing to close."""

    async def flush(self) -> None:
        """Nothing is ever buffered."""

    async def create_topic(self, *_: Any, **__: Any) -> None:
        """See Consumer.create_topic."""


class Transport(stock.Transport):
    """Registered under the scheme `winback`."""

    Consumer = Consumer
    Producer = Producer


class Untouched(faust.Schema):
    """Passes a batch on as the event's value."""

    def compile(self, app: AppT, **_: Any) -> Any:
        """Faust's decoder of one message."""

        async def decode(message: Message, *, propagate: bool = False) -> EventT:  # noqa: ARG001 - Faust's
            return app.create_event(None, message.value, None, message)

        return decode


def _message(batch: Batch) -> ConsumerMessage:
    return ConsumerMessage(
        topic=batch.topic,
        partition=batch.partition,
        offset=batch.first_offset,
        timestamp=0.0,
        timestamp_type=0,
        headers=[],
        key=None,
        value=cast(bytes, batch),  # what `Untouched` passes on
        checksum=None,
        tp=batch.tp,
        generation_id=batch.generation,
    )


TRANSPORTS.aliases["winback"] = "streams.driver.consumer:Transport"
