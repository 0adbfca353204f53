"""What a worker shows over HTTP: /metrics, /livez and /readyz, and nothing else.

    async with Views(views_of(registry, progress), host="127.0.0.1", port=6066) as views: ...

It runs outside of Faust's app, whose own server starts only after recovery: a worker that recovers
is alive, and says so. State is shown nowhere.
"""

import errno
from collections.abc import Awaitable, Callable, Collection
from typing import Final, Protocol, Self

from aiohttp import hdrs, web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from schemas.errors import ConfigurationError

STUCK_SECONDS: Final = 30.0
"""How long a partition may have work before it and do none; above the longest transaction."""


View = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Progress(Protocol):
    """What a worker says of itself. Both answers come at once, from memory."""

    def stuck_partitions(self, within_seconds: float) -> Collection[int]:
        """Owned partitions that had work to do and made no progress for so long.

        One that recovers makes progress with each chunk; one with nothing to do is never stuck.
        """

    def recovered(self) -> bool:
        """Whether the worker has joined, and each partition it owns is recovered and being served."""


class Views:
    """The server of an application, for the length of a block."""

    def __init__(self, application: web.Application, *, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._runner = web.AppRunner(application, access_log=None)

    async def __aenter__(self) -> Self:
        """Listen; ConfigurationError where the address cannot be had."""
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError as error:
            await self._runner.cleanup()
            raise ConfigurationError(_refused(self._host, self._port, error)) from error
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    @property
    def port(self) -> int:
        """Where it listens: the free port that was taken where 0 was asked for."""
        return int(self._runner.addresses[0][1])


def views_of(
    registry: CollectorRegistry, progress: Progress, stuck_seconds: float = STUCK_SECONDS
) -> web.Application:
    """The three views of one worker. stuck_seconds: see STUCK_SECONDS."""

    async def metrics(request: web.Request) -> web.Response:
        return page(request, registry)

    async def alive(_: web.Request) -> web.Response:
        """503 where a restart would help. A loop that no longer turns gives no answer at all."""
        return life(progress.stuck_partitions(stuck_seconds))

    async def ready(_: web.Request) -> web.Response:
        """503 while the worker joins and recovers."""
        return readiness(progress.recovered())

    return three_views(metrics, alive, ready)


def three_views(metrics: View, alive: View, ready: View) -> web.Application:
    """An application of these, and of nothing else."""
    application = web.Application()
    application.add_routes(
        [web.get("/metrics", metrics), web.get("/livez", alive), web.get("/readyz", ready)]
    )
    return application


def page(request: web.Request, registry: CollectorRegistry) -> web.Response:
    """OpenMetrics for who accepts it, Prometheus' text format for everyone else."""
    encode, content_type = choose_encoder(request.headers.get(hdrs.ACCEPT, ""))
    return web.Response(body=encode(registry), headers={hdrs.CONTENT_TYPE: content_type})


def life(stuck: Collection[int], *, answered: bool = True) -> web.Response:
    """What /livez says: with a stuck partition or without an answer, that it is over."""
    return _verdict("alive", answered and not stuck, {"stuck_partitions": sorted(stuck)})


def readiness(ready: bool) -> web.Response:
    """What /readyz says."""
    return _verdict("ready", ready, {})


def _verdict(name: str, good: bool, details: dict[str, list[int]]) -> web.Response:
    return web.json_response({name: good, **details}, status=200 if good else 503)


def _refused(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} of {host} is taken: set WINBACK_HTTP_PORT to another, or to 0 for any free one"
    return f"nothing can listen at {host}:{port}: {error.strerror or error}; see WINBACK_HTTP_HOST and _PORT"
