"""`winback dlt replay`: dead letters go back to the topic they came from, as they came.

Key, value and headers are the original's, so the event keeps its id, and the engine counts it once
however often it is sent. So nothing is remembered of what has been replayed: a position could say
neither which letters a filter has passed over nor which of those sent were refused again, and to
send all of them anew after a run that broke off is harmless.

The record keeps its timestamp too: `future` is judged by it, and a replay must not make an event
acceptable that its own time speaks against. Where that is just why it was refused it is judged as
of now, since what lay ahead then may have passed. A record without a time, or with one that is
still to come, is given the present as well.

What would only be refused again is not sent: it would come back as one more dead letter, and two
replays would make four of it.
"""

import asyncio
import sys
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import msgspec
from aiokafka import AIOKafkaProducer

from agents.clients import need_topics, producer, quiet_client_logs, reader
from agents.console import ExitCode, agreed, output, print_error, print_line, print_note, progress_bar
from agents.dead_letter_report import NOT_OURS, printable
from agents.dead_letters import PATIENCE, DeadLetter, Selection, Stretch, letters, stretches
from agents.produce import Progress, no_progress
from schemas.errors import BrokerUnreachable, ConfigurationError
from schemas.topics import LOGINS
from streams.checked import Refused, SourceRecord
from streams.clock import monotonic, wall_ms
from streams.core.playbook import Playbook
from streams.intake import ACCEPT_LATE, CHECK_IN
from streams.partitioner import partition_of
from streams.playbook_file import load_playbook
from streams.settings import Settings

if TYPE_CHECKING:
    from rich.progress import Progress as ProgressBars

IN_FLIGHT: Final = 2_000
"""Records sent and not yet acknowledged: a bound on memory."""
_AT_ONCE: Final = 200
"""Records whose acknowledgements are waited for together."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What letters are judged by. now: ms since the epoch. partitions: of each source topic."""

    settings: Settings
    playbook: Playbook
    partitions: dict[str, int]
    now: int
    accept_late: bool


@dataclass(frozen=True, slots=True)
class Row:
    """Dead letters of a topic and reason that fare alike. kept_back: why they are not sent."""

    topic: str
    reason: str | None
    kept_back: str | None
    count: int


@dataclass(slots=True)
class Report:
    """What is sent back, or would be."""

    dry_run: bool
    sent: int = 0
    kept_back: int = 0
    seconds: float = 0.0
    letters: list[Row] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Plan:
    """What has been found, and by which terms; what is sent is read again, up to the same ends."""

    terms: Terms
    among: list[Stretch]
    rows: list[Row]

    def total(self, *, sent: bool) -> int:
        """How many are to be sent, or kept back."""
        return sum(row.count for row in self.rows if (row.kept_back is None) is sent)


def run_replay(
    settings: Settings,
    selection: Selection,
    *,
    dry_run: bool,
    yes: bool,
    accept_late: bool,
    as_json: bool,
) -> int:
    """Send the selected dead letters back; PROBLEM where some are kept back.

    Raises ConfigurationError where there is nobody to ask and `yes` has not been said, TopicsError,
    and BrokerUnreachable.
    """
    quiet_client_logs()
    if not (dry_run or yes or sys.stdin.isatty()):
        raise ConfigurationError("no terminal to ask at: look with --dry-run, then send with --yes")
    # Which model is in force changes nothing about what is refused.
    playbook = load_playbook(settings.playbook, None)
    with progress_bar(disable=as_json) as bar:
        plan = asyncio.run(
            planned(
                settings,
                selection,
                playbook,
                accept_late=accept_late,
                watched=lambda offsets: _bar_of(bar, "reading", offsets),
            )
        )
    report = Report(dry_run, kept_back=plan.total(sent=False), letters=plan.rows)
    ready = plan.total(sent=True)
    if not as_json:
        _print_plan(plan.rows, dry_run=dry_run)
    if ready and not dry_run:
        if not yes and not agreed(f"Send {_letters(ready)} back?"):
            print_note("nothing was sent")
            return ExitCode.DONE
        started = monotonic()
        with progress_bar(disable=as_json) as bar:
            report.sent = asyncio.run(send(plan, selection, _bar_of(bar, "sending back", ready)))
        report.seconds = monotonic() - started
    if as_json:
        print_line(msgspec.json.encode(report))
    else:
        _print_outcome(report, ready)
    return ExitCode.PROBLEM if report.kept_back else ExitCode.DONE


async def planned(
    settings: Settings,
    selection: Selection,
    playbook: Playbook,
    *,
    accept_late: bool,
    watched: Callable[[int], Progress] = lambda _: no_progress,
) -> Plan:
    """What is to be sent and what is kept back; sends nothing.

    watched: is told how many offsets there are to read, and gives what is told of those passed.
    """
    names = [settings.topics.name(source) for source in selection.sources]
    terms = Terms(settings, playbook, await need_topics(settings, *names), wall_ms(), accept_late)
    found: Counter[tuple[str, str, str | None]] = Counter()
    async with reader(settings) as consumer:
        among = await stretches(consumer, settings, selection)
        passed = watched(sum(stretch.end - stretch.begin for stretch in among))
        async for letter in letters(consumer, among, selection, passed):
            judged = judge(letter, terms)
            found[letter.source.name, letter.reason, judged if isinstance(judged, str) else None] += 1
    order = [source.name for source in selection.sources]
    rows = [Row(topic, reason or None, kept, count) for (topic, reason, kept), count in found.items()]
    rows.sort(key=lambda row: (order.index(row.topic), row.reason or "", row.kept_back or ""))
    return Plan(terms, among, rows)


