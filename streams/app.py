"""From settings and a receiver to a running worker.

partitions = await check_topics(settings)
app = build_app(settings, receiver, agents, shards, partitions)
await run(app)
"""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from uuid import uuid4

from aiokafka.errors import KafkaError
from faust.types import StreamT
from mode import CrashingSupervisor

from schemas.errors import TopicsError
from streams.connection import partition_counts, translated
from streams.driver.consumer import Consumer, Untouched
from streams.driver.engine import Engine
from streams.driver.interface import Receiver
from streams.driver.recovery import TableManager
from streams.settings import Settings
from streams.tables import Shard

Agent = Callable[[StreamT], Awaitable[None]]
"""Takes batches off a stream and hands each to the receiver, without waiting for anything else."""

TABLE = "customers"
"""Its changelog is `<application id>-customers-changelog`."""
QUEUE_BATCHES = 64
"""What may wait for an agent. It only takes and passes on, so this bounds a burst."""


async def check_topics(settings: Settings) -> int:
    """The partition count of all topics. TopicsError where one is missing or has another count.

    Raises BrokerUnreachable where no broker answers.
    """
    names = [spec.name for spec in settings.topics.all()]
    return agreed_count(names, await partition_counts(settings, names))


def agreed_count(names: Sequence[str], counts: Mapping[str, int]) -> int:
    """The one partition count of all `names`; TopicsError as `check_topics` says."""
    if missing := [name for name in names if name not in counts]:
        raise TopicsError(f"missing topics: {', '.join(missing)}; `winback topics create` makes them")
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{name} {count}" for name, count in counts.items())
        raise TopicsError(f"all topics need the same number of partitions, but they have: {listed}")
    return counts[names[0]]


def build_app(
    settings: Settings,
    receiver: Receiver,
    agents: Sequence[tuple[str, Agent]],
    shards: dict[int, Shard],
    partitions: int,
) -> Engine:
    """The Faust app of one worker: an agent a source topic, and the customers' table.

    agents: (topic, agent), in the order of their topics' precedence. shards: the table's content by
    partition, which the receiver fills. To be called in the loop that runs the app.
    """
    app = Engine(
        settings.application_id,
        worker=settings,
        receiver=receiver,
        sources=tuple(topic for topic, _ in agents),
        # Where the brokers are is read from the settings; this names the transport.
        broker="winback://",
        store="shards://",
        TableManager=TableManager,
        agent_supervisor=CrashingSupervisor,
        topic_partitions=partitions,
        topic_disable_leader=True,
        table_standby_replicas=0,
        broker_session_timeout=settings.session_timeout_seconds,
        broker_rebalance_timeout=settings.rebalance_timeout_seconds,
        # Tells Faust's assignor one member from another; nothing listens there.
        canonical_url=f"http://{settings.instance or uuid4().hex}",
    )
    app.Table(
        TABLE,
        partitions=partitions,
        key_type=bytes,
        value_type=bytes,
        options={"shards": shards},
    )
    for topic, agent in agents:
        channel = app.topic(
            topic, schema=Untouched(), partitions=partitions, acks=False, maxsize=QUEUE_BATCHES
        )
        app.agent(channel, name=f"{__name__}.{topic}")(agent)
    consumer = app.consumer
    assert isinstance(consumer, Consumer)
    receiver.attach(consumer)
    return app


async def run(app: Engine, *, stop: asyncio.Event | None = None) -> None:
    """Run the worker until SIGTERM or SIGINT, or until `stop` is set.

    A static member (Settings.instance) then leaves its group, so that others take over at once; one
    that crashed keeps its place for the session's time-out. Raises what the worker failed of:
    errors of Winback as themselves, a broker out of reach as BrokerUnreachable, anything else as it
    came.
    """
    with signals(stop or asyncio.Event()) as stopped:
        await _run(app, stopped)


async def _run(app: Engine, stop: asyncio.Event) -> None:
    starting = asyncio.create_task(app.start(), name="start")
    ends = [
        asyncio.create_task(stop.wait(), name="stop"),
        asyncio.create_task(app.failed.wait(), name="failed"),
        asyncio.create_task(app.wait_until_stopped(), name="crashed"),
    ]
    try:
        done, _ = await asyncio.wait([starting, *ends], return_when=asyncio.FIRST_COMPLETED)
        if done == {starting} and starting.exception() is None:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        if stop.is_set():
            consumer = app.consumer
            assert isinstance(consumer, Consumer)
            consumer.leave_group()
    finally:
        await app.stop()
        for task in [starting, *ends]:
            task.cancel()
        await asyncio.wait([starting, *ends])
    if app.failure is not None:
        raise app.failure
    error = app.crash_reason or (None if starting.cancelled() else starting.exception())
    if isinstance(error, KafkaError):
        raise translated(error, app.worker) from error
    if error is not None:
        raise error


@contextmanager
def signals(stop: asyncio.Event) -> Iterator[asyncio.Event]:
    """`stop`, which the first SIGTERM or SIGINT sets too; a second one ends the process as usual."""
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGTERM, signal.SIGINT)

    def heard() -> None:
        stop.set()
        release()

    def release() -> None:
        for number in numbers:
            loop.remove_signal_handler(number)

    # Windows' loops have no signal handlers: there Ctrl-C cancels the task that runs this.
    with suppress(NotImplementedError):
        for number in numbers:
            loop.add_signal_handler(number, heard)
    try:
        yield stop
    finally:
        with suppress(NotImplementedError):
            release()
