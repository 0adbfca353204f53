"""The ids by which Kafka tells a topic from another that had its name before it (KIP-516).

aiokafka 0.14 asks for metadata by version 5 at most, which has none; so the request stands here.
"""

from collections.abc import Iterable
from typing import Any, Final, NamedTuple
from uuid import UUID

from aiokafka import errors as kafka
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.abstract import AbstractType
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)

from streams.connection import client_arguments, start, stop, translated
from streams.settings import Settings


class TopicIdentity(NamedTuple):
    """A topic's id, and how many partitions it has."""

    identity: str
    partitions: int


async def identities(client: AIOKafkaClient, topics: Iterable[str]) -> dict[str, TopicIdentity]:
    """The identity of each of `topics` that exists; {} where the broker is too old to have any.

    Raises aiokafka's errors.
    """
    node = client.get_random_node()
    if node is None:
        raise kafka.NodeNotReadyError("no broker is known")
    try:
        answer = await client.send(node, _MetadataRequest(list(topics)))
    except (NotImplementedError, kafka.IncompatibleBrokerVersion):
        return {}
    return {
        name: TopicIdentity("" if identity == _NO_ID else identity, len(partitions))
        for error, name, identity, _, partitions, *_ in answer.topics
        if not error
    }


async def ask_identities(settings: Settings, topics: Iterable[str]) -> dict[str, TopicIdentity]:
    """As `identities`, by a connection of its own; raises our own errors."""
    connection = await start(_Connection(settings), settings)
    try:
        return await identities(connection.client, topics)
    except kafka.KafkaError as error:
        raise translated(error, settings) from error
    finally:
        await stop(connection)


class _Connection:
    def __init__(self, settings: Settings) -> None:
        self.client = AIOKafkaClient(**client_arguments(settings))

    async def start(self) -> None:
        await self.client.bootstrap()

    async def stop(self) -> None:
        await self.client.close()


class _Uuid(AbstractType[str]):
    @classmethod
    def encode(cls, value: str) -> bytes:
        return UUID(value).bytes

    @classmethod
    def decode(cls, data: Any) -> str:
        return str(UUID(bytes=data.read(16)))


_NO_ID: Final = str(UUID(int=0))


class _MetadataResponse(Response):
    # Ids came with version 10, for topics asked for by name; brokers since Kafka 3.1 know 12.
    API_KEY = 3
    API_VERSION = 12
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                ("node_id", Int32),
                ("host", CompactString("utf-8")),
                ("port", Int32),
                ("rack", CompactString("utf-8")),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_id", CompactString("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("name", CompactString("utf-8")),
                ("topic_id", _Uuid),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline_replicas", CompactArray(Int32)),
                        ("tags", TaggedFields),
                    ),
                ),
                ("authorized_operations", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _MetadataRequest12(RequestStruct):
    API_KEY = 3
    API_VERSION = 12
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _MetadataResponse
    SCHEMA = Schema(
        (
            "topics",
            CompactArray(("topic_id", _Uuid), ("name", CompactString("utf-8")), ("tags", TaggedFields)),
        ),
        ("allow_auto_topic_creation", Boolean),
        ("include_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class _MetadataRequest(Request[_MetadataRequest12]):
    """aiokafka itself asks by version 5 at most, which has no ids."""

    API_KEY = 3

    def __init__(self, topics: list[str]) -> None:
        self._topics = topics

    def build(self, request_struct_class: type[_MetadataRequest12]) -> _MetadataRequest12:
        return request_struct_class([(_NO_ID, name, {}) for name in self._topics], False, False, {})
