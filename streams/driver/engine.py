"""The Faust app that delivers batches: what its transport, tables and recovery ask it for."""

import asyncio
from typing import Any, Protocol

import faust
from faust.app.base import BootStrategy
from faust.types import AppT

from schemas.errors import WinbackError
from streams.driver.interface import Receiver
from streams.settings import Settings


class _Boot(BootStrategy):
    # Winback serves its own HTTP, also before recovery, and writes by transactional producers of its own.
    enable_web = False
    enable_kafka_producer = False


class Opening(Protocol):
    """The part of recovery that the consumer talks to."""

    def progress(self) -> None:
        """The receiver's `open` is getting on."""

    async def settled(self) -> None:
        """Until no `open` is under way."""


class Engine(faust.App):
    """A Faust app with a receiver."""

    BootStrategy = _Boot

    def __init__(
        self, name: str, *, worker: Settings, receiver: Receiver, sources: tuple[str, ...], **options: Any
    ) -> None:
        self.worker = worker
        self.receiver = receiver
        self.sources = sources
        self.failure: WinbackError | None = None
        self.failed = asyncio.Event()
        self.opening: Opening | None = None
        super().__init__(name, **options)

    def fail(self, error: WinbackError) -> None:
        """Have the worker stopped for a reason that explains itself: no stack trace is shown."""
        if self.failure is None:
            self.failure = error
            self.failed.set()

    def _create_directories(self) -> None:
        """Nothing of ours is on disk."""


def engine_of(app: AppT) -> Engine:
    """The app as what it is here; Faust's parts know it by its base."""
    assert isinstance(app, Engine)
    return app
