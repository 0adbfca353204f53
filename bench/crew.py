"""Several workers as one engine: python -m bench.crew WORKERS

They share the partitions, as workers of one application do. What the first of them says of its start is
passed on, and that all of them are done.
"""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from contextlib import AsyncExitStack, suppress
from typing import Any, Final

from bench.children import child, run
from bench.peers.announce import FINISHED, SERVING, STARTED, say

WORKER: Final = (sys.executable, "-m", "agents", "worker", "--until-done")
OPENED: Final = "opened"
DONE: Final = "replay_finished"
ALONE: Final = "others go on"
"""What is said of a worker that is done before another: it may end at once, and its memory is gone."""


async def crew(workers: int) -> int:
    """Run them to their end; the first exit code that is not 0, or 0."""
    # Each serves its views, on a port that is free.
    environment = {**os.environ, "WINBACK_HTTP_PORT": "0"}
    left = workers
    async with AsyncExitStack() as stack:

        async def listen(process: Process) -> int:
            nonlocal left
            assert process.stdout is not None
            async for line in process.stdout:
                said: dict[str, Any] = {}
                with suppress(ValueError):
                    said = json.loads(line)
                match said.get("event"):
                    case event if event == OPENED and said["partitions"]:
                        say(STARTED)
                    case event if event == SERVING:
                        say(SERVING, compiled=said["compiled"])
                    case event if event == DONE:
                        left -= 1
                        say(ALONE if left else FINISHED)
                    case _:
                        sys.stderr.buffer.write(line)
            return await process.wait()

        started = [
            await stack.enter_async_context(child(WORKER, environment, stdout=PIPE, stderr=STDOUT))
            for _ in range(workers)
        ]
        codes = await asyncio.gather(*map(listen, started))
    return next((code for code in codes if code), 0)


if __name__ == "__main__":
    sys.exit(run(crew(int(sys.argv[1]))))
