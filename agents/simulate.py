"""`winback simulate`: a population with known drop-outs, as files or live into the topics.

Live, the population's history is played in its own order at the given rate, each event dated at the
instant at which it is sent. Every run has new customers, so runs do not disturb one another.
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from itertools import chain, islice
from pathlib import Path
from typing import Any, Final, TypeAlias, cast

import msgspec

from agents.clients import need_topics, producer, quiet_client_logs
from agents.console import ExitCode, output, print_line, progress_bar
from agents.external_sort import sort_by_time
from agents.population import CUSTOMERS, DAYS, SEED, START, Life, Truth, lives
from agents.produce import PATIENCE
from schemas.codec import encode_event
from schemas.errors import ConfigurationError
from schemas.events import Event, Purchase, SupportTicket
from schemas.instants import since_epoch
from schemas.topics import SOURCES
from streams.clock import monotonic, wall_ms
from streams.settings import Settings

TRUTH_FILE: Final = "truth.jsonl"
_SHOWN: Final = 15
_UNACKNOWLEDGED: Final = 10_000
"""How many live events may be on their way before the next one waits."""

_Row: TypeAlias = tuple[int, bytes, bytes, int]
"""Instant in ms, customer, the event's JSON, place of its topic in SOURCES."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Which population; the same plan makes the same events."""

    customers: int = CUSTOMERS
    start: date = START
    days: int = DAYS
    seed: int = SEED
    currency: str = "USD"

    def lives(self) -> Iterator[Life]:
        """Its customers, one after the other; ConfigurationError where the calendar ends before them."""
        if (date.max - self.start).days <= self.days:
            raise ConfigurationError(f"--days {self.days}: the calendar ends on {date.max}")
        return lives(self.seed, self.customers, self.start, self.days, currency=self.currency)


@dataclass(slots=True)
class Written:
    """What `write_files` made: lines by file name, and how many customers dropped out."""

    directory: str
    lines: dict[str, int] = field(default_factory=dict)
    dropped_out: int = 0


@dataclass(slots=True)
class Played:
    """What a live run has sent so far, and the truth about the customers seen in it."""

    events: int = 0
    truth: dict[str, Truth] = field(default_factory=dict)

    @property
    def dropped_out(self) -> list[Truth]:
        """Those who have left, in the order in which they left."""
        left = [truth for truth in self.truth.values() if truth.dropped_at]
        return sorted(left, key=lambda truth: truth.dropped_at or truth.joined_at)


def run_files(plan: Plan, directory: Path | None, *, as_json: bool) -> int:
    """Write the files; ConfigurationError where the directory is not given or cannot be written."""
    if directory is None:
        raise ConfigurationError("where to? Give --out DIR for files, or --live for the topics")
    with progress_bar(disable=as_json) as bar:
        task = bar.add_task("customers", total=plan.customers)
        try:
            written = write_files(plan, directory, lambda: bar.advance(task))
        except OSError as error:
            raise ConfigurationError(f"{directory} cannot be written: {error.strerror}") from error
    if as_json:
        print_line(msgspec.json.encode(written))
    else:
        for name, lines in written.lines.items():
            output().print(f"{lines:>12,}  {directory / name}", markup=False, soft_wrap=True)
        output().print(f"{written.dropped_out:,} of {plan.customers:,} customers dropped out for good.")
    return ExitCode.DONE


def run_live(
    settings: Settings,
    plan: Plan,
    directory: Path | None,
    *,
    rate: float,
    count: int | None,
    seconds: float | None,
    as_json: bool,
) -> int:
    """Play the population into the topics; ends at `count`, after `seconds`, or with its last event.

    The truth is shown at the end, after Ctrl-C too. Raises TopicsError, BrokerUnreachable, Fatal.
    """
    quiet_client_logs()
    asyncio.run(need_topics(settings, *map(settings.topics.name, SOURCES)))
    played = Played()
    with progress_bar(disable=as_json) as bar:
        making = bar.add_task("customers", total=plan.customers)
        drop_outs: dict[bytes, int] = {}
        rows = sort_by_time(_rows(plan.lives(), lambda life: _note(life, drop_outs, bar.advance, making)))
        try:
            with closing(rows):
                sending = bar.add_task("events sent", total=count)
                asyncio.run(
                    play(
                        settings,
                        rows,
                        drop_outs,
                        played,
                        rate=rate,
                        count=count,
                        seconds=seconds,
                        progress=lambda: bar.advance(sending),
                    )
                )
        finally:
            bar.stop()
            _show_played(played, directory, as_json=as_json)
    return ExitCode.DONE


