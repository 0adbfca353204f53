"""`make bench`: every engine at every job, in turn, on one real Kafka and one input.

    python -m bench [--quick] [--runs N] [--events N] [--customers N] [--jobs total,retention,drain]
                    [--only ENGINE,ENGINE] [--bootstrap HOST:PORT] [--into FOLDER]

Prints a table a job, and writes var/bench/JOB.json for machines and var/bench/bench.svg for people.
The exit code is 1 where an engine failed: ended with an error, or came to other results than it has
to. An engine that cannot be had here is named with the reason, and is no failure. Nothing is judged.
"""

import argparse
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, get_args

from msgspec.structs import replace

from bench.bars import picture
from bench.catalogue import ENGINES, Engine, Job, forget_settings
from bench.children import run
from bench.command import bootstrap_option, enter, gathering, kafka, say
from bench.input import Size
from bench.kept import KEPT, keep
from bench.provenance import provenance
from bench.report import Report
from bench.runs import Bench, Plan
from bench.table import page

RUNS: Final = 3
SLOW_SHARE: Final = 0.03
LEAST_SLOW: Final = 2_000
"""Of the input, and purchases at least: what engines get that would need minutes for all of it."""
QUICK: Final = Size(events=20_000, customers=2_000)


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
    for job in dict.fromkeys(result.job for result in report.results):
        keep(job, replace(report, results=report.of(job)), into)
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
    bootstrap_option(parser, "; its CPU seconds then stay unknown")
    parser.add_argument("--into", type=Path, help="where the files go: var/bench, or var/bench/quick")
    arguments = parser.parse_args(words)
    if arguments.into is None:
        # A glance at whether it runs shall not throw away what took an hour.
        arguments.into = KEPT / "quick" if arguments.quick else KEPT
    return arguments


def main() -> int:
    """The command."""
    arguments = arguments_of(sys.argv[1:])
    plan = plan_of(arguments)
    forget_settings()
    made = provenance()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="winback-bench-")))
        broker = stack.enter_context(kafka(arguments.bootstrap, say, gathering()))
        bench = Bench(broker.bootstrap, plan, folder, say, broker_processes=broker.processes)

        def report() -> Report:
            return Report(
                commit=made["commit"],
                machine=made["machine"],
                broker=broker.title,
                load=made["load"],
                events=plan.size.events,
                customers=plan.size.customers,
                value_bytes=bench.value_bytes,
                results=bench.results,
            )

        try:
            run(bench.run())
        except (KeyboardInterrupt, SystemExit):
            if bench.results:
                say("broken off; here is what was measured until then, and no file is written")
                print(page(report()), end="")
            raise
    write(report(), arguments.into)
    print(page(report()), end="")
    return int(any(result.failed for result in bench.results))


if __name__ == "__main__":
    enter(main)
