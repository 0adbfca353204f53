"""The agents of the three topics: each takes batches off its stream and hands them to the merge.

They do nothing else on purpose. One actor serves all partitions of its topic, so whatever it waited
for would hold up all of them; the work is done by a task of its own for each partition.
"""

from faust.types import StreamT

from streams.app import Agent
from streams.driver import Batch, Receiver


def agent_of(receiver: Receiver) -> Agent:
    """An agent that passes batches on to the receiver."""

    async def consume(stream: StreamT[Batch]) -> None:
        async for event in stream.events():
            receiver.deliver(event.value)

    return consume
