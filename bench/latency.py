"""How soon after its event a trigger can be read, and how punctual a silence is, at a steady live load.

    python -m bench.latency [--rates 10000,1000,0] [--seconds N] [--json] [--draw]

A worker in a process of its own, on the wall clock, against a real Kafka with one broker; the load of
bench/live.py on all three topics at the given rates (0: nothing but silence). Event to trigger runs
from the moment at which the event is handed to the producer until a consumer that reads committed
records has the trigger in hand: producing, fetching, merging, deciding, committing and reading,
Kafka's part included. Lateness runs from the instant at which a silence comes true to the same moment
of its trigger. The first seconds of each load are not counted, and the heaviest comes first: a broker
that has just started spends its first minute compiling itself.
"""

import argparse
import asyncio
import gc
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from rich.progress import Progress, TaskID

from agents.console import progress_bar
from agents.produce import load_events
from bench.children import run
from bench.command import Kafka, conclude, enter, kafka, options_of_pictures, tell
from bench.distribution import described, quantile
from bench.installation import installation
from bench.kept import PICTURES
from bench.live import CAUSE_EVERY, Player, past, silent_customer
from bench.pictures import Histogram, histograms
from bench.provenance import caption, provenance
from bench.workers import Worker, until, worker
from schemas.events import Event, Purchase
from schemas.topics import CHURN_RISK, PURCHASES, SUPPORT_TICKETS, WIN_BACK
from streams.clock import monotonic, wall_ms
from streams.connection import client_arguments, start
from streams.playbook_file import load_playbook
from streams.settings import Settings

P50_BAR, P99_BAR = 15.0, 80.0
"""Milliseconds from event to trigger, at JUDGED events a second."""
LATENESS_BAR = 100.0
"""Milliseconds from a silence's instant to its trigger, p99, at JUDGED and without events."""
JUDGED = 1000
WARM_UP_SECONDS = 20.0
DUES_A_SECOND = 40
STRAGGLERS_SECONDS = 15.0
"""How long triggers may stay out after the load has ended before they count as missing."""


class Arrival(NamedTuple):
    """A trigger as it was read. read_at: seconds, monotonic; wall_ms: the wall clock, milliseconds."""

    key: bytes
    read_at: float
    wall_ms: float


class Spent(NamedTuple):
    """What had been used so far. worker, broker: CPU seconds; broker nan where it cannot be told.

    read_at: seconds, monotonic.
    """

    worker: float
    broker: float
    transactions: float
    read_at: float


