"""The agent of silence: it lets time pass where nothing else happens.

It looks at the head of each partition's deadlines, never at customers, so a million sleeping
deadlines cost as much as one.
"""

import asyncio

from streams.processor import Processor

TICK_SECONDS = 0.01
PUBLISH_EVERY = 100
"""Ticks between two publications of gauges and of the group's offsets."""


async def pass_time(processor: Processor) -> None:
    """Until cancelled."""
    while True:
        for _ in range(PUBLISH_EVERY):
            await asyncio.sleep(TICK_SECONDS)
            processor.let_time_pass()
        await processor.publish()
