"""How long a worker takes to leave under full load, and how long its partitions wait after a kill -9.

    python -m bench.accidents [--customers N] [--events N] [--session S] [--runs N] [--json]

Purchases are put in once. Each run is an application of its own, which replays them: as soon as so
many customers are known, and while there is more to fold, either its one worker is asked to end
(SIGTERM, until it has exited), or one of its two is killed (kill -9, until something has been committed
again in every partition). Everything is measured from outside, on a real Kafka.
"""

import argparse
import asyncio
import statistics
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta

import orjson
from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

from agents.produce import send_records
from agents.topics import create_topics
from bench.children import run
from bench.command import enter, kafka, options
from bench.input import START, Size, purchases
from bench.installation import installation
from bench.workers import Worker, until, worker
from schemas.topics import CHANGELOG, PURCHASES
from streams.clock import monotonic, wall_ms
from streams.settings import Settings
from streams.tables import newest_position

LEAVE_BAR = 10.0
"""Seconds from SIGTERM to the exit."""
SERVED_BAR = 5.0
"""Seconds after the session's time-out in which every partition is served again."""
DAYS = 90
PATIENCE = 120.0


@asynccontextmanager
async def under_load(settings: Settings, workers: int, customers: int) -> AsyncIterator[list[Worker]]:
    """So many workers of a new application, when they know so many customers."""
    await create_topics(settings)
    async with AsyncExitStack() as stack:
        running = [await stack.enter_async_context(worker(settings)) for _ in range(workers)]

        async def known() -> bool:
            found = [await each.read() for each in running]
            return sum(each["winback_customers"] for each in found if each is not None) >= customers

        await until(known, PATIENCE)
        yield running


async def left(settings: Settings, events: int) -> int:
    """How many records have not been folded."""
    topic, folded = settings.topics.name(CHANGELOG), 0
    for number in range(settings.partitions):
        record = (await newest_position(settings, topic, number)).partition_record
        folded += record.sources[0].next_offset if record is not None else 0
    return events - folded


async def leave(settings: Settings, customers: int, events: int) -> dict[str, float]:
    """SIGTERM to one worker under full load, until it has exited."""
    async with under_load(settings, 1, customers) as [one]:
        began = monotonic()
        one.process.terminate()
        async with asyncio.timeout(PATIENCE):
            code = await one.process.wait()
        seconds = monotonic() - began
    unfolded = await left(settings, events)
    if code or not unfolded:
        raise SystemExit(f"exit code {code}, {unfolded} records left to fold: that was no load")
    return {"seconds": seconds, "records_left": unfolded}


async def kill(settings: Settings, customers: int, events: int) -> dict[str, float]:
    """kill -9 of one worker of two, until every partition has something new, for committed readers."""
    topic = settings.topics.name(CHANGELOG)
    places = {TopicPartition(topic, number) for number in range(settings.partitions)}
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.bootstrap, isolation_level="read_committed")
    async with under_load(settings, 2, customers) as [victim, _]:
        await consumer.start()
        try:
            consumer.assign(list(places))
            await consumer.seek_to_end()
            unfolded = await left(settings, events)
            killed_at, began = wall_ms(), monotonic()
            victim.process.kill()
            unserved = set(places)
            async with asyncio.timeout(PATIENCE):
                while unserved:
                    for place, records in (await consumer.getmany(timeout_ms=50)).items():
                        if any(record.timestamp > killed_at for record in records):
                            unserved.discard(place)
                            consumer.pause(place)
            seconds = monotonic() - began
        finally:
            await consumer.stop()
    return {"seconds": seconds, "records_left": unfolded}


async def bench(bootstrap: str, arguments: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Put the purchases in, then run each accident several times."""
    settings = await installation(
        bootstrap,
        clock="event",
        end_instant=START + timedelta(days=DAYS),
        session_timeout_seconds=arguments.session,
        log_level="error",
    )
    # Drawn of some more, so many are known long before the end.
    records = purchases(Size(arguments.events, arguments.customers * 5 // 4, DAYS))
    await send_records(settings, settings.topics.name(PURCHASES), records)
    results: dict[str, dict[str, float]] = {}
    for accident in (leave, kill):
        runs = []
        for number in range(arguments.runs):
            mine = settings.model_copy(
                update={"application_id": f"{settings.application_id}-{accident.__name__}-{number}"}
            )
            runs.append(await accident(mine, arguments.customers, arguments.events))
        seconds = [run["seconds"] for run in runs]
        results[accident.__name__] = {
            "median_seconds": statistics.median(seconds),
            "slowest_seconds": max(seconds),
            "bar_seconds": LEAVE_BAR if accident is leave else arguments.session + SERVED_BAR,
            "least_records_left": min(run["records_left"] for run in runs),
        }
    return results


def main() -> int:
    """The command; 1 where a bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.accidents", description=__doc__.partition("\n")[0])
    parser.add_argument("--customers", type=int, default=100_000)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--session", type=float, default=10.0, help="the session's time-out in seconds")
    parser.add_argument("--runs", type=int, default=3)
    options(parser)
    arguments = parser.parse_args()
    with kafka(arguments.bootstrap) as broker:
        results = run(bench(broker.bootstrap, arguments))
    if arguments.json:
        print(orjson.dumps(results).decode())
    else:
        print(f"{arguments.customers:,} customers known, under full load; {arguments.runs} runs")
        labels = {"leave": "SIGTERM to exit", "kill": "kill -9 to all served"}
        for accident, result in results.items():
            print(
                f"  {labels[accident]:22}{result['median_seconds']:>7.2f} s at the median, "
                f"{result['slowest_seconds']:.2f} at most (bar: {result['bar_seconds']:.0f}); "
                f"{result['least_records_left']:,.0f} records were left to fold"
            )
    return int(any(result["slowest_seconds"] > result["bar_seconds"] for result in results.values()))


if __name__ == "__main__":
    enter(main)
