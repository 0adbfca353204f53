"""What a replay said, counted in the topics it wrote to: whoever did the work, in however many goes."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from msgspec import Struct

from agents.clients import need_topics, reader
from agents.console import output, print_line, print_note
from schemas.errors import BrokerUnreachable
from schemas.topics import CHANGELOG, CHURN_RISK, CUSTOMER_HEALTH, DEAD_LETTERS, SOURCES, WIN_BACK
from streams.clock import monotonic
from streams.connection import client_arguments, start, stop
from streams.core.rules import ABOUT
from streams.replay import ReplaySettings
from streams.settings import Settings

PATIENCE: Final = 30.0
"""Seconds in which nothing at all arrives before the broker counts as gone."""
_POLL_MS: Final = 500
_LOOK_SECONDS: Final = 0.1
_KINDS: Final = ("raised", "cleared", "revoked", "due", "achieved")


class Said(Struct, frozen=True):
    """What is counted of a trigger."""

    rule: str
    kind: str


_decode: Final = msgspec.json.Decoder(Said).decode


class Row(Struct, frozen=True):
    """Triggers of a rule and kind."""

    rule: str
    kind: str
    count: int


class Refusals(Struct, frozen=True):
    """Dead letters of a source topic and reason."""

    topic: str
    reason: str
    count: int


class Report(Struct, rename={"begin": "from", "end": "until"}):
    """A replay that is done. begin, end: RFC 3339. topics: what it wrote to. seconds: of this process."""

    application_id: str
    begin: str
    end: str
    triggers: list[Row]
    dead_letters: list[Refusals]
    topics: list[str]
    seconds: float = 0.0


async def counted(settings: ReplaySettings) -> Report:
    """The report of a replay that is done.

    Raises BrokerUnreachable where nothing arrives for PATIENCE seconds, or a transaction stays open.
    """
    name = settings.topics.name
    triggers = [name(CHURN_RISK), name(WIN_BACK)]
    sources = {name(letters): source.name for source, letters in zip(SOURCES, DEAD_LETTERS, strict=True)}
    said, refused = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    async for record in _all_of(settings, [*triggers, *sources]):
        if record.topic in sources:
            reason = dict(record.headers).get("winback-reason") or b""
            refused[sources[record.topic], reason.decode()] += 1
        else:
            trigger = _decode(record.value)
            said[trigger.rule, trigger.kind] += 1
    return Report(
        settings.application_id,
        _written(settings.begin_instant),
        _written(settings.end_instant),
        [Row(rule, kind, said[rule, kind]) for rule in ABOUT for kind in _KINDS if (rule, kind) in said],
        [Refusals(topic, reason, count) for (topic, reason), count in sorted(refused.items())],
        [*triggers, name(CUSTOMER_HEALTH), *sources, name(CHANGELOG)],
    )


def show(report: Report, *, as_json: bool) -> None:
    """Print it: a table of triggers by rule and kind, or one line of JSON."""
    if as_json:
        print_line(msgspec.json.encode(report))
        return
    total = sum(row.count for row in report.triggers)
    if total:
        _print_table(report.triggers)
    churn_risk, win_back, *_ = report.topics
    output().print(
        f"{total:,} triggers from {report.begin} to {report.end}, in {churn_risk} and {win_back}; "
        f"done in {report.seconds:.1f} s",
        soft_wrap=True,
    )
    for row in report.dead_letters:
        output().print(f"{row.count:,} records of {row.topic} refused, {row.reason}", markup=False)
    print_note("origin replay: for comparison, never for delivery")


def _print_table(rows: Iterable[Row]) -> None:
    from rich.table import Table

    counts = {(row.rule, row.kind): row.count for row in rows}
    kinds = [kind for kind in _KINDS if any(kind == said for _, said in counts)]
    table = Table(box=None, pad_edge=False)
    table.add_column("rule")
    for kind in kinds:
        table.add_column(kind, justify="right")
    for rule in dict.fromkeys(rule for rule, _ in counts):
        cells = [counts.get((rule, kind), 0) for kind in kinds]
        table.add_row(rule, *[f"{count:,}" if count else "-" for count in cells])
    output().print(table)


async def _all_of(settings: Settings, topics: Iterable[str]) -> AsyncIterator[Any]:
    """Every committed record of these topics, once no transaction is open on them."""
    counts = await need_topics(settings, *topics)
    places = [TopicPartition(topic, number) for topic in topics for number in range(counts[topic])]
    async with reader(settings) as consumer:
        consumer.assign(places)
        ends = await _stable_ends(settings, consumer, places)
        await consumer.seek_to_beginning()
        unread, moved_at = set(places), monotonic()
        while unread:
            for records in (await consumer.getmany(timeout_ms=_POLL_MS)).values():
                moved_at = monotonic()
                for record in records:
                    yield record
            # The position counts, not the last record: markers and aborted records take up offsets too.
            unread -= {place for place in unread if await consumer.position(place) >= ends[place]}
            if unread and monotonic() - moved_at > PATIENCE:
                raise BrokerUnreachable(
                    f"nothing has arrived for {PATIENCE:.0f} s: is the broker still there?"
                )


async def _stable_ends(
    settings: Settings, consumer: AIOKafkaConsumer, places: list[TopicPartition]
) -> dict[TopicPartition, int]:
    """Where the topics end. A commit is acknowledged before its markers stand: they are waited for."""
    plain = await start(AIOKafkaConsumer(**client_arguments(settings), group_id=None), settings)
    began = monotonic()
    try:
        while True:
            stable: dict[TopicPartition, int] = await consumer.end_offsets(places)
            if stable == await plain.end_offsets(places):
                return stable
            if monotonic() - began > PATIENCE:
                raise BrokerUnreachable(
                    f"a transaction on the topics of {settings.application_id} has been open for "
                    f"{PATIENCE:.0f} s: is another process still at it?"
                )
            await asyncio.sleep(_LOOK_SECONDS)
    finally:
        await stop(plain)


def _written(moment: datetime | None) -> str:
    return "" if moment is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
