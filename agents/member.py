"""One of the processes of `winback worker --processes N`: a worker, and its line to agents/processes.py.

The line is a socket that stands where standard input would. Down it goes where the views are served, and
that a bounded replay is done here; when the other end is cut, on purpose or because that process is no
more, this one ends in order.
"""

import asyncio
import socket
from contextlib import suppress
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
"""A bounded replay has reached its end in every partition that this process owns."""


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

    async def dismissed(processor: Processor) -> None:
        finishing = asyncio.create_task(_tell_end(processor, writer), name="finishing")
        await reader.read()
        finishing.cancel()

    def serving(port: int) -> None:
        writer.write(b"%b %d\n" % (SERVING, port))

    try:
        await work(settings, until=dismissed, serving=serving)
    finally:
        writer.close()


async def _tell_end(processor: Processor, writer: asyncio.StreamWriter) -> None:
    await processor.finished.wait()
    writer.write(b"%b\n" % FINISHED)
