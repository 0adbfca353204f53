"""The agent of silence: time passes, whatever else is slow."""

import asyncio

import pytest

from agents.silence import PUBLISH_SECONDS, pass_time


class Partitions:
    """What the agent looks after. publishing: what a publication waits for."""

    def __init__(self) -> None:
        self.looks = 0
        self.publications = 0
        self.publishing = asyncio.Event()

    def let_time_pass(self) -> None:
        """See agents.silence.Timed."""
        self.looks += 1

    async def publish(self) -> None:
        """See agents.silence.Timed."""
        self.publications += 1
        await self.publishing.wait()


async def until_looked(partitions: Partitions, times: int) -> None:
    """Until time was let pass so often."""
    async with asyncio.timeout(20 * PUBLISH_SECONDS):
        while partitions.looks < times:  # noqa: ASYNC110 - a condition is all that is known
            await asyncio.sleep(0.001)


async def test_a_slow_publication_holds_up_no_deadline() -> None:
    """Group offsets that cannot be written are nobody's business but the lag tools'."""
    partitions = Partitions()
    running = asyncio.create_task(pass_time(partitions))
    try:
        while not partitions.publications:
            await until_looked(partitions, partitions.looks + 1)
        await until_looked(partitions, partitions.looks + 50)
        assert 1 == partitions.publications
        partitions.publishing.set()
        while partitions.publications < 2:
            await until_looked(partitions, partitions.looks + 1)
    finally:
        running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
