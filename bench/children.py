"""Programs that are measured run as children of ours, and none outlives us unless we are killed outright.

Each leads a process group of its own, so that what it has started (a profiler its worker) ends with it,
and Ctrl-C reaches us alone: we end them in order, under `run` on SIGTERM too.
"""

import asyncio
import os
import signal
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

_Result = TypeVar("_Result")


@asynccontextmanager
async def child(
    words: Sequence[str], environment: Mapping[str, str], *, grace_seconds: float = 0.0, **streams: Any
) -> AsyncIterator[Process]:
    """A program until the end of the block, where it is killed if it still runs.

    grace_seconds: how long it may take to end by itself when it is asked to, before that. streams: as
    asyncio.create_subprocess_exec takes them; nothing can be typed into it.
    """
    process = await asyncio.create_subprocess_exec(
        *words, env=dict(environment), stdin=asyncio.subprocess.DEVNULL, process_group=0, **streams
    )
    try:
        yield process
    finally:
        if grace_seconds and process.returncode is None:
            process.terminate()
            with suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), grace_seconds)
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


def run(measurement: Coroutine[Any, Any, _Result]) -> _Result:
    """asyncio.run, where SIGTERM and a closed terminal (SIGHUP) end every block in order, as Ctrl-C does.

    They raise SystemExit here. A second one ends this process at once; what is ignored (nohup) stays so.
    """
    return asyncio.run(_watched(measurement))


async def _watched(measurement: Coroutine[Any, Any, _Result]) -> _Result:
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert task is not None
    ended_by = 0

    # Cancelled, and not by an exception out of the handler: that might strike anywhere inside the loop, and
    # leave it unable to wait for the children.
    def end(number: int, _: object) -> None:
        nonlocal ended_by
        ended_by = number
        signal.signal(number, signal.SIG_DFL)
        loop.call_soon_threadsafe(task.cancel)

    watched = [each for each in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(each) is signal.SIG_DFL]
    for number in watched:
        signal.signal(number, end)
    try:
        return await measurement
    except asyncio.CancelledError:
        if ended_by:
            raise SystemExit(128 + ended_by) from None
        raise
    finally:
        for number in watched:
            signal.signal(number, signal.SIG_DFL)
