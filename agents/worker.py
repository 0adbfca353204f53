"""`winback worker`: the composition root. Everything that runs is put together here.

The HTTP views answer from the first moment, so that an orchestrator sees a recovery that takes its
time; the worker itself ends on SIGTERM, on Ctrl-C, on a failure, or when what it is to wait for has
come, such as the end of a bounded replay.
"""

import asyncio
import gc
import sys
from collections.abc import Awaitable, Callable

import structlog

from agents.clients import silent_clients
from agents.roster import roster
from agents.silence import pass_time
from agents.views import Views, views_of
from schemas.errors import Fatal, WinbackError
from streams.app import build_app, check_topics, run
from streams.compiled import in_use
from streams.logs import configure
from streams.metrics import Metrics, new_registry
from streams.playbook_file import load_playbook
from streams.processor import Processor, end_of, terms_of
from streams.settings import Settings
from streams.tables import Shard

_log = structlog.get_logger(__name__)

Until = Callable[[Processor], Awaitable[None]]
"""Returns when a worker with this processor has nothing left to do."""


def run_worker(settings: Settings, *, until_done: bool = False) -> int:
    """Run one worker until it ends; 0 when it ended as asked. Raises what it failed of."""
    configure(settings.log_level)
    tune_process()
    asyncio.run(work(settings, until=replayed if until_done else None))
    return 0


def tune_process() -> None:
    """Set up a process that is about to be a worker: its event loops and its garbage collector."""
    if sys.platform != "win32":
        # Live, most of what a worker does is to wait for many small answers: a tenth less of its time.
        from uvloop import EventLoopPolicy  # it has no wheels for Windows

        asyncio.set_event_loop_policy(EventLoopPolicy())
    # Customers live as bytes, which the collector never looks at; the few cycles that a batch leaves
    # need no walk through everything after each 700 allocations.
    gc.set_threshold(50_000, 20, 50)


async def work(
    settings: Settings,
    *,
    until: Until | None = None,
    stop: asyncio.Event | None = None,
    serving: Callable[[int], None] | None = None,
) -> None:
    """One worker in the running loop, until `until` returns; `stop` takes the place of signals.

    serving: hears at which port the views are. Raises what the worker or `until` failed of.
    """
    # What the user can have set wrong is looked at before anybody is called.
    playbook = load_playbook(settings.playbook, settings.model)
    end_of(settings)
    with silent_clients():
        partitions = await check_topics(settings)
    shards: dict[int, Shard] = {}
    registry = new_registry()
    processor = Processor(settings, terms_of(settings, playbook, partitions), shards, Metrics(registry))
    app = build_app(settings, processor, roster(processor, settings.topics), shards, partitions)
    processor.on_failure = app.fail
    ending = stop or asyncio.Event()
    helpers = [asyncio.create_task(pass_time(processor), name="silence")]
    if until is not None:
        helpers.append(asyncio.create_task(_stop_after(until(processor), ending), name="until"))
    for helper in helpers:
        helper.add_done_callback(lambda done: _report(done, app.fail))
    try:
        application = views_of(registry, processor)
        async with Views(application, host=settings.http_host, port=settings.http_port) as views:
            _log.info("serving", host=settings.http_host, port=views.port, compiled=in_use())
            if serving is not None:
                serving(views.port)
            await run(app, stop=ending)
    finally:
        for helper in helpers:
            helper.cancel()
        await asyncio.gather(*helpers, return_exceptions=True)
        await processor.close()


def _report(helper: asyncio.Task[None], fail: Callable[[WinbackError], None]) -> None:
    """A helper that died of a defect takes the worker with it: without it silence would go unheard."""
    if not helper.cancelled() and (error := helper.exception()) is not None:
        meant = Fatal(f"{helper.get_name()} failed: {type(error).__name__}")
        fail(error if isinstance(error, WinbackError) else meant)


async def _stop_after(until: Awaitable[None], stop: asyncio.Event) -> None:
    await until
    stop.set()


async def replayed(processor: Processor) -> None:
    """Until a bounded replay has reached its end in every partition that was assigned."""
    await processor.finished.wait()
    _log.info("replay_finished", partitions=sorted(processor.partitions))
