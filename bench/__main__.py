"""`make bench`: every engine at every job, in turn, on one real Kafka and one input.

    python -m bench [--quick] [--runs N] [--events N] [--customers N] [--jobs total,retention,drain]
                    [--only ENGINE,ENGINE] [--bootstrap HOST:PORT] [--into FOLDER]

Prints a table a job, and writes var/bench/JOB.json for machines and var/bench/bench.svg for people.
The exit code is 1 where an engine failed: ended with an error, or came to other results than it has
to. An engine that cannot be had here is named with the reason, and is no failure. Nothing is judged.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, get_args

import msgspec

from agents.brokers import first_of, for_tests
from agents.clients import quiet_client_logs
from bench.bars import picture
from bench.catalogue import ENGINES, Engine, Job, forget_settings
from bench.input import Size
from bench.programs import PLACE
from bench.report import Report, commit, machine
from bench.runs import Bench, Plan
from bench.table import page
from bench.usage import descendants
from schemas.errors import WinbackError

RUNS: Final = 3
SLOW_SHARE: Final = 0.03
LEAST_SLOW: Final = 2_000
"""Of the input, and purchases at least: what engines get that would need minutes for all of it."""
QUICK: Final = Size(events=20_000, customers=2_000)


def say(line: str) -> None:
    """Progress, on stderr."""
    print(f"{datetime.now(UTC):%H:%M:%S} {line}", file=sys.stderr, flush=True)


def plan_of(arguments: argparse.Namespace) -> Plan:
    """What is to be run."""
    size = QUICK if arguments.quick else Size(events=arguments.events, customers=arguments.customers)
    return Plan(
        engines=chosen(arguments.only),
        jobs=chosen_jobs(arguments.jobs),
        size=size,
        slow=Size(
            events=max(min(LEAST_SLOW, size.events), round(size.events * SLOW_SHARE)),
            customers=size.customers,
            days=size.days,
        ),
        runs=1 if arguments.quick else arguments.runs,
    )


def chosen(names: str) -> Sequence[Engine]:
    """The engines of these names, separated by commas; all for none."""
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    known = [engine.name for engine in ENGINES]
    if unknown := [name for name in wanted if name not in known]:
        raise SystemExit(f"no engine is called {', '.join(unknown)}; there are: {', '.join(known)}")
    return [engine for engine in ENGINES if not wanted or engine.name in wanted]


def chosen_jobs(names: str) -> Sequence[Job]:
    """The jobs of these names, separated by commas."""
    known = get_args(Job)
    wanted = [name.strip() for name in names.split(",")]
    if unknown := [name for name in wanted if name not in known]:
        raise SystemExit(f"no job is called {', '.join(unknown)}; there are: {', '.join(known)}")
    return [job for job in known if job in wanted]


def write(report: Report, into: Path) -> None:
    """A file a job, and the picture."""
    into.mkdir(parents=True, exist_ok=True)
    for job in dict.fromkeys(result.job for result in report.results):
        content = msgspec.structs.replace(report, results=report.of(job))
        (into / f"{job}.json").write_bytes(msgspec.json.format(msgspec.json.encode(content)) + b"\n")
    (into / "bench.svg").write_text(picture(report), encoding="utf-8")


def arguments_of(words: Sequence[str]) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a small input, one run: does it all run?")
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--events", type=int, default=Size().events)
    parser.add_argument("--customers", type=int, default=Size().customers)
    parser.add_argument("--jobs", default=",".join(get_args(Job)))
    parser.add_argument("--only", default="", help="these engines alone")
    parser.add_argument("--bootstrap", help="a Kafka that runs already; its CPU seconds then stay unknown")
    parser.add_argument("--into", type=Path, help="where the files go: var/bench, or var/bench/quick")
    arguments = parser.parse_args(words)
    if arguments.into is None:
        # A glance at whether it runs shall not throw away what took an hour.
        arguments.into = PLACE / "quick" if arguments.quick else PLACE
    return arguments


def main(words: Sequence[str]) -> int:
    """The command."""
    arguments = arguments_of(words)
    plan = plan_of(arguments)
    forget_settings()
    quiet_client_logs()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="winback-bench-")))
        broker, title = arguments.bootstrap, "a given Kafka"
        # As things stand now: whoever goes on working meanwhile changes none of it.
        load, measured = os.getloadavg()[0], commit()
        if broker is None:
            told: list[str] = []
            broker = stack.enter_context(first_of(for_tests(), say=told.append))
            say(told[-1])
            title = told[-1].removeprefix("broker: ").partition(" at ")[0]
        bench = Bench(broker, plan, folder, say, broker_processes=descendants(os.getpid()))
        results = asyncio.run(bench.run())
        report = Report(
            commit=measured,
            machine=machine(),
            broker=title,
            load=load,
            events=plan.size.events,
            customers=plan.size.customers,
            value_bytes=bench.value_bytes,
            results=results,
        )
    write(report, arguments.into)
    print(page(report), end="")
    return int(any(result.failed for result in results))


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except WinbackError as error:
        raise SystemExit(f"error: {error}") from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
