"""One run of one engine, seen from outside, the same way for all.

The clock starts when the engine says that its first record is at hand. It stops when everything the
engine writes, its changelog and its triggers, is readable by a consumer that reads committed: that is
looked at from the moment on at which it says that the last record is folded, every 20 ms, until it
has ended; the first look that saw the final offsets counts. So nobody is faster for committing late.
For who writes nothing it stops with the last record.
CPU seconds are those between these two instants, of the engine's processes and of the broker's.
"""

import asyncio
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from agents.clients import reader
from bench.catalogue import Command
from bench.children import child
from bench.peers.announce import SERVING, VERSIONS
from bench.usage import Usage, cpu_seconds_of, usage_with_children
from streams.clock import monotonic
from streams.connection import admin
from streams.settings import Settings

_LOOK_SECONDS: Final = 0.02
_TAIL_LINES: Final = 12
_LONGEST_LINE: Final = 2**20
"""Bytes; an engine may say a whole traceback on one."""

_decode = msgspec.json.Decoder(dict[str, Any]).decode


class Failed(Exception):
    """The engine did not do what it was started for. tail: the last lines that it said."""

    def __init__(self, why: str, tail: Sequence[str] = ()) -> None:
        super().__init__(why)
        self.tail = tail


@dataclass(frozen=True, slots=True)
class Figures:
    """What a run took. seconds, cpu_seconds, broker_cpu_seconds: from first record to last output."""

    seconds: float
    cpu_seconds: float
    broker_cpu_seconds: float
    peak_megabytes: float


@dataclass(slots=True)
class _Seen:
    """What the engine's output has shown so far."""

    began: float | None = None
    started: asyncio.Event = field(default_factory=asyncio.Event)
    finished: asyncio.Event = field(default_factory=asyncio.Event)
    last_folded: "_Look | None" = None
    cpu_at_start: float = 0.0
    broker_at_start: float = 0.0
    versions: dict[str, str] = field(default_factory=dict)
    tail: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Look:
    at: float
    ends: Mapping[TopicPartition, int]
    used: Usage
    broker: float


@dataclass(frozen=True, slots=True)
class Watched:
    """Where to look. name: stands in the name of every topic that is written, and of the inputs, which
    nobody writes any more. broker: its processes."""

    settings: Settings
    name: str
    broker: Sequence[int] = ()


async def measure(command: Command, watched: Watched, *, patience: float) -> tuple[Figures, dict[str, str]]:
    """Run it to its end; figures, and versions of what was measured.

    patience: seconds until it counts as stuck, and is killed. Raises Failed where it is, ends with
    an error, or ends without having folded everything.
    """
    seen = _Seen()
    streams = {"stdout": PIPE, "stderr": STDOUT, "limit": _LONGEST_LINE}
    async with child(command.words, command.environment, **streams) as process:
        try:
            async with asyncio.timeout(patience):
                listening = asyncio.create_task(_listen(process, command, watched, seen))
                looks = await _watch(process, watched, seen, listening) if command.writes else []
                await listening
                await process.wait()
        except TimeoutError as error:
            raise Failed(f"not done after {patience:.0f} s", seen.tail) from error
    if process.returncode:
        raise Failed(f"it ended with exit code {process.returncode}", seen.tail)
    if seen.began is None or seen.last_folded is None:
        raise Failed("it ended before it was done", seen.tail)
    return _figures(seen, seen.last_folded, looks), seen.versions


async def _listen(process: Process, command: Command, watched: Watched, seen: _Seen) -> None:
    assert process.stdout is not None
    async for line in process.stdout:
        at = monotonic()
        said: dict[str, Any] = {}
        with suppress(msgspec.DecodeError):
            said = _decode(line)
        match said.pop("event", None):
            case command.started if seen.began is None:
                seen.began = at
                seen.cpu_at_start = usage_with_children(process.pid).cpu_seconds
                seen.broker_at_start = cpu_seconds_of(watched.broker)
                seen.started.set()
            case command.finished:
                broker = cpu_seconds_of(watched.broker)
                seen.last_folded = _Look(at, {}, usage_with_children(process.pid), broker)
                seen.finished.set()
            case event if event == VERSIONS:
                seen.versions |= said
            case event if event == SERVING:
                seen.versions["compiled"] = "yes" if said["compiled"] else "no"
            case _:
                seen.tail = [*seen.tail[1 - _TAIL_LINES :], line.decode(errors="replace").rstrip()]


async def _watch(
    process: Process, watched: Watched, seen: _Seen, listening: "asyncio.Task[None]"
) -> list[_Look]:
    """Looks from the last record on; the first of each sight, and the newest."""
    looks: list[_Look] = []
    async with reader(watched.settings) as consumer:
        await _first(seen.started, listening)
        # Found now, while there is time: an engine has its topics made before it reads.
        places = await _places(watched) if seen.started.is_set() else []
        await _look(process, watched, consumer, places)
        await _first(seen.finished, listening)
        while True:
            ended = listening.done()
            look = await _look(process, watched, consumer, places)
            if len(looks) > 1 and looks[-1].ends == looks[-2].ends == look.ends:
                looks[-1] = look
            else:
                looks.append(look)
            if ended:
                return looks
            await asyncio.wait([listening], timeout=_LOOK_SECONDS)


async def _first(event: asyncio.Event, listening: "asyncio.Task[None]") -> None:
    """Until it has come, or nothing comes any more."""
    waiting = asyncio.create_task(event.wait())
    await asyncio.wait([listening, waiting], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()


async def _places(watched: Watched) -> list[TopicPartition]:
    async with admin(watched.settings) as client:
        described = await client.describe_topics()
    return [
        TopicPartition(topic["topic"], partition["partition"])
        for topic in described
        if watched.name in topic["topic"]
        for partition in topic["partitions"]
    ]


async def _look(
    process: Process, watched: Watched, consumer: AIOKafkaConsumer, places: list[TopicPartition]
) -> _Look:
    ends = await consumer.end_offsets(places) if places else {}
    return _Look(monotonic(), ends, usage_with_children(process.pid), cpu_seconds_of(watched.broker))


def _figures(seen: _Seen, last_folded: _Look, looks: Sequence[_Look]) -> Figures:
    assert seen.began is not None
    number, last = next(
        ((at, look) for at, look in enumerate(looks, 1) if look.ends == looks[-1].ends), (0, last_folded)
    )
    looks = [last_folded, *looks]
    # A process that has ended meanwhile is not told of any more: what it had used before still counts.
    used = max(look.used.cpu_seconds for look in looks[: number + 1])
    return Figures(
        seconds=last.at - seen.began,
        cpu_seconds=max(0.0, used - seen.cpu_at_start),
        broker_cpu_seconds=last.broker - seen.broker_at_start,
        peak_megabytes=max(look.used.peak_megabytes for look in looks),
    )
