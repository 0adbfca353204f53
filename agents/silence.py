"""The agent of silence: it lets time pass where nothing else happens.

It looks at the head of each partition's deadlines, never at customers, so a million sleeping
deadlines cost as much as one.
"""

import asyncio
from typing import Final, Protocol

TICK_SECONDS: Final = 0.01
PUBLISH_SECONDS: Final = 1.0
"""Between two publications of gauges and of the group's offsets."""


class Timed(Protocol):
    """What the agent asks of the processor."""

    def let_time_pass(self) -> None:
        """Wake the partitions in which something has come due."""

    async def publish(self) -> None:
        """Say how things stand."""


async def pass_time(partitions: Timed) -> None:
    """Until cancelled. A publication may wait for a broker for seconds; no deadline waits for it."""
    async with asyncio.TaskGroup() as group:
        group.create_task(_tick(partitions), name="time")
        group.create_task(_publish(partitions), name="publication")


async def _tick(partitions: Timed) -> None:
    while True:
        await asyncio.sleep(TICK_SECONDS)
        partitions.let_time_pass()


async def _publish(partitions: Timed) -> None:
    while True:
        await asyncio.sleep(PUBLISH_SECONDS)
        await partitions.publish()
