"""The road from one worker to one broker: a small TCP proxy that can be cut, closed, slowed and watched.

It passes Kafka's frames on whole, so that a trap (points.py) sees each request and its answer.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from agents.brokers.broker import LOOPBACK
from tests.kafka.faults.points import ANSWER, REQUEST, Trap

_LARGEST = 128 * 1024 * 1024


class Road:
    """Passes on what comes to `port`, to `upstream`; both on loopback.

    base_delay, delay: seconds that each frame takes, always and for a while. closed: nobody gets
    through, as if the host were gone. turned_away: how often somebody has tried meanwhile.
    """

    def __init__(self, port: int, upstream: int) -> None:
        self.port = port
        self.upstream = upstream
        self.base_delay = 0.0
        self.delay = 0.0
        self.closed = False
        self.turned_away = 0
        self.traps: list[Trap] = []
        self._travellers: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Road"]:
        """Listen until the block ends, as if nothing had ever been done to this road."""
        self.base_delay = self.delay = 0.0
        self.closed = False
        self.turned_away = 0
        self.traps.clear()
        server = await asyncio.start_server(self._meet, LOOPBACK, self.port)
        try:
            yield self
        finally:
            server.close()
            self.cut()
            await asyncio.gather(*self._travellers, return_exceptions=True)

    def cut(self) -> None:
        """End every connection, in the middle of whatever it carries."""
        for traveller in self._travellers:
            traveller.cancel()

    def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        traveller = asyncio.create_task(self._travel(reader, writer))
        self._travellers.add(traveller)
        traveller.add_done_callback(self._travellers.discard)

    async def _travel(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upward: asyncio.StreamWriter | None = None
        pumps: list[asyncio.Task[None]] = []
        try:
            if self.closed:
                self.turned_away += 1
                return
            downward, upward = await asyncio.open_connection(LOOPBACK, self.upstream)
            watched: dict[int, Trap] = {}
            pumps = [
                asyncio.create_task(self._requests(reader, upward, watched)),
                asyncio.create_task(self._answers(downward, writer, watched)),
            ]
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        except OSError:
            pass  # the broker is away: the worker sees its connection end
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            for end in (writer, upward):
                if end is not None:
                    end.transport.abort()

    async def _requests(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, watched: dict[int, Trap]
    ) -> None:
        with suppress(asyncio.IncompleteReadError, OSError):
            while True:
                frame = await _frame(reader)
                await self._dawdle()
                trap = next((trap for trap in self.traps if trap.meets(frame)), None)
                if trap is not None and trap.point.moment == "before":
                    trap.spring()
                    if trap.drop:
                        return
                    if trap.hold:
                        await trap.release.wait()
                        watched[REQUEST.unpack_from(frame)[2]] = trap
                elif trap is not None and (trap.point.moment == "after" or trap.forget):
                    watched[REQUEST.unpack_from(frame)[2]] = trap
                await _pass_on(writer, frame)
                if trap is not None and trap.point.moment == "during" and not trap.forget:
                    trap.spring()

    async def _answers(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, watched: dict[int, Trap]
    ) -> None:
        with suppress(asyncio.IncompleteReadError, OSError):
            while True:
                frame = await _frame(reader)
                await self._dawdle()
                trap = watched.pop(ANSWER.unpack_from(frame)[0], None) if watched else None
                if trap is not None and trap.forget:
                    # The broker has done it, and the worker is never told.
                    trap.spring()
                    return
                if trap is not None and trap.hold:
                    trap.hear(frame)
                await _pass_on(writer, frame)
                if trap is not None and not trap.hold:
                    trap.spring()

    async def _dawdle(self) -> None:
        if delay := self.base_delay + self.delay:
            await asyncio.sleep(delay)


async def _frame(reader: asyncio.StreamReader) -> bytes:
    """The next request or answer, without its length."""
    size = int.from_bytes(await reader.readexactly(4))
    if size > _LARGEST:
        raise OSError(f"a frame of {size} bytes: this is not Kafka's protocol")
    return await reader.readexactly(size)


async def _pass_on(writer: asyncio.StreamWriter, frame: bytes) -> None:
    writer.write(len(frame).to_bytes(4))
    writer.write(frame)
    await writer.drain()