async def measure(kafka: Kafka, rate: int, seconds: float, bar: Progress) -> dict[str, Any]:
    """One load, on an installation of its own."""
    settings = await installation(kafka.bootstrap, log_level="error")
    task = bar.add_task(f"{rate:,}/s: history", total=None)
    length = WARM_UP_SECONDS + seconds
    causes = -(-round(rate * length) // CAUSE_EVERY)
    # When the load is to begin has to be known for the silences: let the history be folded by then.
    begin = wall_ms() + 10_000 + causes
    dues = [begin + 1000 * number // DUES_A_SECOND for number in range(round(DUES_A_SECOND * length))]
    events = past(causes, dues, _silence(settings), wall_ms())
    await _load(settings, events)
    async with worker(settings) as running, _reading(settings) as arrivals:
        await _caught_up(running, len(events))
        await asyncio.sleep(max(0.0, (begin - wall_ms()) / 1000))
        bar.update(task, description=f"{rate:,} events/s", total=round(length))
        began, began_ms = monotonic(), wall_ms()
        warm = asyncio.create_task(_spent(running, kafka, WARM_UP_SECONDS))
        player = await _play(settings, rate, length, bar, task)
        before, after, ended_ms = await warm, await _spent(running, kafka), wall_ms()
        sent = {key: at for key, at in player.played.causes.items() if at >= began + WARM_UP_SECONDS}
        # The load's last moment is left out: the looks at the worker fall into it.
        due = {
            silent_customer(number).encode(): at
            for number, at in enumerate(dues)
            if began_ms + 1000 * WARM_UP_SECONDS <= at < ended_ms - 1000
        }
        with suppress(TimeoutError):
            await until(_in_hand(arrivals, sent, due), STRAGGLERS_SECONDS)
    took = after.read_at - before.read_at
    return {
        "rate": rate,
        "seconds": seconds,
        "events_per_second": player.played.events / (after.read_at - began),
        "behind_p99_ms": 1000 * quantile(sorted(player.played.behind), 0.99),
        "worker_cores": (after.worker - before.worker) / took,
        "broker_cores": (after.broker - before.broker) / took,
        "transactions_per_second": (after.transactions - before.transactions) / took,
        **outcome(arrivals, sent, due),
    }


def outcome(
    arrivals: Iterable[Arrival], sent: Mapping[bytes, float], due: Mapping[bytes, float]
) -> dict[str, Any]:
    """Both distributions in milliseconds, and how many triggers never came.

    sent: when each cause was handed over, seconds of the monotonic clock. due: when each silence came
    true, milliseconds of the wall clock. A customer's first trigger since then counts.
    """
    waits: dict[bytes, float] = {}
    late: dict[bytes, float] = {}
    for arrival in arrivals:
        key = arrival.key
        if key in sent and arrival.read_at >= sent[key]:
            waits.setdefault(key, 1000 * (arrival.read_at - sent[key]))
        elif key in due:
            late.setdefault(key, arrival.wall_ms - due[key])
    return {
        "missing": len(sent) - len(waits) + len(due) - len(late),
        "trigger_ms": described(list(waits.values())),
        "lateness_ms": described(list(late.values())),
    }


def missed(loads: Sequence[Mapping[str, Any]]) -> list[str]:
    """Each bar that was not held, in words."""
    said = []
    for load in loads:
        where = f"at {load['rate']:,} events/s"
        if load["missing"]:
            said.append(f"{load['missing']:,} triggers never came {where}")
        judged: list[tuple[str, float, float]] = []
        if load["rate"] <= JUDGED:
            judged.append(("lateness p99", load["lateness_ms"]["p99"], LATENESS_BAR))
        if load["rate"] == JUDGED:
            judged += [
                ("event to trigger p50", load["trigger_ms"]["p50"], P50_BAR),
                ("event to trigger p99", load["trigger_ms"]["p99"], P99_BAR),
            ]
        said += [
            f"{name} {value:.1f} ms {where}, above {bar:.0f}" for name, value, bar in judged if value > bar
        ]
    return said


# ------------------------------------------------------------------------------------ the load


def _silence(settings: Settings) -> int:
    """Milliseconds from an only order to second_order_due."""
    rule = load_playbook(settings.playbook, settings.model).second_order_due
    assert rule is not None
    return rule.after


async def _load(settings: Settings, events: Sequence[Event]) -> None:
    for spec in (PURCHASES, SUPPORT_TICKETS):
        own = [event for event in events if isinstance(event, Purchase) is (spec is PURCHASES)]
        await load_events(settings, settings.topics.name(spec), own)


async def _caught_up(running: Worker, events: int) -> None:
    """Until the history is folded, and what it had made due is said."""
    said = -1.0

    async def settled() -> bool:
        nonlocal said
        found = await running.read()
        before, said = said, -1.0 if found is None else found["winback_triggers_total"]
        return found is not None and found.folded >= events and said == before

    await until(settled)


async def _play(settings: Settings, rate: int, length: float, bar: Progress, task: TaskID) -> Player:
    """The load, its history of memory out of the garbage collector's way."""
    async with AIOKafkaProducer(
        **client_arguments(settings), enable_idempotence=True, max_batch_size=256 * 1024, linger_ms=0
    ) as client:
        player = Player(settings, client)
        gc.collect()
        gc.freeze()
        async with asyncio.TaskGroup() as group:
            group.create_task(_tick(bar, task, length))
            if rate:
                group.create_task(player.play(rate, length))
        return player


async def _tick(bar: Progress, task: TaskID, seconds: float) -> None:
    for _ in range(round(seconds)):
        await asyncio.sleep(1)
        bar.advance(task)


# ---------------------------------------------------------------------------------- what is read


@asynccontextmanager
async def _reading(settings: Settings) -> AsyncIterator[list[Arrival]]:
    """Triggers as they are read, from the topics' beginning on, until the end of the block."""
    consumer = await start(
        AIOKafkaConsumer(**client_arguments(settings), isolation_level="read_committed"), settings
    )
    topics = [settings.topics.name(spec) for spec in (CHURN_RISK, WIN_BACK)]
    consumer.assign([TopicPartition(topic, n) for topic in topics for n in range(settings.partitions)])
    await consumer.seek_to_beginning()
    arrivals: list[Arrival] = []

    async def read() -> None:
        while True:
            fetched = await consumer.getmany(timeout_ms=1000)
            read_at, at = monotonic(), time.time() * 1000
            arrivals.extend(
                Arrival(record.key, read_at, at) for records in fetched.values() for record in records
            )

    task = asyncio.create_task(read(), name="reader")
    try:
        yield arrivals
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await consumer.stop()


def _in_hand(arrivals: list[Arrival], sent: Mapping[bytes, float], due: Mapping[bytes, float]) -> Any:
    async def whether() -> bool:
        return not outcome(arrivals, sent, due)["missing"]

    return whether


async def _spent(running: Worker, kafka: Kafka, after_seconds: float = 0.0) -> Spent:
    await asyncio.sleep(after_seconds)
    found = await running.read()
    assert found is not None
    return Spent(found.cpu_seconds, kafka.cpu_seconds, found["winback_batches_total"], found.read_at)


# ------------------------------------------------------------------------------------- the command


async def bench(kafka: Kafka, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """All loads, one after the other."""
    with progress_bar() as bar:
        return [await measure(kafka, rate, arguments.seconds, bar) for rate in arguments.rates]


def draw(result: Mapping[str, Any], folder: Path = PICTURES) -> None:
    """docs/pictures/latency.svg and lateness.svg."""
    for name, figure, title in (
        ("latency", "trigger_ms", "From an event to its committed trigger"),
        ("lateness", "lateness_ms", "From the instant of a silence to its committed trigger"),
    ):
        panels = [
            Histogram(
                f"{load['rate']:,} events/s: {load[figure]['count']:,} triggers",
                load[figure]["bins"],
                [(load[figure][of], f"{of} {load[figure][of]:.1f} ms") for of in ("p50", "p99")],
            )
            for load in result["loads"]
            if load[figure]["count"]
        ]
        (folder / f"{name}.svg").write_text(histograms(title, panels, caption(result)), "utf-8")


def table(loads: Sequence[Mapping[str, Any]]) -> str:
    """The figures for people."""
    lines = [
        f"{'milliseconds':<34}{'count':>8}{'p50':>8}{'p90':>8}{'p99':>8}{'p99.9':>8}{'max':>8}",
    ]
    for load in loads:
        for figure, title in (("trigger_ms", "event to trigger"), ("lateness_ms", "lateness of silence")):
            of = load[figure]
            if of["count"]:
                values = "".join(f"{of[name]:>8.1f}" for name in ("p50", "p90", "p99", "p999", "max"))
                where = f"{title}, {load['rate']:,} events/s"
                lines.append(f"{where:<34}{of['count']:>8,}{values}")
    return "\n".join([*lines, *map(_spent_line, loads)])


def _spent_line(load: Mapping[str, Any]) -> str:
    said = f"{load['rate']:,} events/s: "
    if load["rate"]:
        said += f"sent {load['events_per_second']:,.0f}/s, "
        said += f"at most {load['behind_p99_ms']:.1f} ms behind (p99); "
    return said + (
        f"worker {load['worker_cores']:.2f} cores, broker {load['broker_cores']:.2f}; "
        f"{load['transactions_per_second']:,.0f} transactions/s"
    )


def main() -> int:
    """The command; 1 where a bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.latency", description=__doc__.partition("\n")[0])
    parser.add_argument("--rates", type=_rates, default=(10_000, JUDGED, 0), help="events/s, by commas")
    parser.add_argument("--seconds", type=float, default=60.0, help="of each load, after the warm-up")
    options_of_pictures(parser, "the pictures")
    arguments = parser.parse_args()
    result = provenance(arguments.note)
    tell(caption(result))
    with kafka(arguments.bootstrap) as broker:
        result["loads"] = run(bench(broker, arguments))
    if arguments.draw:
        draw(result)
    loads = result["loads"]
    return conclude("latency", result, as_json=arguments.json, table=table(loads), missed=missed(loads))


def _rates(text: str) -> tuple[int, ...]:
    return tuple(int(word) for word in text.split(","))


if __name__ == "__main__":
    enter(main)
