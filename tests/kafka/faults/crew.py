"""Worker slots: each is filled again whenever its worker ends, as an orchestrator would do it."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from agents.configuration import environment_of
from agents.console import ExitCode
from streams.clock import monotonic
from streams.settings import Settings
from tests.kafka.faults.points import Trap
from tests.kafka.faults.road import Road

REPOSITORY: Final = Path(__file__).parents[3]
PLAIN: Final = (sys.executable, "-m", "agents", "worker")
STEPPED: Final = (sys.executable, "-m", "tests.kafka.faults.stepped", "{clock}", "worker")
"""A worker as it is, and one whose wall clock its slot can step."""
UNHEARD: Final = "exception was never retrieved"
PAUSE_SECONDS: Final = 0.2
"""Between the end of a worker and the start of the next in its slot."""
ENDING_SECONDS: Final = 30.0
"""A worker that was asked to end and has not done so by then hangs."""

_EXPLAINED: Final = {ExitCode.DONE, ExitCode.UNREACHABLE, ExitCode.FATAL, -signal.SIGKILL}


@dataclass(frozen=True, slots=True)
class Ending:
    """How a worker ended. code: as subprocess has it. asked: by SIGTERM. words: its stderr."""

    slot: int
    code: int
    asked: bool
    words: str

    @property
    def strange(self) -> bool:
        """Whether it points at a defect: an exit code that faults do not explain, or a stack trace."""
        # Asked before it could listen, a worker ends as any process does.
        explained = self.code in _EXPLAINED or (self.asked and self.code == -signal.SIGTERM)
        return not explained or any(
            ("raceback" in line or '"exception"' in line) and UNHEARD not in line
            for line in self.words.splitlines()
        )

    @property
    def unheard(self) -> int:
        """How many errors the loop reported that nobody had asked for: untidy, and no harm."""
        return self.words.count(UNHEARD)


@dataclass
class Slot:
    """A place for a worker. settings: of the next one that starts; bootstrap is the slot's own roads."""

    number: int
    settings: Settings
    roads: Sequence[Road]
    folder: Path
    command: Sequence[str]
    endings: list[Ending] = field(default_factory=list)
    starts: int = 0
    wanted: asyncio.Event = field(default_factory=asyncio.Event)
    """Whether a worker that has ended is followed by another."""
    process: asyncio.subprocess.Process | None = None
    asked_at: float = 0.0
    slowest_leave: float = 0.0
    """Seconds from SIGTERM to the exit, at most."""

    async def keep(self) -> None:
        """Fill the slot for as long as this runs."""
        while True:
            await self.wanted.wait()
            await self._one_worker()
            await asyncio.sleep(PAUSE_SECONDS)

    async def _one_worker(self) -> None:
        self.starts += 1
        self.asked_at = 0.0
        said = self.folder / f"worker-{self.number}-{self.starts}.log"
        with said.open("wb") as output:
            self.process = await asyncio.create_subprocess_exec(
                *(word.format(clock=self.clock) for word in self.command),
                env={**os.environ, **environment_of(self.settings)},
                cwd=REPOSITORY,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        try:
            code = await self.process.wait()
        finally:
            self.kill()
        if self.asked_at:
            self.slowest_leave = max(self.slowest_leave, monotonic() - self.asked_at)
        self.endings.append(Ending(self.number, code, bool(self.asked_at), said.read_text(errors="replace")))
        self.process = None

    @property
    def running(self) -> bool:
        """Whether a worker is there."""
        return self.process is not None and self.process.returncode is None

    def _send(self, number: signal.Signals) -> None:
        if self.process is not None and self.process.returncode is None:
            # Popen's own way looks first whether the process has ended, and would take its exit code from
            # the loop, which then reports 255.
            with suppress(ProcessLookupError):
                os.kill(self.process.pid, number)

    def kill(self) -> None:
        """kill -9."""
        self._send(signal.SIGKILL)

    def terminate(self) -> None:
        """SIGTERM."""
        if self.running and not self.asked_at:
            self.asked_at = monotonic()
        self._send(signal.SIGTERM)

    def freeze(self) -> None:
        """SIGSTOP: to everybody else the worker is dead, and it does not know."""
        self._send(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        self._send(signal.SIGCONT)

    @property
    def clock(self) -> Path:
        """The file that says how far ahead this slot's wall clock is; read by STEPPED workers alone."""
        return self.folder / f"clock-{self.number}"

    def step_clock(self, seconds: float) -> None:
        """Put the wall clock so many seconds ahead of the machine's."""
        self.clock.write_text(str(seconds), encoding="ascii")

    @asynccontextmanager
    async def trapped(self, trap: Trap) -> AsyncIterator[Trap]:
        """The trap stands on all roads of this slot while the block runs."""
        for road in self.roads:
            road.traps.append(trap)
        try:
            yield trap
        finally:
            trap.release.set()
            for road in self.roads:
                road.traps.remove(trap)


@dataclass
class Crew:
    """All slots."""

    slots: Sequence[Slot]

    @property
    def endings(self) -> list[Ending]:
        """Of all workers so far."""
        return [ending for slot in self.slots for ending in slot.endings]

    def employ(self, change: Callable[[Settings], Settings] = lambda settings: settings) -> None:
        """Fill every slot; workers that start from now on have the changed settings."""
        for slot in self.slots:
            slot.settings = change(slot.settings)
            slot.wanted.set()

    async def dismiss(self) -> None:
        """SIGTERM to all, until they have ended. Raises TimeoutError where one hangs."""
        for slot in self.slots:
            slot.wanted.clear()
            slot.terminate()
        async with asyncio.timeout(ENDING_SECONDS):
            while any(slot.process is not None for slot in self.slots):  # noqa: ASYNC110 - a condition is all
                await asyncio.sleep(0.05)


@asynccontextmanager
async def crew_of(
    settings: Sequence[Settings], roads: Sequence[Sequence[Road]], command: Sequence[str] = PLAIN
) -> AsyncIterator[Crew]:
    """A slot for each of `settings`, still empty; whatever runs at the end of the block is killed."""
    with TemporaryDirectory(prefix="winback-crew-") as folder:
        slots = [
            Slot(number, each, ways, Path(folder), command)
            for number, (each, ways) in enumerate(zip(settings, roads, strict=True))
        ]
        keepers = [asyncio.create_task(slot.keep(), name=f"slot {slot.number}") for slot in slots]
        try:
            yield Crew(slots)
        finally:
            for keeper in keepers:
                keeper.cancel()
            await asyncio.gather(*keepers, return_exceptions=True)
            for slot in slots:
                slot.kill()
                if slot.process is not None:
                    await slot.process.wait()