def write_files(plan: Plan, directory: Path, progress: Callable[[], None] = lambda: None) -> Written:
    """One JSON lines file a topic, ascending by `occurred_at`, and truth.jsonl by customer.

    progress: called after each customer. Raises OSError where the directory cannot be written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    written = Written(str(directory))
    with ExitStack() as stack:
        truths = stack.enter_context((directory / TRUTH_FILE).open("wb"))

        def note(life: Life) -> None:
            truths.write(msgspec.json.encode(life.truth) + b"\n")
            written.dropped_out += life.truth.dropped_at is not None
            progress()

        files = [stack.enter_context((directory / f"{spec.name}.jsonl").open("wb")) for spec in SOURCES]
        lines = [0] * len(files)
        rows = stack.enter_context(closing(sort_by_time(_rows(plan.lives(), note), directory=directory)))
        for _at, _customer, value, place in rows:
            files[place].write(value + b"\n")
            lines[place] += 1
    written.lines = {f"{spec.name}.jsonl": lines[place] for place, spec in enumerate(SOURCES)}
    written.lines[TRUTH_FILE] = plan.customers
    return written


async def play(
    settings: Settings,
    rows: Iterator[_Row],
    drop_outs: dict[bytes, int],
    played: Played,
    *,
    rate: float,
    count: int | None = None,
    seconds: float | None = None,
    progress: Callable[[], None] = lambda: None,
) -> None:
    """Send sorted rows at `rate` a second, dated now; `played` is kept up to date for the caller.

    drop_outs: the instant (ms, on the rows' own clock) with whose event a customer leaves.
    """
    run = f"{wall_ms():x}"
    decoders = [cast("msgspec.json.Decoder[Event]", msgspec.json.Decoder(spec.body)) for spec in SOURCES]
    names = [settings.topics.name(spec) for spec in SOURCES]
    waiting: deque[asyncio.Future[Any]] = deque()
    # Asking for the first has all of them made and sorted, which takes none of the run's seconds.
    first = list(islice(rows, 1))
    async with producer(settings) as client:
        started = monotonic()
        end = math.inf if seconds is None else started + seconds
        for at, customer, value, place in chain(first, rows):
            due = started + played.events / rate
            if played.events == count or max(due, monotonic()) >= end:
                break
            if (pause := due - monotonic()) > 0:
                await asyncio.sleep(pause)
            event = _dated(decoders[place].decode(value), run, wall_ms())
            async with asyncio.timeout(PATIENCE):
                sent = await client.send(names[place], encode_event(event), event.customer_id.encode())
                waiting.append(sent)
                while waiting and (waiting[0].done() or len(waiting) > _UNACKNOWLEDGED):
                    await waiting.popleft()
            _learn(played, event, left=drop_outs.get(customer) == at)
            progress()
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*waiting)


def _rows(population: Iterator[Life], note: Callable[[Life], None]) -> Generator[_Row, None, None]:
    """All events of all customers, customer by customer; `note` sees each customer once."""
    for life in population:
        customer = life.truth.customer_id.encode()
        by_topic: tuple[Sequence[Event], ...] = (life.purchases, life.logins, life.tickets)
        for place, events in enumerate(by_topic):
            for event in events:
                yield since_epoch(event.occurred_at), customer, encode_event(event), place
        note(life)


def _note(life: Life, drop_outs: dict[bytes, int], advance: Callable[[Any], None], task: object) -> None:
    if life.truth.dropped_at:
        drop_outs[life.truth.customer_id.encode()] = since_epoch(life.truth.dropped_at)
    advance(task)


def _dated(event: Event, run: str, now: int) -> Event:
    """The event as one of this run, happening now."""
    changes: dict[str, Any] = {
        "id": f"{run}-{event.id}",
        "customer_id": f"{run}-{event.customer_id}",
        "occurred_at": datetime.fromtimestamp(now / 1000, UTC),
    }
    if isinstance(event, Purchase):
        changes["order_id"] = f"{run}-{event.order_id}"
    elif isinstance(event, SupportTicket):
        changes["ticket_id"] = f"{run}-{event.ticket_id}"
    return msgspec.structs.replace(event, **changes)


def _learn(played: Played, event: Event, *, left: bool) -> None:
    played.events += 1
    known = played.truth.get(event.customer_id)
    bought = isinstance(event, Purchase) and event.kind == "purchase"
    played.truth[event.customer_id] = Truth(
        event.customer_id,
        known.joined_at if known else event.occurred_at,
        event.occurred_at if left else known.dropped_at if known else None,
        (known.orders if known else 0) + bought,
    )


def _show_played(played: Played, directory: Path | None, *, as_json: bool) -> None:
    lines = [msgspec.json.encode(truth) for truth in played.truth.values()]
    if directory is not None:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / TRUTH_FILE).write_bytes(b"".join(line + b"\n" for line in lines))
    if as_json:
        for line in lines:
            print_line(line)
        return
    left = played.dropped_out
    output().print(
        f"{played.events:,} events of {len(lines):,} customers sent; {len(left):,} dropped out for good:"
    )
    for truth in left[:_SHOWN]:
        output().print(f"  {truth.customer_id}  at {truth.dropped_at:%Y-%m-%d %H:%M:%S} UTC")
    if len(left) > _SHOWN:
        output().print(f"  and {len(left) - _SHOWN:,} more (--json lists all, --out DIR writes {TRUTH_FILE})")
