"""What the processes of one worker show, as one: /metrics, /livez and /readyz.

Each serves its own views at a port of the loopback. Here they are asked, and what they answer is put
together.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, Protocol

from aiohttp import ClientError, ClientSession, ClientTimeout, hdrs, web
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from agents.brokers.broker import LOOPBACK
from agents.views import life, page, readiness, three_views

ANSWER_SECONDS: Final = 5.0
"""A process that says nothing for so long does not answer."""


class Shown(Protocol):
    """A process. number: what the label `process` calls it. port: of its views, None until it has some."""

    number: int
    port: int | None


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: bytes


def joint_views(processes: Sequence[Shown]) -> web.Application:
    """The three views of all of them.

    With a process that does not answer there are no metrics: without its share, sums would fall as if
    something had been lost. Nor is there life, unless it has only just been started.
    """
    asking = _Asking(processes)

    async def metrics(request: web.Request) -> web.Response:
        pages: dict[int, str] = {}
        for process, found in await asking.answers("/metrics"):
            if found is None:
                return web.Response(status=503, text=f"process {process.number} does not answer\n")
            pages[process.number] = found.body.decode()
        registry = CollectorRegistry()
        registry.register(_Joint(pages))
        return page(request, registry)

    async def alive(_: web.Request) -> web.Response:
        stuck: list[int] = []
        silent = False
        for process, found in await asking.answers("/livez"):
            if found is not None:
                stuck += json.loads(found.body)["stuck_partitions"]
            elif process.port is not None:
                silent = True
        return life(stuck, answered=not silent)

    async def ready(_: web.Request) -> web.Response:
        found = [found for _, found in await asking.answers("/readyz")]
        return readiness(all(each is not None and each.status == HTTPStatus.OK for each in found))

    application = three_views(metrics, alive, ready)
    application.cleanup_ctx.append(asking.connected)
    return application


class _Asking:
    """The questions to the processes, over connections that stay open."""

    def __init__(self, processes: Sequence[Shown]) -> None:
        self._processes = processes
        self._session: ClientSession | None = None

    async def connected(self, _: web.Application) -> AsyncIterator[None]:
        """While the application runs."""
        async with ClientSession(timeout=ClientTimeout(total=ANSWER_SECONDS)) as self._session:
            yield

    async def answers(self, path: str) -> list[tuple[Shown, _Answer | None]]:
        """What each process answers, in their order; None where it does not."""
        found = await asyncio.gather(*(self._answer(process, path) for process in self._processes))
        return list(zip(self._processes, found, strict=True))

    async def _answer(self, process: Shown, path: str) -> _Answer | None:
        if process.port is None or self._session is None:
            return None
        try:
            address = f"http://{LOOPBACK}:{process.port}{path}"
            async with self._session.get(address, headers={hdrs.ACCEPT: CONTENT_TYPE_LATEST}) as response:
                return _Answer(response.status, await response.read())
        except (ClientError, TimeoutError):
            return None


class _Joint(Collector):
    """Pages in the format of OpenMetrics, by process, as one. Each sample says which process it is of."""

    def __init__(self, pages: Mapping[int, str]) -> None:
        self._pages = pages

    def collect(self) -> Iterable[Metric]:
        """Families in the order of the first page that has them."""
        families: dict[str, Metric] = {}
        for number, text in self._pages.items():
            for found in text_string_to_metric_families(text):  # type: ignore[no-untyped-call]
                family = families.setdefault(
                    found.name, Metric(found.name, found.documentation, found.type, found.unit)
                )
                for sample in found.samples:
                    family.samples.append(sample._replace(labels={**sample.labels, "process": str(number)}))
        return families.values()