def judge(letter: DeadLetter, terms: Terms) -> SourceRecord | str:
    """The record to send for a dead letter, or why it is kept back."""
    source, original = letter.source, letter.original
    topic = terms.settings.topics.name(source)
    if original is None:
        return "not written by Winback, its headers name no original"
    if original.topic != topic:
        return f"comes from another topic than {topic}"
    if letter.cut:
        parts = " and ".join(printable(part.encode()) for part in letter.cut)
        return f"its {parts} had to be cut, so only its producer can send it again"
    if letter.reason == "too_late":
        if source is LOGINS:
            return "a login that is too late is never folded, its rates are final"
        if not terms.accept_late:
            return "too late still; --accept-late has it folded"
    now = terms.now
    timestamp = original.timestamp
    if letter.reason == "future" or not 0 <= timestamp <= now:
        timestamp = now
    again = SourceRecord(
        topic=topic,
        # Where a producer that hashes as Kafka does puts the key; the original may have erred.
        partition=partition_of(letter.key or b"", terms.partitions[topic]),
        offset=original.offset,
        timestamp=timestamp,
        key=letter.key,
        value=letter.value,
        headers=[*letter.headers, *([ACCEPT_LATE] if terms.accept_late else [])],
    )
    checked = CHECK_IN[source.name](again, terms.playbook)
    if isinstance(checked, Refused):
        return f"would be refused again ({checked.rejected.reason})"
    return again


async def send(plan: Plan, selection: Selection, progress: Progress = no_progress) -> int:
    """Send what the plan found fit, in the order of each partition; how many were acknowledged.

    Raises BrokerUnreachable where no broker answers any more.
    """
    settings = plan.terms.settings
    async with reader(settings) as consumer, producer(settings) as client:
        deliveries = _Deliveries(client, progress)
        try:
            async for letter in letters(consumer, plan.among, selection):
                judged = judge(letter, plan.terms)
                if isinstance(judged, SourceRecord):
                    await deliveries.send(judged)
            await deliveries.settle()
        except TimeoutError as error:
            raise BrokerUnreachable(
                f"no broker at {settings.bootstrap} has acknowledged anything for {PATIENCE:.0f} s; "
                f"{deliveries.acknowledged:,} records or more had arrived; sending all again does no harm"
            ) from error
    return deliveries.acknowledged


class _Deliveries:
    """Records on their way to the broker, oldest first."""

    def __init__(self, client: AIOKafkaProducer, progress: Progress) -> None:
        self.acknowledged = 0
        self._client = client
        self._progress = progress
        self._waiting: deque[Awaitable[Any]] = deque()

    async def send(self, record: SourceRecord) -> None:
        """Hand a record over; waits while too many are on their way."""
        delivery = await self._client.send(
            record.topic,
            record.value,
            record.key,
            record.partition,
            timestamp_ms=record.timestamp,
            headers=record.headers,
        )
        self._waiting.append(delivery)
        if len(self._waiting) == IN_FLIGHT:
            await self.settle(IN_FLIGHT // 2)

    async def settle(self, allowed: int = 0) -> None:
        """Wait until at most `allowed` records are on their way; a failed one raises here."""
        while len(self._waiting) > allowed:
            # A timer for each record would cost more than sending it.
            count = min(_AT_ONCE, len(self._waiting) - allowed)
            async with asyncio.timeout(PATIENCE):
                for _ in range(count):
                    await self._waiting.popleft()
            self.acknowledged += count
            self._progress(count)


def _bar_of(bar: "ProgressBars", description: str, total: int) -> Progress:
    task = bar.add_task(description, total=total)
    return lambda count: bar.advance(task, count)


def _print_plan(rows: list[Row], *, dry_run: bool) -> None:
    from rich.table import Table
    from rich.text import Text

    if not rows:
        return
    table = Table(box=None, pad_edge=False)
    for title in ("topic", "reason", "count", ""):
        table.add_column(title, justify="right" if title == "count" else "left", overflow="fold")
    fit = "would be sent back" if dry_run else "to be sent back"
    for row in rows:
        fate = Text(f"kept back: {row.kept_back}", style="red") if row.kept_back else Text(fit, style="green")
        table.add_row(row.topic, printable((row.reason or NOT_OURS).encode()), f"{row.count:,}", fate)
    output().print(table)


def _print_outcome(report: Report, ready: int) -> None:
    if not report.letters:
        print_note("no dead letters")
    elif report.dry_run:
        output().print(f"dry run: {_letters(ready)} would be sent back, nothing was")
    elif ready:
        output().print(f"{_letters(report.sent)} sent back in {report.seconds:.1f} s")
    if any(row.kept_back and "unknown_currency" in row.kept_back for row in report.letters):
        print_note("rates are those of this command's playbook; --playbook names the workers' own")
    if report.kept_back:
        print_error(f"{_letters(report.kept_back)} kept back, for the reasons above")


def _letters(count: int) -> str:
    return f"{count:,} dead {'letter' if count == 1 else 'letters'}"
