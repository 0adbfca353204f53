"""`make soak FAULTS=50 SEEDS=1,2,3,4,5`: many random faults, and a table of what they did.

A seed is played in rounds until so many faults have happened: bounded replays (round.py), then a round
on the wall clock (live.py), and so on, in turn. Each is compared with the pure fold by itself. One file a
seed is written to var/soak. The exit code is 1 where anything was lost, doubled or different, where
something hung, or where a worker ended with a stack trace.
"""

import argparse
import asyncio
import json
import secrets
import sys
from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from itertools import chain, islice
from pathlib import Path
from statistics import median
from typing import Final

from rich.console import Console
from rich.table import Table

from agents.clients import silent_clients
from schemas.errors import BrokerUnreachable
from streams.playbook_file import load_playbook
from tests.kafka.faults.accidents import KINDS, LIVE_KINDS
from tests.kafka.faults.cluster import Cluster, cluster_of
from tests.kafka.faults.live import play_live
from tests.kafka.faults.round import Report, Size, Tell, play
from tests.kafka.faults.schedule import schedule
from tests.kafka.faults.verdict import SHOWN

FAULTS_A_ROUND: Final = 10
LIVE_EVERY: Final = 2
"""Every second round is one on the wall clock."""
LIVE_FIRST: Final = ("step_clock", "forget")
"""Each of those begins with what has most to tell there."""
IDLE_ROUNDS: Final = 3
"""So many rounds in a row in which no fault happened end the soak: the kinds chosen cannot happen."""


async def soak(
    cluster: Cluster, seed: int, faults: int, kinds: Sequence[str], tell: Tell, size: Size
) -> list[Report]:
    """The rounds of one seed, until so many faults have happened or a round was bad."""
    replayed = [kind for kind in kinds if kind in KINDS]
    plan = schedule(seed, replayed, size.slots)
    live_plan = schedule(seed, kinds, size.slots)
    first = [kind for kind in LIVE_FIRST if kind in kinds]
    openings = schedule(seed, first, size.slots)
    playbook = load_playbook(None, None)
    reports: list[Report] = []
    idle = 0
    while idle < IDLE_ROUNDS and all(report.good for report in reports):
        number = len(reports) + 1
        left = faults - sum(report.struck for report in reports)
        if left <= 0:
            break
        name = f"soak-{seed}-{number}-{secrets.token_hex(3)}"
        drawn, wanted = 1000 * seed + number, min(left, FAULTS_A_ROUND)
        if replayed and number % LIVE_EVERY:
            report = await play(
                cluster, name, playbook, plan, seed=drawn, faults=wanted, size=size, tell=tell
            )
        else:
            report = await play_live(
                cluster,
                name,
                chain(islice(openings, len(first)), live_plan),
                seed=drawn,
                faults=wanted,
                size=size,
                tell=tell,
            )
        idle = 0 if report.struck else idle + 1
        reports.append(report)
        tell(_summary(seed, number, report))
    return reports


def _summary(seed: int, number: int, report: Report) -> str:
    verdict = report.verdict
    found = "equal to the pure fold" if report.good else "NOT EQUAL TO THE PURE FOLD"
    return (
        f"seed {seed}, round {number}: {report.struck} faults in {report.seconds:.0f} s; "
        f"{report.events} records, {verdict.triggers} triggers, {verdict.dead_letters} dead letters, "
        f"{verdict.erasures} erasures, {verdict.customers} customers: {found}"
    )


