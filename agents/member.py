"""One of the processes of `winback worker --processes N`: a worker, and its line to agents/processes.py.

The line is a socket that stands where standard input would. Down it goes where the views are served, and
in which partitions a bounded replay is done; when the other end is cut, on purpose or because that process
is no more, this one ends in order.
"""

import asyncio
import socket
from contextlib import suppress
from functools import partial
from typing import Final

from structlog.contextvars import bind_contextvars

from agents.worker import tune_process, work
from schemas.errors import ConfigurationError
from streams.logs import configure
from streams.processor import Processor
from streams.settings import Settings

SERVING: Final = b"serving"
"""Followed by the port of this process's views."""
FINISHED: Final = b"finished"
"""Followed by a partition in which a bounded replay has reached its end."""


def run_member(settings: Settings, number: int) -> int:
    """Work until the line is cut; 0 when it ended as asked. Raises what it failed of.

    number: of this process among its siblings, for who reads the log.
    """
    configure(settings.log_level)
    bind_contextvars(process=number)
    line = _standard_input()
    tune_process()
    asyncio.run(_work(settings, line))
    return 0


def _standard_input() -> socket.socket:
    with suppress(OSError):
        return socket.socket(fileno=0)
    raise ConfigurationError("this is a part of `winback worker --processes N`, which starts it by itself")


async def _work(settings: Settings, line: socket.socket) -> None:
    reader, writer = await asyncio.open_connection(sock=line)

    def say(word: bytes, number: int) -> None:
        writer.write(b"%b %d\n" % (word, number))

    async def dismissed(processor: Processor) -> None:
        processor.on_finished = partial(say, FINISHED)
        with suppress(ConnectionError):
            await reader.read()

    try:
        await work(settings, until=dismissed, serving=partial(say, SERVING))
    finally:
        writer.close()
