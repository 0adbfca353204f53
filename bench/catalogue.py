"""The engines, in the order of the table: how each is run, with which settings, and how its state is read.

A new engine is a program that talks as bench/peers/announce.py says, and a line here.
"""

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

from bench.input import Size
from bench.kept import ROOT
from bench.peers.jobs import Summary, pack
from bench.programs import java_of_peers, python_of_peers
from bench.provenance import compiled
from bench.totals import total_of
from bench.workers import variables_of
from schemas.record import PARTITION_KEY, unpack
from streams.compiled import VARIABLE
from streams.settings import Settings

Job = Literal["drain", "total", "retention"]
State = tuple[bytes, Any] | None
"""Of a changelog record: the customer, and a total, a packed summary, or what Winback knows; None for
a record that is no customer's."""
Read = Callable[[Job, bytes, bytes], State]


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be run. name: of this run, and of every topic that is its own."""

    job: Job
    name: str
    settings: Settings
    """Of the run's Winback; its purchases are everybody's input."""
    topic: str
    size: Size
    folder: Path

    @property
    def alerts(self) -> str:
        """Where a peer writes its alerts."""
        return f"{self.name}-alerts"

    def options(self) -> list[str]:
        """For a program that talks as bench/peers/announce.py says."""
        given = {
            "bootstrap": self.settings.bootstrap,
            "topic": self.topic,
            "alerts": self.alerts,
            "application-id": self.name,
            "job": self.job,
            "folder": self.folder,
            "events": self.size.events,
        }
        return [str(word) for name, value in given.items() for word in (f"--{name}", value)]


@dataclass(frozen=True, slots=True)
class Command:
    """A program to run. started, finished: the events that its lines announce. writes: whether it
    writes anything."""

    words: Sequence[str]
    environment: Mapping[str, str]
    started: str = "started"
    finished: str = "finished"
    writes: bool = True


@dataclass(frozen=True, slots=True)
class Engine:
    """One line of the table. settings: in a few words, for people. prefix: it is too slow for all of it."""

    name: str
    settings: str
    jobs: Sequence[Job]
    command: Callable[[Order], Command]
    read: Read
    prefix: bool = False
    own_alerts: bool = False
    """It says its triggers in its own way."""


# ------------------------------------------------------------------------------------------ commands


def _winback(order: Order) -> Command:
    environment = {**_environment(), VARIABLE: "1" if compiled() else "0"}
    if order.job == "total":
        return Command([sys.executable, "-m", "bench.totals", *order.options()], environment)
    environment |= variables_of(order.settings)
    words = [sys.executable, "-m", "agents", "worker", "--until-done"]
    # What its log says.
    return Command(words, environment, started="opened", finished="replay_finished")


def _processes(number: int) -> Callable[[Order], Command]:
    def command(order: Order) -> Command:
        worker = _winback(order)
        return replace(worker, words=[*worker.words, "--processes", str(number)])

    return command


def _faust(*more: str) -> Callable[[Order], Command]:
    return lambda order: _python(sys.executable, "bench.peers.stock_faust", [*order.options(), *more])


def _quix(*more: str) -> Callable[[Order], Command]:
    return lambda order: _python(python_of_peers(), "bench.peers.quix", [*order.options(), *more])


def _kafka_streams(guarantee: str, threads: int, cache_megabytes: int) -> Callable[[Order], Command]:
    more = ["--guarantee", guarantee, "--threads", threads, "--cache-megabytes", cache_megabytes]
    return lambda order: Command(
        [*java_of_peers(), *order.options(), *[str(word) for word in more]], _environment()
    )


def _drain(client: str) -> Callable[[Order], Command]:
    def command(order: Order) -> Command:
        if client == "java":
            return Command([*java_of_peers(), *order.options()], _environment(), writes=False)
        python = sys.executable if client == "aiokafka" else python_of_peers()
        return replace(
            _python(python, "bench.peers.drain", [*order.options(), "--job", client]), writes=False
        )

    return command


def _python(python: str | Path, module: str, options: list[str]) -> Command:
    return Command([str(python), "-m", module, *options], _environment())


def forget_settings() -> None:
    """Have this process know no setting of the user's own: it would change what is measured."""
    for name in Settings.model_fields:
        os.environ.pop(f"WINBACK_{name.upper()}", None)


def _environment() -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith("WINBACK_")}
    return {**ours, "PYTHONPATH": str(ROOT)}


# ------------------------------------------------------------------------------------- how state is read


def _of_winback(job: Job, key: bytes, value: bytes) -> State:
    if key == PARTITION_KEY:
        return None
    if job == "total":
        return key, total_of(value)
    known = unpack(value).purchases
    return None if known is None else (key, (known.first_at, known.last_at, known.spend))


def _in_bytes(job: Job, key: bytes, value: bytes) -> State:
    return key, int.from_bytes(value, "big") if job == "total" else value


def _of_faust(job: Job, key: bytes, value: bytes) -> State:
    return json.loads(key).encode(), _from_json(job, json.loads(value))


def _of_quix(job: Job, key: bytes, value: bytes) -> State:
    return _customer(key), _from_json(job, json.loads(value))


def _of_quix_tuned(job: Job, key: bytes, value: bytes) -> State:
    return _in_bytes(job, _customer(key), value)


def _customer(key: bytes) -> bytes:
    # Behind the message's key stands that of the value among the customer's values.
    return key.partition(b"|")[0]


def _from_json(job: Job, value: Any) -> Any:
    if job == "total":
        return value
    first_at, last_at, orders, spend, recent = value
    return pack(Summary(first_at, last_at, orders, spend, [(at, paid) for at, paid in recent]))


_JOBS: Final[Sequence[Job]] = ("total", "retention")
_DRAIN: Final[Sequence[Job]] = ("drain",)


def _streams(name: str, words: str, guarantee: str, threads: int, cache_megabytes: int = 0) -> Engine:
    command = _kafka_streams(guarantee, threads, cache_megabytes)
    return Engine(f"kafka streams{name}", words, _JOBS, command, _in_bytes)


ENGINES: Final = (
    Engine("winback", "exactly once, defaults", _JOBS, _winback, _of_winback, own_alerts=True),
    Engine(
        "winback 2", "exactly once, 2 processes", ("retention",), _processes(2), _of_winback, own_alerts=True
    ),
    Engine("faust", "at least once, defaults", _JOBS, _faust(), _of_faust, prefix=True),
    Engine("faust tuned", "at least once, bytes, linger", _JOBS, _faust("--tuned"), _in_bytes, prefix=True),
    Engine("quixstreams", "at least once, defaults", _JOBS, _quix(), _of_quix),
    Engine("quixstreams tuned", "at least once, bytes, 30 s", _JOBS, _quix("--tuned"), _of_quix_tuned),
    _streams("", "at least once, 1 thread", "at_least_once", 1),
    _streams(" 2", "at least once, 2 threads", "at_least_once", 2),
    _streams(" cached", "at least once, 2 threads, cache 64 MB", "at_least_once", 2, 64),
    _streams(" exact", "exactly once, 1 thread", "exactly_once_v2", 1),
    _streams(" exact 2", "exactly once, 2 threads", "exactly_once_v2", 2),
    Engine("aiokafka", "reads, does nothing", _DRAIN, _drain("aiokafka"), _in_bytes),
    Engine("confluent-kafka", "reads, does nothing", _DRAIN, _drain("confluent-kafka"), _in_bytes),
    Engine("java consumer", "reads, does nothing", _DRAIN, _drain("java"), _in_bytes),
)
"""In the order of the table. Kafka Streams' cache is off unless it is named: with it, most updates of a
customer never reach the changelog."""
