"""What a worker costs as its customers grow in number, asleep and awake; and two workers against one.

    python -m bench.scale [--sizes 10000,100000,1000000,3000000] [--events N] [--json] [--draw]

For each size the state of so many customers of `winback simulate`'s default population is written into
the changelog (bench/crowd.py: folded by the core, not through a worker, which would take a day), and
what they do next into the three topics, at the same rate a customer whatever their number. Then a real
worker recovers the one and folds the other, with the event clock. Cost is the worker's CPU time from
the end of its recovery to its last record. Asleep: a worker on the wall clock beside topics in which
nothing happens, with a million deadlines before it and with none. Two workers share what
the crowd of 100,000 does, all of it there before they start.
"""

import argparse
import asyncio
import statistics
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from rich.progress import Progress

from agents.console import progress_bar
from agents.produce import send_records
from bench.children import run
from bench.command import Kafka, conclude, enter, gathering, kafka, options_of_pictures, tell
from bench.crowd import FUTURE_DAYS, Member, goes_on, sample, write
from bench.installation import installation
from bench.kept import PICTURES, keep
from bench.pictures import Curve, curves
from bench.provenance import caption, provenance
from bench.workers import LOOK_SECONDS, Reading, Worker, worker
from schemas.instants import DAY_MS, instant
from schemas.topics import SOURCES
from streams.clock import wall_ms
from streams.core.playbook import Playbook
from streams.playbook_file import load_playbook
from streams.settings import Settings

SIZES = (10_000, 100_000, 1_000_000, 3_000_000)
COST_BAR = 1.3
"""The cost of an event at the largest of SIZES, as a multiple of that at 100,000."""
MEMORY_BAR = 0.8
"""GB, of a worker with a million customers."""
ASLEEP = 1_000_000
ASLEEP_BAR = 0.01
"""Of one core: what so many sleeping deadlines may take more than none."""
TWO_BAR = 1.1
"""CPU seconds an event of two workers, as a multiple of one's."""
REPEATED = 100_000
"""The size that others are compared with. Up to here a run is short, and done several times."""
SETTLE_SECONDS = 10.0


# ------------------------------------------------------------------------------------- awake


async def prepared(
    bootstrap: str, members: Sequence[Member], end: int, customers: int, events: int
) -> tuple[Settings, int]:
    """An installation whose changelog holds a crowd as of `end`, and whose topics what it does next; how
    many events that are."""
    until = instant(end + (FUTURE_DAYS + 1) * DAY_MS)
    settings = await installation(bootstrap, clock="event", end_instant=until, log_level="error")
    await write(settings, members, customers, end)
    logs: list[list[tuple[bytes, bytes]]] = [[] for _ in SOURCES]
    for place, key, value in goes_on(members, customers, events):
        logs[place].append((key, value))
    sent = sum(
        [
            await send_records(settings, settings.topics.name(spec), log)
            for spec, log in zip(SOURCES, logs, strict=True)
        ]
    )
    return settings, sent


async def awake(
    bootstrap: str, members: Sequence[Member], end: int, customers: int, events: int
) -> dict[str, float]:
    """One size: recovery, memory, and the cost of an event."""
    settings, sent = await prepared(bootstrap, members, end, customers, events)
    async with worker(settings) as running:
        [(first, last)] = await folded_by([running], sent)
    if first.folded == last.folded:
        raise SystemExit(f"{sent:,} events were folded before the first look: give more --events")
    return {
        "customers": customers,
        "events": sent,
        "recovery_seconds": first["winback_recovery_seconds_sum"] / settings.partitions,
        "megabytes": first.megabytes,
        "megabytes_after": last.megabytes,
        "cpu_seconds_per_million": (last.cpu_seconds - first.cpu_seconds)
        / (last.folded - first.folded)
        * 1e6,
        "events_per_second": (last.folded - first.folded) / (last.read_at - first.read_at),
        "triggers_per_event": last["winback_triggers_total"] / sent,
        "deadlines": last["winback_deadlines_pending"],
    }


async def folded_by(workers: Sequence[Worker], events: int) -> list[tuple[Reading, Reading]]:
    """Of each worker the first reading after its recovery, and the one at which all was folded."""
    first: dict[Worker, Reading] = {}
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        found = {each: await each.read() for each in workers}
        for each, reading in found.items():
            if reading is not None and reading["winback_recovery_seconds_count"]:
                first.setdefault(each, reading)
        if sum(reading.folded for reading in found.values() if reading is not None) >= events:
            return [(first[each], reading) for each, reading in found.items() if reading is not None]


async def empty_megabytes(bootstrap: str) -> float:
    """Of a worker without customers."""
    async with worker(await installation(bootstrap, log_level="error")) as running:
        return (await running.ready()).megabytes


# ------------------------------------------------------------------------------------- asleep


