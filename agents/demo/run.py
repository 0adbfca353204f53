"""The demo from broker to verdict.

Nothing in it is staged: the broker speaks Kafka's protocol, the worker is `winback worker` in a
process of its own, and the table is computed from what arrived in `churn-risk`.
"""

import asyncio
import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from heapq import merge
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson

from agents.brokers import first_of, for_demo
from agents.cdnow import FIRST_DAY, LAST_DAY, CdnowPurchase, cdnow_events, cdnow_purchases, default_cache
from agents.clients import quiet_client_logs
from agents.console import ExitCode, output, print_line, print_note, progress_bar
from agents.demo.replay import replay
from agents.demo.verdict import BESIDE, Arrived
from agents.detection import detection_table
from agents.population import Population, population
from agents.produce import load_events
from agents.sentence import sentence
from agents.topics import create_topics
from agents.watch import line
from schemas.errors import ConfigurationError
from schemas.events import Event
from schemas.topics import LOGINS, PURCHASES, SUPPORT_TICKETS, Topics
from schemas.triggers import ChurnRisk, WinBack
from streams.clock import monotonic, wall_ms
from streams.connection import admin
from streams.settings import Settings

if TYPE_CHECKING:
    from rich.progress import Progress

PLAYBOOK: Final = Path(__file__).parents[2] / "demo" / "playbook.toml"
FOLDER: Final = Path("var") / "demo"
END: Final = datetime(1998, 7, 1, tzinfo=UTC)
SIMULATED_CUSTOMERS: Final = 300
"""How many are enough to show logins and tickets at work, and few enough not to cost time."""
_SHOW_EVERY: Final = 1.0


@dataclass(frozen=True, slots=True)
class _History:
    """What is loaded: real purchases, and simulated customers of the same eighteen months."""

    purchases: Sequence[CdnowPurchase]
    simulated: Population

    def streams(self, topics: Topics) -> Iterator[tuple[str, Iterator[Event], int]]:
        """Topic, its events in the order in which they happened, and how many they are."""
        real = sorted(cdnow_events(self.purchases), key=_occurred_at)
        simulated = self.simulated
        total = len(real) + len(simulated.purchases)
        yield topics.name(PURCHASES), merge(real, simulated.purchases, key=_occurred_at), total
        yield topics.name(LOGINS), iter(simulated.logins), len(simulated.logins)
        yield topics.name(SUPPORT_TICKETS), iter(simulated.tickets), len(simulated.tickets)

    def __len__(self) -> int:
        simulated = self.simulated
        return sum(map(len, (self.purchases, simulated.purchases, simulated.logins, simulated.tickets)))


def run_demo(bootstrap: str | None, *, keep: bool, as_json: bool) -> int:
    """Run the demo; 0 where every trigger came once. Raises what its parts raise."""
    quiet_client_logs()
    if not PLAYBOOK.is_file():
        raise ConfigurationError(
            "the demo runs from a clone of the project: its demo/playbook.toml is missing"
        )
    began = monotonic()
    given = bootstrap or os.environ.get("WINBACK_BOOTSTRAP")
    with first_of(for_demo(given), say=print_note) as address:
        name = f"demo-{wall_ms():x}"
        settings = Settings(
            bootstrap=address,
            application_id=name,
            topic_prefix=f"{name}-",
            playbook=PLAYBOOK,
            clock="event",
            end_instant=END,
        )
        report = asyncio.run(_demo(settings, as_json=as_json, keep=keep and given is not None))
        report["broker"] = address
        report["seconds"] = round(monotonic() - began, 1)
        FOLDER.mkdir(parents=True, exist_ok=True)
        (FOLDER / "report.json").write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2) + b"\n")
        if as_json:
            print_line(orjson.dumps(report))
        else:
            _show_next(report)
        if keep and given is None:
            _wait_for_ctrl_c(settings)
    return ExitCode.PROBLEM if report["doubled"] else ExitCode.DONE


