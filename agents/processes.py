"""`winback worker --processes N`: several workers under one command, one port and one page of metrics.

Python folds on one core at a time. So each process is a worker of its own and a member of the group like
any other: it opens, folds and commits its share of the partitions, and nothing about exactness is new.
This process folds nothing. It starts the others, shows what they show (agents/joint_views.py), and ends
with them: when it is told to, when all have done their replay, or when one of them has ended.
"""

import asyncio
import os
import signal
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

import structlog

from agents.brokers.broker import LOOPBACK
from agents.clients import silent_clients
from agents.configuration import environment_of
from agents.joint_views import joint_views
from agents.member import FINISHED, SERVING
from agents.views import Views
from schemas.errors import ConfigurationError, Fatal
from schemas.topics import CHANGELOG
from streams.app import check_topics, signals
from streams.compiled import in_use
from streams.logs import configure
from streams.playbook_file import load_playbook
from streams.processor import end_of
from streams.settings import Settings
from streams.tables import newest_position

_ROOT: Final = Path(__file__).parents[1]
"""Where this package and its neighbours are."""
_OTHERS_SECONDS: Final = 5.0
"""Without a word of our own processes, after so long it is looked what those of other workers have done."""

_log = structlog.get_logger(__name__)


def run_processes(settings: Settings, *, until_done: bool) -> int:
    """Run a worker of `settings.processes` processes until it ends.

    Returns 0 when it ended as asked, else the exit code of the process that failed first. Raises
    ConfigurationError as a worker does, and where there are more processes than partitions; Fatal where
    one of them was killed.
    """
    if sys.platform == "win32":
        raise ConfigurationError("processes: on Windows start several workers instead, each of one process")
    configure(settings.log_level)
    return asyncio.run(_run(settings, until_done=until_done))


class Member:
    """A process, as the one that starts it knows it. number: from 1 on. heard: set by each word it says."""

    def __init__(self, number: int, heard: asyncio.Event) -> None:
        self.number = number
        self.port: int | None = None
        """Of its views, while it serves them."""
        self.finished: set[int] = set()
        """Partitions in which it has brought a bounded replay to its end: there it stays so, whoever owns
        them later."""
        self.code: int | None = None
        """Its exit code, once it has ended."""
        self._heard = heard
        self._line: asyncio.StreamWriter | None = None
        self._ending: asyncio.Task[None] | None = None

    async def start(self, settings: Settings) -> None:
        """Start it."""
        ours, its = socket.socketpair()
        with its:
            process = await asyncio.create_subprocess_exec(
                # -P: never what the folder in which the user happens to be has under these names.
                *(sys.executable, "-P", "-m", "agents", "member", str(self.number)),
                env={**os.environ, **self._variables(settings)},
                stdin=its.fileno(),
                # Ctrl-C is for this process, which then ends the others in order.
                process_group=0,
            )
        reader, self._line = await asyncio.open_connection(sock=ours)
        self._ending = asyncio.create_task(self._follow(process, reader), name=f"process {self.number}")

    def dismiss(self) -> None:
        """Have it end, if it runs."""
        if self._line is not None:
            self._line.close()

    async def ended(self) -> None:
        """Until it has ended."""
        if self._ending is not None:
            await asyncio.shield(self._ending)

    async def _follow(self, process: Process, reader: asyncio.StreamReader) -> None:
        with suppress(ConnectionError):
            async for line in reader:
                word, _, rest = line.strip().partition(b" ")
                if word == SERVING:
                    self.port = int(rest)
                elif word == FINISHED:
                    self.finished.add(int(rest))
                self._heard.set()
        self.port = None
        self.code = await process.wait()

    def _variables(self, settings: Settings) -> dict[str, str]:
        path = os.pathsep.join([str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        own = {
            "PYTHONPATH": path,
            "WINBACK_PROCESSES": "1",
            "WINBACK_HTTP_HOST": LOOPBACK,
            "WINBACK_HTTP_PORT": "0",
        }
        if settings.instance is not None:
            own["WINBACK_INSTANCE"] = f"{settings.instance}-{self.number}"
        return {**environment_of(settings), **own}


async def _run(settings: Settings, *, until_done: bool) -> int:
    # What the user can have set wrong is said once, and not by each of them.
    load_playbook(settings.playbook, settings.model)
    end = end_of(settings)
    with silent_clients():
        partitions = await check_topics(settings)
    count = settings.processes
    if count > partitions:
        raise ConfigurationError(
            f"{count} processes are more than the {partitions} partitions they share, and some would have "
            "nothing to do: set --processes or WINBACK_PROCESSES to less"
        )
    heard = asyncio.Event()
    members = [Member(number, heard) for number in range(1, count + 1)]
    async with Views(joint_views(members), host=settings.http_host, port=settings.http_port) as views:
        _log.info("serving", host=settings.http_host, port=views.port, compiled=in_use(), processes=count)
        if not until_done or end is None:
            return await _together(members, settings, None)
        done = partial(_replay_done, members, heard, settings, range(partitions), end)
        return await _together(members, settings, done)


async def _together(
    members: Sequence[Member], settings: Settings, done: Callable[[], Coroutine[Any, Any, None]] | None
) -> int:
    """done: returns when nothing is left to do; None to go on until told to end."""
    with signals(asyncio.Event()) as stop:
        try:
            for member in members:
                await member.start(settings)
            reasons: list[Coroutine[Any, Any, object]] = [stop.wait(), *(each.ended() for each in members)]
            if done is not None:
                reasons.append(done())
            await _first_of(reasons)
            ended = [member for member in members if member.code is not None]
            for member in ended:
                _log.warning("process_ended", process=member.number, code=member.code)
        finally:
            for member in members:
                member.dismiss()
            for member in members:
                await member.ended()
    # Of several that failed, the first one says why. Who stops us may have stopped them as well.
    asked = {0, -signal.SIGTERM} if stop.is_set() else {0}
    for member in (*ended, *members):
        if member.code is None or member.code in asked:
            continue
        if member.code < 0:
            raise Fatal(
                f"process {member.number} was killed by signal {-member.code}; the others have ended in order"
            )
        return member.code
    return 0


async def _replay_done(
    members: Sequence[Member], heard: asyncio.Event, settings: Settings, partitions: Iterable[int], end: int
) -> None:
    """Until a bounded replay has reached `end` (ms) in all partitions, those of other workers too."""
    left = set(partitions)
    while True:
        heard.clear()
        left.difference_update(*(member.finished for member in members))
        if not left:
            break
        try:
            await asyncio.wait_for(heard.wait(), _OTHERS_SECONDS)
        except TimeoutError:
            left -= {number for number in sorted(left)[:1] if await _is_done(settings, number, end)}
    _log.info("replay_finished", partitions=list(partitions))


async def _is_done(settings: Settings, number: int, end: int) -> bool:
    """Whether a partition's committed clock says so, whoever has brought it there."""
    record = (await newest_position(settings, settings.topics.name(CHANGELOG), number)).partition_record
    return record is not None and record.clock >= end


async def _first_of(reasons: Iterable[Coroutine[Any, Any, object]]) -> None:
    tasks = [asyncio.create_task(reason) for reason in reasons]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