async def asleep(
    bootstrap: str, members: Sequence[Member], end: int, customers: int, seconds: float
) -> tuple[float, float]:
    """The share of a core that a worker takes which has nothing to do, and its megabytes: nothing is
    fetched, so they are those of its customers alone.

    members: as of `end`, an instant in the future: the clock does not reach their deadlines.
    """
    settings = await installation(bootstrap, log_level="error")
    if customers:
        await write(settings, members, customers, end)
    async with worker(settings) as running:
        await running.ready()
        await asyncio.sleep(SETTLE_SECONDS)
        before = await running.ready()
        await asyncio.sleep(seconds)
        after = await running.ready()
    if after["winback_deadlines_pending"] < 0.5 * customers or after["winback_triggers_total"]:
        raise SystemExit("the deadlines were not asleep")
    return (after.cpu_seconds - before.cpu_seconds) / (after.read_at - before.read_at), after.megabytes


# ------------------------------------------------------------------------------- two against one


async def together(
    kafka: Kafka, members: Sequence[Member], end: int, workers: int, events: int
) -> dict[str, float]:
    """So many workers on one crowd; CPU seconds of all of them together, and the broker's."""
    settings, sent = await prepared(kafka.bootstrap, members, end, REPEATED, events)
    async with AsyncExitStack() as stack:
        running = [await stack.enter_async_context(worker(settings)) for _ in range(workers)]
        broker_before = kafka.cpu_seconds
        readings = await folded_by(running, sent)
        broker_after = kafka.cpu_seconds
    folded = sum(last.folded - first.folded for first, last in readings)
    spent = sum(last.cpu_seconds - first.cpu_seconds for first, last in readings)
    return {
        "workers": workers,
        "smallest_share": min(last.folded for _, last in readings) / sent,
        "cpu_seconds_per_million": spent / folded * 1e6,
        "broker_cpu_seconds_per_million": (broker_after - broker_before) / sent * 1e6,
    }


# ------------------------------------------------------------------------------------ the command


