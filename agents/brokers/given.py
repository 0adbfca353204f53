"""A broker that is there already."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from agents.brokers.broker import count_brokers
from streams.connection import START_SECONDS
from streams.settings import Settings


@dataclass(frozen=True, slots=True)
class GivenBroker:
    """The broker at `bootstrap`, with the security settings of the environment (WINBACK_*)."""

    bootstrap: str

    @property
    def title(self) -> str:
        """What it is, for people."""
        return f"the broker at {self.bootstrap}"

    def obstacle(self) -> str | None:
        """Nothing: somebody said that it is there."""
        return None

    @contextmanager
    def running(self) -> Iterator[str]:
        """Its address, once it has answered; the broker is left as it is.

        Raises BrokerUnreachable where nothing answers there, ConfigurationError where it refuses us.
        """
        settings = Settings(bootstrap=self.bootstrap)
        # A thread of its own, because the caller may be inside a running loop.
        with ThreadPoolExecutor(1) as executor:
            executor.submit(asyncio.run, count_brokers(settings, START_SECONDS)).result()
        yield self.bootstrap
