"""Saying goodbye to a broker that may be gone."""

import asyncio

import pytest

from streams.connection import stop


class Client:
    """One that, once asked to stop, waits for an answer."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def start(self) -> None:
        """Nothing to do."""

    async def stop(self) -> None:
        """See the class."""
        self.asked.set()
        await self.answer


async def test_a_client_that_cannot_say_goodbye_is_left() -> None:
    """It waits for an answer that will not come."""
    client = Client()
    await stop(client, seconds=0.01)
    assert client.answer.cancelled()


async def test_what_a_client_cancels_of_its_own_cancels_nobody_else() -> None:
    """aiokafka lets out that it has cancelled what it waits for."""
    client = Client()
    client.answer.cancel()
    await stop(client)


async def test_whoever_stops_a_client_can_be_cancelled() -> None:
    """A shutdown does not wait for a goodbye."""
    client = Client()
    stopping = asyncio.create_task(stop(client))
    await client.asked.wait()
    stopping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopping
