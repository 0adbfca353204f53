"""Kafka clients for commands: open for the length of a block, errors said in one line."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import (
    BrokerResponseError,
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    KafkaError,
    NotCoordinatorForGroupError,
)

from schemas.errors import ConfigurationError, Fatal, TopicsError
from streams.connection import (
    ABANDON_SECONDS,
    admin,
    client_arguments,
    partition_counts,
    start,
    stop,
    translated,
)
from streams.settings import Settings

BATCH_BYTES: Final = 256 * 1024


@contextmanager
def one_line_errors(settings: Settings) -> Iterator[None]:
    """Raise BrokerUnreachable, ConfigurationError or Fatal for what aiokafka raises."""
    try:
        yield
    except (KafkaError, OSError, TimeoutError) as error:
        meant = translated(error, settings)
        if isinstance(error, BrokerResponseError) and not isinstance(meant, ConfigurationError):
            # A broker did answer: what it said is worth more than that it could not be used.
            raise Fatal(f"{settings.bootstrap} answers: {error.description}") from error
        raise meant from error


@asynccontextmanager
async def producer(settings: Settings) -> AsyncIterator[AIOKafkaProducer]:
    """A started idempotent producer: what it has acknowledged is there once and in order.

    Its partitioner is aiokafka's own, murmur2 of the key as in Java.
    """
    client = AIOKafkaProducer(
        **client_arguments(settings), enable_idempotence=True, max_batch_size=BATCH_BYTES, linger_ms=5
    )
    await start(client, settings)
    with one_line_errors(settings):
        try:
            yield client
        except BaseException:
            # An idempotent producer would try for ever to deliver what it still holds.
            await stop(client, seconds=ABANDON_SECONDS)
            raise
        await client.stop()


@asynccontextmanager
async def reader(settings: Settings) -> AsyncIterator[AIOKafkaConsumer]:
    """A started consumer that reads committed records and belongs to no group."""
    client = AIOKafkaConsumer(
        **client_arguments(settings),
        group_id=None,
        enable_auto_commit=False,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
    )
    await start(client, settings)
    with one_line_errors(settings):
        try:
            yield client
        finally:
            await stop(client)


async def group_clients(settings: Settings) -> list[str]:
    """The client ids of the members that the application's consumer group has at this moment."""
    async with admin(settings) as client:
        while True:
            try:
                answers = await client.describe_consumer_groups([settings.application_id])
                return [member[1] for answer in answers for group in answer.groups for member in group[5]]
            except (GroupCoordinatorNotAvailableError, GroupLoadInProgressError, NotCoordinatorForGroupError):
                # A broker's first seconds: it is still making the topic that its groups live in.
                await asyncio.sleep(0.2)


async def has_live_workers(settings: Settings) -> bool:
    """Whether the application's consumer group has a member at this moment that lives by the wall clock."""
    return any(client.startswith("winback-wall") for client in await group_clients(settings))


async def need_topics(settings: Settings, *names: str) -> dict[str, int]:
    """The partition counts of these topics; TopicsError where one is missing."""
    counts = await partition_counts(settings, names)
    if missing := [name for name in names if name not in counts]:
        raise TopicsError(f"topic {', '.join(missing)} is missing: run `winback topics create`")
    return counts


_LOGGERS: Final = ("aiokafka", "asyncio")


def quiet_client_logs() -> None:
    """For a process that is one command: what aiokafka logs is said again, shorter, by our errors."""
    for name in _LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)


@contextmanager
def silent_clients() -> Iterator[None]:
    """The same for the length of a block."""
    before = {name: logging.getLogger(name).level for name in _LOGGERS}
    quiet_client_logs()
    try:
        yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)