def median(runs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Of each figure."""
    return {figure: statistics.median(run[figure] for run in runs) for figure in runs[0]}


def missed(result: Mapping[str, Any]) -> list[str]:
    """Each bar that was not held, in words; what was not measured is not judged."""
    sizes = {size["customers"]: size for size in result["sizes"]}
    said = []
    if (ratio := cost_ratio(sizes)) is not None and ratio > COST_BAR:
        said.append(f"an event costs {ratio:.2f} times what it costs with 100,000, above {COST_BAR}")
    if ASLEEP in sizes and sizes[ASLEEP]["megabytes"] > 1000 * MEMORY_BAR:
        said.append(f"{sizes[ASLEEP]['megabytes']:,.0f} MB with a million customers, above {MEMORY_BAR} GB")
    if (idle := result.get("asleep")) and idle["share"] - idle["empty_share"] > ASLEEP_BAR:
        said.append(f"sleeping deadlines take {idle['share'] - idle['empty_share']:.1%} of a core")
    if crews := result.get("crews"):
        one, two = (crew["cpu_seconds_per_million"] for crew in crews)
        if two > TWO_BAR * one:
            said.append(f"two workers take {two / one:.2f} times the CPU time of one, above {TWO_BAR}")
    return said


def cost_ratio(sizes: Mapping[int, Mapping[str, float]]) -> float | None:
    """The cost of an event at the largest size, as a multiple of that at 100,000; None without both."""
    if REPEATED not in sizes or max(sizes) <= REPEATED:
        return None
    dear, cheap = sizes[max(sizes)], sizes[REPEATED]
    return dear["cpu_seconds_per_million"] / cheap["cpu_seconds_per_million"]


_COLUMNS = (
    *("customers", "events", "CPU s/million", "events/s", "triggers/event"),
    *("recovery s", "MB", "bytes each"),
)


def table(result: Mapping[str, Any]) -> str:
    """The figures for people."""
    lines = []
    if result["sizes"]:
        fetched = (
            f"fetches of at most {result['fetch_max_records']:,} records and batches of at most "
            f"{result['batch_max_records']:,} records a partition"
        )
        lines.append(f"median state {result['median_state_bytes']:,.0f} bytes; {fetched}")
        lines.append("".join(f"{column:>15}" for column in _COLUMNS))
    for size in result["sizes"]:
        each = (size["megabytes"] - result["empty_megabytes"]) * 1e6 / size["customers"]
        lines.append(
            f"{size['customers']:>15,.0f}{size['events']:>15,.0f}{size['cpu_seconds_per_million']:>15.1f}"
            f"{size['events_per_second']:>15,.0f}{size['triggers_per_event']:>15.3f}"
            f"{size['recovery_seconds']:>15.2f}{size['megabytes']:>15,.0f}{each:>15,.0f}"
        )
    if (ratio := cost_ratio({size["customers"]: size for size in result["sizes"]})) is not None:
        lines.append(f"an event at the largest costs {ratio:.2f} times that at 100,000 (bar: {COST_BAR})")
    if idle := result.get("asleep"):
        lines.append(
            f"idle: {idle['share']:.2%} of a core with {idle['customers']:,} customers asleep, "
            f"{idle['empty_share']:.2%} with none (bar: {ASLEEP_BAR:.0%} more)"
            + (f"; {idle['megabytes']:,.0f} MB" if "megabytes" in idle else "")
        )
    lines += [
        f"{crew['workers']:.0f} worker(s): {crew['cpu_seconds_per_million']:.1f} CPU s/million, the broker "
        f"{crew['broker_cpu_seconds_per_million']:.1f}; the smallest share of the records "
        f"{crew['smallest_share']:.0%}"
        for crew in result.get("crews", ())
    ]
    return "\n".join(lines)


def draw(result: Mapping[str, Any], folder: Path = PICTURES) -> None:
    """docs/pictures/scale.svg."""

    def points(figure: str, unit: float = 1.0) -> list[tuple[float, float]]:
        return [(size["customers"], size[figure] * unit) for size in result["sizes"]]

    costs = points("cpu_seconds_per_million")
    allowed = [(x, y * COST_BAR) for x, y in costs if x == REPEATED]
    bar = [(x, allowed[0][1]) for x, _ in costs if x >= REPEATED] if allowed else []
    panels = [
        Curve("CPU time of an event, microseconds (dashed: 1.3 times that at 100,000)", costs, bar),
        Curve("Memory of the worker after recovery, GB", points("megabytes", 1e-3)),
        Curve("Recovery, seconds", points("recovery_seconds")),
    ]
    picture = curves("By number of customers", panels, caption(result))
    (folder / "scale.svg").write_text(picture, encoding="utf-8")


async def bench(kafka: Kafka, arguments: argparse.Namespace, made: Mapping[str, Any]) -> dict[str, Any]:
    """Everything, one after the other. made: the provenance of it all."""
    bootstrap = kafka.bootstrap
    playbook = load_playbook(None, None)
    today = wall_ms() // DAY_MS * DAY_MS
    result: dict[str, Any] = {
        **made,
        **{name: Settings.model_fields[name].default for name in ("fetch_max_records", "batch_max_records")},
        "sizes": [],
        "crews": [],
    }
    with progress_bar() as bar:
        if arguments.sizes:
            # What is to come must have happened by now: no event is dated after its own record.
            end = today - (FUTURE_DAYS + 2) * DAY_MS
            members = await _told(bar, playbook, end)
            result["median_state_bytes"] = statistics.median(len(member.state) for member in members)
            result["empty_megabytes"] = await empty_megabytes(bootstrap)
            for customers in arguments.sizes:
                runs = []
                for _ in bar.track(
                    range(arguments.runs if customers <= REPEATED else 1), description=f"{customers:,}"
                ):
                    runs.append(await awake(bootstrap, members, end, customers, arguments.events))  # noqa: PERF401
                result["sizes"].append(median(runs))
                keep("scale", result)  # what may take an hour is not lost with its last minute
        if arguments.asleep:
            end = today + 2 * DAY_MS
            members = await _told(bar, playbook, end)
            shares = []
            for customers in bar.track((0, arguments.asleep), description="asleep"):
                shares.append(await asleep(bootstrap, members, end, customers, arguments.seconds))  # noqa: PERF401
            result["asleep"] = {
                "customers": arguments.asleep,
                "empty_share": shares[0][0],
                "share": shares[1][0],
                "megabytes": shares[1][1],
            }
        if arguments.together:
            end = today - (FUTURE_DAYS + 2) * DAY_MS
            members = await _told(bar, playbook, end)
            for workers in bar.track((1, 2), description="one worker, and two"):
                crew = await together(kafka, members, end, workers, arguments.together)
                result["crews"].append(crew)
    return result


async def _told(bar: Progress, playbook: Playbook, end: int) -> list[Member]:
    task = bar.add_task("telling a sample of lives", total=None)
    members = await asyncio.to_thread(sample, playbook, end)
    bar.update(task, total=len(members), completed=len(members))
    return members


def main() -> int:
    """The command; 1 where a bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", type=_numbers, default=SIZES, help="customers, by commas; '' for none")
    parser.add_argument("--events", type=int, default=500_000, help="of each size, at most")
    parser.add_argument("--runs", type=int, default=3, help=f"of each size up to {REPEATED:,}")
    parser.add_argument("--asleep", type=int, default=ASLEEP, help="sleeping customers; 0 leaves it out")
    parser.add_argument("--seconds", type=float, default=60.0, help="of sleep")
    parser.add_argument("--together", type=int, default=500_000, help="events for one worker and for two")
    options_of_pictures(parser, "the picture")
    arguments = parser.parse_args()
    made = provenance(arguments.note)
    tell(caption(made))
    with kafka(arguments.bootstrap, brokers=gathering()) as broker:
        result = run(bench(broker, arguments, made))
    if arguments.draw:
        draw(result)
    return conclude("scale", result, as_json=arguments.json, table=table(result), missed=missed(result))


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(word) for word in text.split(",") if word)


if __name__ == "__main__":
    enter(main)
