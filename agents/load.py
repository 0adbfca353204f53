"""`winback load FILE...`: history into a topic, sorted by the instant at which it happened.

Every line is read and checked before the first record is sent, so a file with a bad line loads
nothing. Lines without an id get one from their content (`agents/identify.py`): a file loaded twice
changes nothing.
"""

import asyncio
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from io import BufferedReader
from itertools import chain
from pathlib import Path
from typing import Final, cast

import msgspec

from agents.clients import has_live_workers, need_topics, quiet_client_logs
from agents.console import ExitCode, output, print_error, print_line, print_note, progress_bar
from agents.external_sort import sort_by_time
from agents.identify import identified
from agents.produce import Progress, no_progress, send_records
from agents.rows import BadRow, Form, Row, read_rows
from schemas.errors import ConfigurationError
from schemas.events import Event
from schemas.instants import DAY_MS
from schemas.topics import SOURCES, TopicSpec
from streams.clock import monotonic, wall_ms
from streams.core.playbook import Playbook
from streams.playbook_file import load_playbook
from streams.settings import Settings

STDIN: Final = "-"
REPORTED: Final = 10
"""Bad lines that are shown one by one; the others are counted."""
_STEP: Final = 10_000


@dataclass(slots=True)
class Report:
    """What became of the lines. seconds: of reading and sorting, and of sending."""

    topic: str
    loaded: int = 0
    skipped: int = 0
    seconds_sorting: float = 0.0
    seconds_sending: float = 0.0
    bad: list[BadRow] = field(default_factory=list)
    """The first bad lines."""
    reasons: Counter[str] = field(default_factory=Counter)
    """Column and reason of all bad lines, with their counts."""

    def note(self, row: BadRow) -> None:
        """Count a bad line, and keep it if it is among the first."""
        self.skipped += 1
        self.reasons[f"{row.column}: {row.reason}" if row.column else row.reason] += 1
        if len(self.bad) < REPORTED:
            self.bad.append(row)


def run_load(
    settings: Settings, files: list[str], topic: str, *, skip_bad: bool, as_json: bool, quiet: bool = False
) -> int:
    """Load `files` into `topic`; 1 where a line was bad and nothing was loaded for it.

    Raises ConfigurationError for a topic or a file that is not there, and for history that a live
    worker would refuse; BrokerUnreachable where no broker answers.
    """
    quiet_client_logs()
    spec = source_topic(topic)
    target = settings.topics.name(spec)
    paths = [readable(name) for name in files]
    playbook = load_playbook(settings.playbook, settings.model)
    # Asked first: nobody wants to hear after sorting a large file that the topic is missing.
    asyncio.run(need_topics(settings, target))
    report = Report(target)
    with progress_bar(disable=quiet or as_json) as bar:
        reading = bar.add_task("reading and sorting", total=None)
        started = monotonic()
        rows = sort_by_time(
            _good_rows(paths, form(spec, playbook), report, lambda lines: bar.advance(reading, lines))
        )
        with closing(rows):
            first = next(rows, None)
            report.seconds_sorting = monotonic() - started
            total = int(bar.tasks[reading].completed)
            bar.update(reading, total=total, completed=total)
            if first is not None and (skip_bad or not report.skipped):
                sending = bar.add_task(f"loading into {target}", total=total)
                started = monotonic()
                report.loaded = asyncio.run(
                    load_rows(
                        settings,
                        target,
                        chain([first], rows),
                        playbook.max_lateness,
                        lambda count: bar.advance(sending, count),
                    )
                )
                report.seconds_sending = monotonic() - started
    return _show(report, skip_bad=skip_bad, as_json=as_json)


async def load_rows(
    settings: Settings, topic: str, rows: Iterable[Row], max_lateness: int, progress: Progress = no_progress
) -> int:
    """Send sorted rows, ids filled in; how many the broker acknowledged.

    Raises ConfigurationError where the oldest row is further back than `max_lateness` (ms) and a
    live worker is running: it would drop it as too late.
    """
    rows = iter(rows)
    oldest = next(rows, None)
    if oldest is None:
        return 0
    age = wall_ms() - oldest[0]
    if age > max_lateness and await has_live_workers(settings):
        raise ConfigurationError(
            f"the oldest row is {age // DAY_MS} days old, and {settings.application_id} has a live worker, "
            f"which drops what is older than {max_lateness // DAY_MS} days: stop the worker, then load"
        )
    return await send_records(settings, topic, identified(chain([oldest], rows), topic), progress)


def form(spec: TopicSpec, playbook: Playbook) -> Form:
    """How the lines for a topic are read: the playbook's currency, and the future judged as of now."""
    body = cast(type[Event], spec.body)
    return Form(spec, body, wall_ms(), playbook.currency, playbook.minor_digits, frozenset(playbook.rates))


def source_topic(name: str) -> TopicSpec:
    """The source topic of this name; ConfigurationError where there is none."""
    for spec in SOURCES:
        if spec.name == name:
            return spec
    raise ConfigurationError(f"--topic {name}: choose {', '.join(spec.name for spec in SOURCES)}")


def readable(name: str) -> Path | None:
    """The file's path, None for standard input; ConfigurationError where it cannot be read."""
    if name == STDIN:
        return None
    path = Path(name)
    try:
        with path.open("rb"):
            return path
    except OSError as error:
        raise ConfigurationError(f"{name} cannot be read: {error.strerror}") from error


def _good_rows(
    paths: list[Path | None], shape: Form, report: Report, progress: Callable[[int], None]
) -> Iterator[Row]:
    """The rows of all files; what is bad goes into the report."""
    lines = 0
    for number, path in enumerate(paths):
        file = cast(BufferedReader, sys.stdin.buffer) if path is None else path.open("rb")
        with file:
            for row in read_rows(file, str(path or "standard input"), number, shape):
                if isinstance(row, BadRow):
                    report.note(row)
                    continue
                yield row
                lines += 1
                if lines % _STEP == 0:
                    progress(_STEP)
    progress(lines % _STEP)


def _show(report: Report, *, skip_bad: bool, as_json: bool) -> int:
    refused = report.skipped > 0 and not skip_bad
    if as_json:
        print_line(msgspec.json.encode(report))
    else:
        for row in report.bad:
            (print_note if skip_bad else print_error)(str(row))
        if report.skipped > len(report.bad):
            print_note(f"and {report.skipped - len(report.bad):,} more")
        if refused:
            print_error(
                f"nothing was loaded: {report.skipped:,} bad {_lines(report.skipped)}; "
                "mend them, or leave them out with --skip-bad"
            )
        else:
            _print_summary(report)
    return ExitCode.PROBLEM if refused else ExitCode.DONE


def _print_summary(report: Report) -> None:
    rate = report.loaded / report.seconds_sending if report.seconds_sending else 0.0
    output().print(
        f"{report.loaded:,} {_lines(report.loaded)} loaded into {report.topic}: "
        f"sorted in {report.seconds_sorting:.1f} s, sent in {report.seconds_sending:.1f} s ({rate:,.0f}/s)",
        soft_wrap=True,
    )
    for reason, count in report.reasons.most_common():
        output().print(f"{count:,} skipped, {reason}", markup=False)


def _lines(count: int) -> str:
    return "row" if count == 1 else "rows"
