"""Purchases a second through one real worker, all rules on, against a real Kafka.

    python -m bench.worker [--events N] [--customers N] [--days N] [--json] [--profile FILE]

It is the line `winback` of `make bench`'s job *retention*, alone: bench/input.py makes the purchases,
bench/measure.py says what is timed. The worker is `winback worker` in a process of its own with the
event clock, so what is measured is everything: Kafka, decode, validation, merge, every rule,
deadlines, CloudEvents out, one transaction a batch and partition. With --profile (which needs py-spy)
the CPU seconds and the memory are the profiler's.
"""

import argparse
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import orjson

from bench.__main__ import chosen
from bench.catalogue import Command, Engine, Order, forget_settings
from bench.children import run
from bench.command import bootstrap_option, enter, json_option, kafka, say
from bench.input import Size
from bench.provenance import caption, provenance
from bench.report import Result
from bench.runs import Bench, Plan
from bench.table import WINBACK

RATE_BAR = 75_000
"""Events/s at least."""
CPU_BAR = 16.0
"""CPU seconds a million events, at most."""


def figures(result: Result) -> dict[str, float]:
    """What the run took, by name."""
    [rate] = result.rates
    return {
        "events_per_second": rate,
        "cpu_seconds_per_million": result.cpu_per_million,
        "broker_cpu_seconds_per_million": result.broker_cpu_per_million,
        "triggers_per_event": result.triggers / result.events,
        "peak_megabytes": result.peak_megabytes,
    }


def profiled(engine: Engine, into: Path | None) -> Engine:
    """The engine under a profiler that writes collapsed stacks; as it is where none are wanted."""
    if into is None:
        return engine
    plain: Callable[[Order], Command] = engine.command
    profiler = ["py-spy", "record", "-f", "raw", "-r", "200", "-o", str(into), "--"]

    def command(order: Order) -> Command:
        found = plain(order)
        return replace(found, words=[*profiler, *found.words])

    return replace(engine, command=command)


def main() -> int:
    """The command; 1 where a bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.worker", description=__doc__.partition("\n")[0])
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--customers", type=int, default=100_000)
    parser.add_argument("--days", type=int, default=90)
    json_option(parser)
    parser.add_argument("--profile", type=Path, help="write collapsed stacks there (needs py-spy)")
    bootstrap_option(parser)
    arguments = parser.parse_args()
    size = Size(arguments.events, arguments.customers, arguments.days)
    [engine] = chosen(WINBACK)
    plan = Plan([profiled(engine, arguments.profile)], ["retention"], size, slow=size, runs=1)
    forget_settings()
    say(caption(provenance()))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        broker = stack.enter_context(kafka(arguments.bootstrap, say))
        bench = Bench(broker.bootstrap, plan, folder, say, broker_processes=broker.processes)
        run(bench.run())
    [result] = bench.results
    if result.failed:
        raise SystemExit(f"the worker did not get through: {result.failed}")
    found = figures(result)
    if arguments.json:
        print(orjson.dumps(found).decode())
    else:
        print(f"{size.events:,} purchases of {size.customers:,} customers over {size.days} days")
        print(f"  {found['events_per_second']:>10,.0f} events/s (bar: {RATE_BAR:,})")
        print(f"  {found['cpu_seconds_per_million']:>10.1f} CPU seconds a million (bar: {CPU_BAR:g})")
        print(f"  {found['broker_cpu_seconds_per_million']:>10.1f} of the broker's")
        print(f"  {found['triggers_per_event']:>10.3f} triggers an event")
        print(f"  {found['peak_megabytes']:>10.0f} MB at most")
    return int(found["events_per_second"] < RATE_BAR or found["cpu_seconds_per_million"] > CPU_BAR)


if __name__ == "__main__":
    enter(main)