def table_of(results: dict[int, list[Report]]) -> Table:
    """Seed by seed and kind by kind: how often, how long until served again, what was lost or doubled."""
    table = Table(
        title="Faults, and what they did",
        caption="Differences of a kind: those of all rounds in which it struck.",
    )
    for name in ("seed", "fault", "times", "served again, s (median, most)"):
        table.add_column(name, justify="left" if name == "fault" else "right")
    for name in ("lost", "doubled", "state differences", "other differences"):
        table.add_column(name, justify="right")
    for seed, reports in results.items():
        served: dict[str, list[float]] = defaultdict(list)
        struck: dict[str, list[Report]] = defaultdict(list)
        for report in reports:
            for fault in report.faults:
                if fault.struck:
                    struck[fault.kind].append(report)
                    if fault.served is not None:
                        served[fault.kind].append(fault.served)
        for kind in sorted(struck):
            waits = served[kind]
            shown = f"{median(waits):.1f}, {max(waits):.1f}" if waits else "-"
            rounds = [report for report in reports if report in struck[kind]]
            table.add_row(str(seed), kind, str(len(struck[kind])), shown, *_differences(rounds))
        table.add_row(
            str(seed),
            "all",
            str(sum(map(len, struck.values()))),
            "",
            *_differences(reports),
            style="bold" if all(report.good for report in reports) else "bold red",
            end_section=True,
        )
    return table


def _differences(reports: Sequence[Report]) -> list[str]:
    """Lost, doubled, state, and all others, as text."""
    verdicts = [report.verdict for report in reports]
    others = (
        each.strange
        + each.altered
        + each.health_differences
        + each.dead_letters_lost
        + each.dead_letters_doubled
        + each.receipt_differences
        + each.unexpected_uncommitted
        for each in verdicts
    )
    sums = (
        sum(each.lost for each in verdicts),
        sum(each.doubled for each in verdicts),
        sum(each.state_differences for each in verdicts),
        sum(others),
    )
    return [str(each) for each in sums]


async def run(arguments: argparse.Namespace) -> int:
    """Play all seeds on one cluster."""
    console = Console(width=None if sys.stdout.isatty() else 120)
    tell: Tell = partial(console.print, markup=False, highlight=False, soft_wrap=True)
    kinds = arguments.kinds.split(",") if arguments.kinds else list(LIVE_KINDS)
    if unknown := set(kinds) - LIVE_KINDS.keys():
        tell(f"no such fault: {', '.join(sorted(unknown))}; there are: {', '.join(LIVE_KINDS)}")
        return 2
    results: dict[int, list[Report]] = {}
    folder = Path(arguments.output)
    folder.mkdir(parents=True, exist_ok=True)
    size = Size()
    with silent_clients(), cluster_of(arguments.brokers, size.slots) as brokers:
        for seed in [int(each) for each in arguments.seeds.split(",")]:
            async with brokers.open_roads() as cluster:
                results[seed] = await soak(cluster, seed, arguments.faults, kinds, tell, size)
            rounds = [report.as_json() for report in results[seed]]
            written = {"seed": seed, "brokers": arguments.brokers, "rounds": rounds}
            (folder / f"seed-{seed}.json").write_text(json.dumps(written, indent=1), encoding="utf-8")
    console.print(table_of(results))
    for seed, reports in results.items():
        for report in reports:
            for line in [report.hung, *report.verdict.examples, *report.strange_endings[:SHOWN]]:
                if line:
                    tell(f"seed {seed}, {report.application}: {line}")
    short = any(sum(report.struck for report in each) < arguments.faults for each in results.values())
    return int(short or not all(report.good for each in results.values() for report in each))


def main(words: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="soak", description="Random faults against real workers.")
    parser.add_argument("--faults", type=int, default=50, help="how many, for each seed")
    parser.add_argument("--seeds", default="1", help="separated by commas")
    parser.add_argument("--brokers", type=int, default=1, help="1, or 3 to lose leaders")
    parser.add_argument("--kinds", default="", help=f"of {', '.join(LIVE_KINDS)}; all without it")
    parser.add_argument("--output", default="var/soak", help="the folder for one JSON file a seed")
    try:
        return asyncio.run(run(parser.parse_args(words)))
    except BrokerUnreachable as error:
        sys.stderr.write(f"{error}\n")
        return 3
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
