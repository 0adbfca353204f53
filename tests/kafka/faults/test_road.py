"""The road itself, with a broker of a few lines at its end: what passes, and what a trap sees."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from agents.brokers.broker import LOOPBACK, free_ports
from tests.kafka.faults.points import ANSWER, REQUEST, Api, Point, Trap, error_of_end_txn
from tests.kafka.faults.road import Road

GRACE_SECONDS = 60.0


class Echo:
    """Answers each request with its correlation id and its body, and remembers it."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []

    async def meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        with suppress(asyncio.IncompleteReadError, OSError):
            while True:
                frame = await reader.readexactly(int.from_bytes(await reader.readexactly(4)))
                self.heard.append(frame)
                answer = ANSWER.pack(REQUEST.unpack_from(frame)[2]) + frame[REQUEST.size :]
                writer.write(len(answer).to_bytes(4) + answer)
        writer.close()


class Client:
    """Asks, and reads the answer."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def ask(self, api: Api, number: int, body: bytes = b"") -> None:
        """Send a request."""
        frame = REQUEST.pack(api, 0, number) + body
        self._writer.write(len(frame).to_bytes(4) + frame)

    async def hear(self) -> tuple[int, bytes]:
        """Correlation id and body of the next answer; IncompleteReadError where there is none."""
        async with asyncio.timeout(GRACE_SECONDS):
            frame = await self._reader.readexactly(int.from_bytes(await self._reader.readexactly(4)))
        return ANSWER.unpack_from(frame)[0], frame[ANSWER.size :]


@asynccontextmanager
async def journey(*traps: Trap) -> AsyncIterator[tuple[Client, Echo, Road]]:
    """A client, a broker, and the road between them."""
    echo = Echo()
    near, far = free_ports(2)
    server = await asyncio.start_server(echo.meet, LOOPBACK, far)
    road = Road(near, far)
    async with road.open():
        road.traps += traps
        reader, writer = await asyncio.open_connection(LOOPBACK, near)
        try:
            yield Client(reader, writer), echo, road
        finally:
            writer.close()
            server.close()


async def test_what_nobody_waits_for_passes_unchanged() -> None:
    """Requests and answers arrive whole and in order, also the slow ones."""
    async with journey() as (client, echo, road):
        road.base_delay = 0.001
        for number in range(3):
            client.ask(Api.FETCH, number, b"x" * 70_000)
        assert [(number, b"x" * 70_000) for number in range(3)] == [await client.hear() for _ in range(3)]
        assert 3 == len(echo.heard)


async def test_before_means_that_the_broker_has_not_heard() -> None:
    """A request that is dropped never arrives, and its connection ends."""
    trap = Trap(Point(Api.END_TXN, "before", passing=1), drop=True)
    async with journey(trap) as (client, echo, _):
        client.ask(Api.END_TXN, 0)
        assert (0, b"") == await client.hear()
        client.ask(Api.END_TXN, 1)
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await client.hear()
        assert 1 == len(echo.heard)
        assert trap.reached.is_set()


async def test_what_is_held_goes_on_when_released_and_its_answer_is_kept() -> None:
    """Nothing arrives until the release; then the answer is the broker's own."""
    trap = Trap(Point(Api.END_TXN, "before"), hold=True)
    async with journey(trap) as (client, echo, _):
        client.ask(Api.END_TXN, 7, b"\x00\x00\x00\x00\x00\x2f")
        await asyncio.wait_for(trap.reached.wait(), GRACE_SECONDS)
        assert [] == echo.heard
        trap.release.set()
        assert 7 == (await client.hear())[0]
        assert 47 == error_of_end_txn(trap.answer)


async def test_what_is_forgotten_was_done_and_is_never_told() -> None:
    """The broker has the request, and the client's connection ends without its answer."""
    trap = Trap(Point(Api.END_TXN, "during"), forget=True)
    async with journey(trap) as (client, echo, _):
        client.ask(Api.END_TXN, 1)
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await client.hear()
        assert 1 == len(echo.heard)


async def test_after_means_that_the_answer_is_on_its_way() -> None:
    """The trap springs once, for a request that holds the words it waits for."""
    struck: list[int] = []
    trap = Trap(Point(Api.FETCH, "after", b"changelog"), strike=lambda: struck.append(1))
    async with journey(trap) as (client, _, _):
        for number, body in enumerate((b"purchases", b"the changelog", b"the changelog")):
            client.ask(Api.FETCH, number, body)
        assert [0, 1, 2] == [(await client.hear())[0] for _ in range(3)]
        assert [1] == struck


async def test_a_cut_ends_what_is_there_and_a_closed_road_lets_nobody_in() -> None:
    """Both look to the client like a connection that ends."""
    async with journey() as (client, _, road):
        client.ask(Api.FETCH, 1)
        await client.hear()
        road.closed = True
        road.cut()
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await client.hear()
        reader, _ = await asyncio.open_connection(LOOPBACK, road.port)
        with suppress(ConnectionError):
            assert b"" == await asyncio.wait_for(reader.read(1), GRACE_SECONDS)
