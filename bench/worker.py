"""Purchases a second through one real worker, all rules on, against a real Kafka.

    python -m bench.worker [--events N] [--customers N] [--days N] [--json] [--profile FILE]

The input is made once a run (seeded): purchases of 200 to 300 bytes by customers who buy at random
moments of the stretch of days. The worker is `winback worker` in a process of its own with the event
clock, so what is measured is everything: Kafka, decode, validation, merge, every rule, deadlines,
CloudEvents out, one transaction a batch and partition. Timed from the first to the last record
folded, by the worker's own counter, looked at ten times a second.
"""

import argparse
import asyncio
import os
import random
import resource
import sys
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import aiohttp
import orjson
from prometheus_client.parser import text_string_to_metric_families

from agents.brokers import first_of, for_tests
from agents.brokers.broker import free_ports
from agents.configuration import environment_of
from agents.produce import send_records
from agents.topics import create_topics
from schemas.topics import PURCHASES
from streams.clock import monotonic, wall_ms
from streams.settings import Settings

START = datetime(2026, 1, 1, tzinfo=UTC)
BAR = 50_000
PLAYBOOK = "[rules.silent_for]\nenabled = true\n"
"""The packaged rules, and the one that is off among them."""


def purchases(events: int, customers: int, days: int, seed: int = 1) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values in the order of time."""
    draw = random.Random(seed)
    step = timedelta(days=days) / events
    for number in range(events):
        customer = f"customer-{draw.randrange(customers):07d}"
        body = {
            "id": f"evt-{draw.getrandbits(64):016x}-{number:09d}",
            "customer_id": customer,
            "occurred_at": (START + number * step).isoformat(timespec="milliseconds"),
            "order_id": f"order-{number:09d}",
            "amount_minor": draw.randrange(500, 20_000),
            "currency": "USD",
            "kind": "purchase",
            "channel": "web",
        }
        yield customer.encode(), orjson.dumps(body)


async def measure(settings: Settings, events: int, *, profile: Path | None) -> dict[str, float]:
    """Run the worker over what the topics hold; events/s, CPU seconds a million, triggers, memory."""
    [port] = free_ports(1)
    environment = {**os.environ, **environment_of(settings), "WINBACK_HTTP_PORT": str(port)}
    command = [sys.executable, "-m", "agents", "worker", "--until-done"]
    if profile is not None:
        command = ["py-spy", "record", "-f", "raw", "-r", "200", "-o", str(profile), "--", *command]
    worker = await asyncio.create_subprocess_exec(
        *command, env=environment, stdout=asyncio.subprocess.DEVNULL
    )
    began: float | None = None
    first = last = ended = 0.0
    triggers = 0.0
    async with aiohttp.ClientSession() as session:
        while worker.returncode is None:
            await asyncio.sleep(0.1)  # each look costs the worker some milliseconds
            with suppress(aiohttp.ClientError):
                async with session.get(f"http://127.0.0.1:{port}/metrics") as response:
                    counts = _counts(await response.text())
                folded = counts["winback_records_total"]
                triggers = counts["winback_triggers_total"]
                if folded and began is None:
                    began, first = monotonic(), folded
                if folded > last:
                    last, ended = folded, monotonic()
    # It may have ended before the very last records were seen to be counted.
    if worker.returncode or began is None or last < 0.9 * events:
        raise SystemExit("the worker did not get through")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "events_per_second": (last - first) / (ended - began),
        "cpu_seconds_per_million": (used.ru_utime + used.ru_stime) / events * 1e6,
        "triggers_per_event": triggers / events,
        "peak_megabytes": used.ru_maxrss / 1024,
    }


def _counts(metrics: str) -> dict[str, float]:
    totals = {"winback_records_total": 0.0, "winback_triggers_total": 0.0}
    for family in text_string_to_metric_families(metrics):
        for sample in family.samples:
            if sample.name in totals:
                totals[sample.name] += sample.value
    return totals


async def bench(bootstrap: str, arguments: argparse.Namespace, playbook: Path) -> dict[str, float]:
    """Make topics and input, run the worker, say what it took."""
    name = f"bench-{wall_ms():x}"
    settings = Settings(
        bootstrap=bootstrap,
        application_id=name,
        topic_prefix=f"{name}-",
        playbook=playbook,
        clock="event",
        end_instant=START + timedelta(days=arguments.days),
    )
    await create_topics(settings)
    records = purchases(arguments.events, arguments.customers, arguments.days)
    await send_records(settings, settings.topics.name(PURCHASES), records)
    return await measure(settings, arguments.events, profile=arguments.profile)


def main() -> int:
    """The command; 1 where the bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.worker", description=__doc__.partition("\n")[0])
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--customers", type=int, default=100_000)
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument("--profile", type=Path, help="write collapsed stacks there (needs py-spy)")
    parser.add_argument("--bootstrap", help="a Kafka that runs already")
    arguments = parser.parse_args()
    with TemporaryDirectory() as folder:
        playbook = Path(folder) / "playbook.toml"
        playbook.write_text(PLAYBOOK)
        if arguments.bootstrap:
            result = asyncio.run(bench(arguments.bootstrap, arguments, playbook))
        else:
            with first_of(for_tests(), say=lambda line: print(line, file=sys.stderr)) as bootstrap:
                result = asyncio.run(bench(bootstrap, arguments, playbook))
    if arguments.json:
        print(orjson.dumps(result).decode())
    else:
        print(
            f"{arguments.events:,} purchases of {arguments.customers:,} customers over {arguments.days} days"
        )
        print(f"  {result['events_per_second']:>10,.0f} events/s (bar: {BAR:,})")
        print(f"  {result['cpu_seconds_per_million']:>10.1f} CPU seconds a million")
        print(f"  {result['triggers_per_event']:>10.3f} triggers an event")
        print(f"  {result['peak_megabytes']:>10.0f} MB at most")
    return result["events_per_second"] < BAR


if __name__ == "__main__":
    sys.exit(main())
