"""What all commands have in common that measure on a Kafka: options, broker, last words, exit code."""

import argparse
import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NoReturn

import orjson

from agents.brokers import ApacheKafka, Broker, DockerKafka, first_of, for_tests
from agents.clients import quiet_client_logs
from bench.kept import KEPT, keep
from bench.usage import cpu_seconds_of, descendants
from schemas.errors import WinbackError

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Kafka:
    """What is measured on. processes: those that serve it; none are known of one that was given, that
    runs in Docker, or on a system that does not tell."""

    bootstrap: str
    title: str = "a given Kafka"
    processes: Sequence[int] = ()

    @property
    def cpu_seconds(self) -> float:
        """What it has taken so far; nan where that cannot be told."""
        return cpu_seconds_of(self.processes) if self.processes else math.nan


GATHER_MS: Final = "3000"
"""How long the broker waits for a second worker before it gives all partitions to the first."""


def gathering() -> list[Broker]:
    """Brokers that wait for a group to gather."""
    return [ApacheKafka(properties={"group.initial.rebalance.delay.ms": GATHER_MS}), DockerKafka()]


def tell(line: str) -> None:
    """A line on stderr."""
    print(line, file=sys.stderr, flush=True)


def say(line: str) -> None:
    """Progress on stderr, with the time of day in UTC."""
    tell(f"{datetime.now(UTC):%H:%M:%S} {line}")


def json_option(parser: argparse.ArgumentParser) -> None:
    """--json."""
    parser.add_argument("--json", action="store_true", help="for programs")


def bootstrap_option(parser: argparse.ArgumentParser, words: str = "") -> None:
    """--bootstrap. words: what else is to be said of it."""
    parser.add_argument("--bootstrap", help=f"a Kafka that runs already{words}")


def options(parser: argparse.ArgumentParser) -> None:
    """Both."""
    json_option(parser)
    bootstrap_option(parser)


def options_of_pictures(parser: argparse.ArgumentParser, pictures: str) -> None:
    """Both, --draw and --note. pictures: what is drawn."""
    json_option(parser)
    parser.add_argument("--draw", action="store_true", help=f"draw {pictures} in docs/ anew")
    parser.add_argument("--note", default="", help="what a reader must know of this run: for the captions")
    bootstrap_option(parser)


@contextmanager
def kafka(given: str | None, say: Say = tell, brokers: Sequence[Broker] | None = None) -> Iterator[Kafka]:
    """The Kafka at the address that was given; else one until the end of the block, the first of `brokers`
    that can be had here. Raises BrokerUnreachable where there is none."""
    if given:
        yield Kafka(given)
        return
    told: list[str] = []

    def heard(line: str) -> None:
        told.append(line)
        say(line)

    with first_of(for_tests() if brokers is None else brokers, say=heard) as bootstrap:
        title = told[-1].removeprefix("broker: ").partition(" at ")[0]
        # By name: beside it runs its guard, and in its place the client of Docker.
        yield Kafka(bootstrap, title, descendants(os.getpid(), "java"))


def conclude(
    name: str,
    result: Mapping[str, Any],
    *,
    as_json: bool,
    table: str,
    missed: Sequence[str],
    into: Path = KEPT,
) -> int:
    """Keep the result, print it, and say which bars were missed; 1 where there are any."""
    keep(name, result, into)
    print(orjson.dumps(result).decode() if as_json else table)
    for line in missed:
        tell(line)
    return int(bool(missed))


def enter(main: Callable[[], int]) -> NoReturn:
    """Run a command and exit with its code; an error is one line."""
    quiet_client_logs()
    try:
        sys.exit(main())
    except WinbackError as error:
        raise SystemExit(f"error: {error}") from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
