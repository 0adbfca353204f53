"""`winback watch`: triggers as they come, one line each. Reads committed records, joins no group."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from aiokafka import TopicPartition

from agents.clients import need_topics, quiet_client_logs, reader
from agents.console import ExitCode, output, print_line, print_note
from agents.sentence import sentence
from schemas.codec import decode_output
from schemas.errors import Rejected
from schemas.topics import CHURN_RISK, WIN_BACK
from schemas.triggers import ChurnRisk, WinBack
from streams.clock import monotonic
from streams.settings import Settings

if TYPE_CHECKING:
    from rich.text import Text

_POLL_MS: Final = 500
_WORTH_SAYING: Final = timedelta(minutes=1)
_COLOURS: Final = {
    "cleared": "green",
    "achieved": "bold green",
    "revoked": "dim",
    "risk_high": "bold red",
    "sla_breach": "bold red",
}

Announced: TypeAlias = tuple[ChurnRisk | WinBack, bytes]
"""A trigger, and the JSON in which it came."""


def run_watch(
    settings: Settings, *, from_beginning: bool, count: int | None, until_idle: float | None, as_json: bool
) -> int:
    """Show triggers until `count` have come, none has come for `until_idle` seconds, or Ctrl-C.

    Raises TopicsError where the topics are missing, BrokerUnreachable where no broker answers.
    """
    quiet_client_logs()
    asyncio.run(
        _show(settings, from_beginning=from_beginning, count=count, until_idle=until_idle, as_json=as_json)
    )
    return ExitCode.DONE


async def triggers(
    settings: Settings,
    *,
    from_beginning: bool = False,
    count: int | None = None,
    until_idle: float | None = None,
) -> AsyncGenerator[Announced, None]:
    """The triggers of both topics as they are committed; of those that come together, the oldest first.

    Ends after `count`, or when none has come for `until_idle` seconds; else never. What cannot be
    read as a trigger is passed over with a note.
    """
    topics = [settings.topics.name(spec) for spec in (CHURN_RISK, WIN_BACK)]
    partitions = await need_topics(settings, *topics)
    places = [TopicPartition(topic, n) for topic, total in partitions.items() for n in range(total)]
    async with reader(settings) as consumer:
        consumer.assign(places)
        if from_beginning:
            await consumer.seek_to_beginning()
        else:
            await consumer.seek_to_end()
            # Where the end is gets asked for lazily; what comes from this moment on is shown.
            for place in places:
                await consumer.position(place)
        print_note(f"watching {' and '.join(topics)} at {settings.bootstrap}; Ctrl-C ends it")
        seen = 0
        last = monotonic()
        while until_idle is None or monotonic() - last < until_idle:
            fetched = await consumer.getmany(timeout_ms=_POLL_MS)
            records = sorted((r for some in fetched.values() for r in some), key=lambda r: r.timestamp)
            for record in records:
                last = monotonic()
                if (announced := _read(record)) is not None:
                    yield announced
                    seen += 1
                    if seen == count:
                        return


def line(trigger: ChurnRisk | WinBack) -> "Text":
    """When it came true (or ended), what it is, the sentence, what to do, how much later it was noticed."""
    from rich.text import Text

    colour = _COLOURS.get(trigger.kind) or _COLOURS.get(trigger.rule, "yellow")
    label = trigger.rule if trigger.kind in {"raised", "due"} else f"{trigger.rule} {trigger.kind}"
    happened = trigger.ended_at or trigger.due_at
    text = Text(f"{_minute(happened)}  ", style="dim")
    text.append(f"{label:<21}", style=colour)
    text.append(f"  {sentence(trigger)}", style="default")
    if trigger.kind in {"raised", "due"} and trigger.suggested_action and not trigger.holdout:
        text.append(f" {trigger.suggested_action}.", style="italic")
    delay = trigger.detected_at - happened
    if delay >= _WORTH_SAYING:
        text.append(f" (noticed {_length(delay)} later)", style="dim")
    return text


async def _show(
    settings: Settings, *, from_beginning: bool, count: int | None, until_idle: float | None, as_json: bool
) -> None:
    console = output()
    coming = triggers(settings, from_beginning=from_beginning, count=count, until_idle=until_idle)
    async for trigger, body in coming:
        if as_json:
            print_line(body)
        else:
            console.print(line(trigger), soft_wrap=True)


def _read(record: Any) -> Announced | None:
    """What a record announces; None with a note where it is not one of ours."""
    try:
        message = decode_output(record.value or b"", record.headers)
    except Rejected as rejected:
        print_note(f"{record.topic}, partition {record.partition}, offset {record.offset}: {rejected}")
        return None
    return (message, record.value) if isinstance(message, ChurnRisk | WinBack) else None


def _minute(instant: datetime) -> str:
    return f"{instant.astimezone(UTC):%Y-%m-%d %H:%M}"


def _length(delay: timedelta) -> str:
    for size, unit in ((timedelta(days=1), "d"), (timedelta(hours=1), "h")):
        if delay >= size:
            return f"{delay / size:.0f} {unit}"
    return f"{delay / timedelta(minutes=1):.0f} min"