async def _demo(settings: Settings, *, as_json: bool, keep: bool) -> dict[str, object]:
    print_note("reading CDNOW out of the lifetimes wheel, and simulating customers of three topics beside it")
    days = (LAST_DAY - FIRST_DAY).days + 1
    history = _History(
        cdnow_purchases(default_cache()),
        population(customers=SIMULATED_CUSTOMERS, start=FIRST_DAY, days=days),
    )
    await create_topics(settings)
    try:
        with progress_bar(disable=as_json) as bar:
            for topic, events, total in history.streams(settings.topics):
                task = bar.add_task(f"loading {topic}", total=total)
                await load_events(settings, topic, events, _Advance(bar, task))
            arrived, seconds = await _replay(settings, len(history), bar)
        rows = arrived.rows(history.purchases)
        if not as_json:
            output().print(detection_table(rows, BESIDE))
            for trigger in arrived.three():
                output().print(f"  - {sentence(trigger)}", markup=False, soft_wrap=True)
        return {
            "events": len(history),
            "replay_seconds": round(seconds, 2),
            "events_per_second": round(len(history) / seconds),
            "triggers": len(arrived),
            "doubled": arrived.doubled,
            "table": {name: row._asdict() for name, row in rows.items()},
            "beside": {name: row._asdict() for name, row in BESIDE.items()},
            "by_rule": {f"{rule} {kind}": count for (rule, kind), count in sorted(arrived.counts.items())},
            "explained": [sentence(trigger) for trigger in arrived.three()],
        }
    finally:
        if not keep:
            await _delete_topics(settings)


class _Advance:
    """Moves a progress bar on."""

    def __init__(self, bar: "Progress", task: Any) -> None:
        self._bar = bar
        self._task = task

    def __call__(self, count: int) -> None:
        self._bar.advance(self._task, count)


async def _replay(settings: Settings, events: int, bar: "Progress") -> tuple[Arrived, float]:
    """The worker's run, with its progress and a trigger now and then on the screen."""
    task = bar.add_task("worker", total=events)
    last = monotonic()

    def shown(trigger: ChurnRisk | WinBack) -> None:
        nonlocal last
        if monotonic() - last >= _SHOW_EVERY:
            last = monotonic()
            bar.console.print(line(trigger), soft_wrap=True)

    def progress(folded: int, triggers: int) -> None:
        bar.update(task, completed=folded, description=f"worker ({triggers:,} triggers)")

    arrived, seconds = await replay(settings, FOLDER / "worker.log", shown, progress)
    bar.update(task, completed=events, description=f"worker ({len(arrived):,} triggers)")
    return arrived, seconds


def _occurred_at(event: Event) -> datetime:
    return event.occurred_at


async def _delete_topics(settings: Settings) -> None:
    async with admin(settings) as client:
        await client.delete_topics([spec.name for spec in settings.topics.all()])


def _show_next(report: dict[str, Any]) -> None:
    out = output()
    out.print(
        f"\n{report['events']:,} events in {report['replay_seconds']} s, from the worker's start to its end; "
        f"{report['triggers']:,} triggers, {report['doubled']} of them doubled.",
    )
    out.print("The figures are in var/demo/report.json, the worker's log beside it. What to do next:")
    for step in (
        "winback worker --help              run it on your own topics (docs/operations.md)",
        "winback fit HISTORY.csv            learn the score from your own customers",
        "winback simulate --live            make events, and watch the triggers come (winback watch)",
        "docs/playbook.md                   the rules, and how to set them",
        "streams/core/advance.py            the one function that decides",
    ):
        out.print(f"  {step}", markup=False, highlight=False, soft_wrap=True)


def _wait_for_ctrl_c(settings: Settings) -> None:
    print_note(
        f"kept: WINBACK_BOOTSTRAP={settings.bootstrap} WINBACK_APPLICATION_ID={settings.application_id} "
        f"WINBACK_TOPIC_PREFIX={settings.topic_prefix} WINBACK_PLAYBOOK={PLAYBOOK}; Ctrl-C ends the broker"
    )
    threading.Event().wait()
