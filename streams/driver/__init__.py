"""A Faust transport that delivers batches, and the recovery that goes with it.

`interface.py` is the contract, `consumer.py` the main loop's side, `fetch.py` the consumer thread's,
`recovery.py` what happens between an assignment and its first batch.
"""

from streams.driver.engine import Engine
from streams.driver.interface import TP, Batch, EndSight, Lease, Receiver, Source

__all__ = ["TP", "Batch", "EndSight", "Engine", "Lease", "Receiver", "Source"]
