"""How every Kafka client of Winback reaches its brokers, and how it says that it cannot.

client = AIOKafkaProducer(**client_arguments(settings), linger_ms=0)
await start(client, settings)
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any, Protocol, TypeVar

from aiokafka import errors as kafka
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.helpers import create_ssl_context

from schemas.errors import BrokerUnreachable, ConfigurationError, Fatal, WinbackError
from streams.settings import Settings

START_SECONDS = 10.0
"""How long a client may take to reach its brokers before they count as unreachable."""
STOP_SECONDS = 5.0
"""How long a client may take to say goodbye."""
ABANDON_SECONDS = 1.0
"""The same where there is an error to tell."""


class Startable(Protocol):
    """A producer or consumer, aiokafka's or one of ours."""

    async def start(self) -> None:
        """Connect."""

    async def stop(self) -> None:
        """Disconnect."""


AnyClient = TypeVar("AnyClient", bound=Startable)


def client_arguments(settings: Settings) -> dict[str, Any]:
    """Bootstrap, security and client id, for aiokafka's consumer, producer and admin client.

    The client id carries the clock's mode, so that anyone who asks the group's members sees it.
    Raises ConfigurationError where the security settings do not fit each other.
    """
    arguments: dict[str, Any] = {
        "bootstrap_servers": settings.bootstrap,
        "client_id": f"winback-{settings.clock}",
        "security_protocol": settings.security_protocol,
    }
    if settings.security_protocol.endswith("SSL"):
        arguments["ssl_context"] = _ssl_context(settings)
    if settings.security_protocol.startswith("SASL"):
        if not (settings.sasl_mechanism and settings.sasl_username and settings.sasl_password):
            raise ConfigurationError(
                f"security protocol {settings.security_protocol} needs WINBACK_SASL_MECHANISM, "
                "WINBACK_SASL_USERNAME and WINBACK_SASL_PASSWORD"
            )
        arguments["sasl_mechanism"] = settings.sasl_mechanism
        arguments["sasl_plain_username"] = settings.sasl_username
        arguments["sasl_plain_password"] = settings.sasl_password.get_secret_value()
    return arguments


def _ssl_context(settings: Settings) -> ssl.SSLContext:
    try:
        context: ssl.SSLContext = create_ssl_context(
            cafile=settings.ssl_ca_location,
            certfile=settings.ssl_certificate_location,
            keyfile=settings.ssl_key_location,
        )
    except OSError as error:  # ssl.SSLError is one too
        raise ConfigurationError(
            "a file named by WINBACK_SSL_CA_LOCATION, WINBACK_SSL_CERTIFICATE_LOCATION or "
            f"WINBACK_SSL_KEY_LOCATION cannot be used: {error.strerror or error}"
        ) from error
    return context


async def start(client: AnyClient, settings: Settings, *, seconds: float = START_SECONDS) -> AnyClient:
    """Start an aiokafka client and return it; where that fails it is stopped again.

    Raises BrokerUnreachable after `seconds` at the latest, ConfigurationError where the broker
    refuses us.
    """
    try:
        await asyncio.wait_for(client.start(), seconds)
    except (kafka.KafkaError, OSError, TimeoutError) as error:
        await stop(client, seconds=ABANDON_SECONDS)
        raise translated(error, settings) from error
    except BaseException:
        await stop(client, seconds=ABANDON_SECONDS)
        raise
    return client


async def stop(client: Startable, *, seconds: float = STOP_SECONDS) -> None:
    """Stop a client, whatever its broker does: what cannot be closed within `seconds` is left.

    aiokafka waits for tasks of its own, which may themselves wait for a broker that is gone, and may
    let out that it cancelled them.
    """
    await _close(client.stop, seconds)


@asynccontextmanager
async def admin(settings: Settings, *, seconds: float = START_SECONDS) -> AsyncIterator[AIOKafkaAdminClient]:
    """A started admin client; raises as `start` does, also for what is asked of it inside."""
    client = AIOKafkaAdminClient(**client_arguments(settings))
    try:
        await asyncio.wait_for(client.start(), seconds)
        yield client
    except (kafka.KafkaError, OSError, TimeoutError) as error:
        raise translated(error, settings) from error
    finally:
        await _close(client.close, ABANDON_SECONDS)


async def _close(close: Callable[[], Any], seconds: float) -> None:
    task = asyncio.current_task()
    try:
        with suppress(kafka.KafkaError, OSError, TimeoutError):
            await asyncio.wait_for(close(), seconds)
    except asyncio.CancelledError:
        if task is None or task.cancelling():
            raise


async def partition_counts(settings: Settings, topics: Iterable[str]) -> dict[str, int]:
    """The partition count of each of `topics` that exists; BrokerUnreachable if no broker answers."""
    async with admin(settings) as client:
        # All topics are asked for: asking for one by name creates it where the broker is so set up.
        described = await client.describe_topics()
    found = {topic["topic"]: len(topic["partitions"]) for topic in described if not topic["error_code"]}
    return {name: found[name] for name in topics if name in found}


def translated(error: BaseException, settings: Settings) -> WinbackError:
    """What a client's error means to the user; an error of our own stays what it is."""
    if isinstance(error, WinbackError):
        return error
    if isinstance(error, kafka.SaslAuthenticationFailed | kafka.AuthenticationFailedError):
        return ConfigurationError(f"{settings.bootstrap} refuses the user name or password: {error}")
    if isinstance(
        error,
        kafka.TopicAuthorizationFailedError
        | kafka.GroupAuthorizationFailedError
        | kafka.ClusterAuthorizationFailedError
        | kafka.TransactionalIdAuthorizationFailed,
    ):
        return ConfigurationError(f"{settings.bootstrap} does not permit this: {error!r}")
    if isinstance(error, kafka.KafkaError) and not (
        error.retriable or isinstance(error, kafka.KafkaConnectionError | kafka.KafkaTimeoutError)
    ):
        return Fatal(f"Kafka at {settings.bootstrap}: {error!r}")
    return BrokerUnreachable(
        f"no Kafka broker answers at {settings.bootstrap} ({settings.security_protocol}): "
        "is it running, and is WINBACK_BOOTSTRAP right?"
    )
