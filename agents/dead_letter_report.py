"""`winback dlt list | show`: dead letters counted, and one by one. Neither changes anything."""

import asyncio
from base64 import b64encode
from dataclasses import dataclass
from datetime import datetime
from heapq import heappush, heappushpop
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import UNSET, Struct, UnsetType

from agents.clients import quiet_client_logs, reader
from agents.console import ExitCode, output, print_line, print_note
from agents.dead_letters import DeadLetter, Selection, letters, stretches
from schemas.instants import instant
from streams.settings import Settings

if TYPE_CHECKING:
    from rich.text import Text

NOT_OURS: Final = "(none)"
"""Shown for the reason of what Winback has not written."""


@dataclass(slots=True)
class Count:
    """How many dead letters a topic has for one reason, and when the first and the last were refused.

    reason: None for what Winback has not written. first, last: None where their timestamps say nothing.
    """

    topic: str
    reason: str | None
    count: int
    first: datetime | None
    last: datetime | None


class Base64(Struct):
    """Bytes that are not UTF-8."""

    base64: str


Readable = str | Base64 | None


class Origin(Struct):
    """The record that was refused. written_at: null where its own timestamp says nothing."""

    topic: str
    partition: int
    offset: int
    written_at: datetime | None


class Shown(Struct):
    """One dead letter as JSON. headers: the original's; those of the refusal are fields here."""

    topic: str
    partition: int
    offset: int
    refused_at: datetime | None
    reason: str | None
    detail: str
    key: Readable
    original: Origin | None
    cut: tuple[str, ...]
    headers: list[tuple[str, Readable]]
    value: Readable | UnsetType = UNSET


def run_list(settings: Settings, selection: Selection, *, as_json: bool) -> int:
    """Count the selected dead letters by topic and reason."""
    quiet_client_logs()
    counts = asyncio.run(counted(settings, selection))
    if as_json:
        print_line(msgspec.json.encode(counts))
    elif counts:
        _print_counts(counts)
    else:
        print_note("no dead letters")
    return ExitCode.DONE


def run_show(settings: Settings, selection: Selection, *, count: int, with_value: bool, as_json: bool) -> int:
    """Show the newest `count` of the selected dead letters, the oldest of them first.

    with_value: also what may be personal.
    """
    quiet_client_logs()
    newest, matched = asyncio.run(_newest(settings, selection, count))
    for letter in newest:
        if as_json:
            print_line(msgspec.json.encode(shown(letter, with_value=with_value)))
        else:
            output().print(described(letter, with_value=with_value), soft_wrap=True)
    if not matched:
        print_note("no dead letters")
    elif matched > len(newest):
        print_note(f"the newest {len(newest):,} of {matched:,}; --count shows more")
    return ExitCode.DONE


async def counted(settings: Settings, selection: Selection) -> list[Count]:
    """The selected dead letters by topic and, the most frequent first, by reason."""
    found: dict[tuple[str, str], tuple[int, int, int]] = {}
    async with reader(settings) as consumer:
        among = await stretches(consumer, settings, selection)
        async for letter in letters(consumer, among, selection):
            at = letter.refused_at
            count, first, last = found.get((letter.source.name, letter.reason), (0, at, at))
            found[letter.source.name, letter.reason] = (count + 1, min(first, at), max(last, at))
    order = [source.name for source in selection.sources]
    return [
        Count(topic, reason or None, count, _instant(first), _instant(last))
        for (topic, reason), (count, first, last) in sorted(
            found.items(), key=lambda item: (order.index(item[0][0]), -item[1][0], item[0][1])
        )
    ]


async def _newest(settings: Settings, selection: Selection, count: int) -> tuple[list[DeadLetter], int]:
    """The newest of the selected dead letters, the oldest first, and how many were selected."""
    kept: list[tuple[tuple[int, str, int, int], DeadLetter]] = []
    matched = 0
    async with reader(settings) as consumer:
        among = await stretches(consumer, settings, selection)
        async for letter in letters(consumer, among, selection):
            matched += 1
            place = (letter.refused_at, letter.topic, letter.partition, letter.offset)
            if len(kept) < count:
                heappush(kept, (place, letter))
            else:
                heappushpop(kept, (place, letter))
    return [letter for _, letter in sorted(kept, key=lambda item: item[0])], matched


def shown(letter: DeadLetter, *, with_value: bool) -> Shown:
    """A dead letter for programs."""
    original = letter.original
    return Shown(
        topic=letter.topic,
        partition=letter.partition,
        offset=letter.offset,
        refused_at=_instant(letter.refused_at),
        reason=letter.reason or None,
        detail=letter.detail,
        key=_readable(letter.key),
        original=None
        if original is None
        else Origin(original.topic, original.partition, original.offset, _instant(original.timestamp)),
        cut=letter.cut,
        headers=[(name, _readable(content)) for name, content in letter.headers],
        value=_readable(letter.value) if with_value else UNSET,
    )


def described(letter: DeadLetter, *, with_value: bool) -> "Text":
    """A dead letter for people: where it stands, why it is there, and what it came with."""
    from rich.text import Text

    text = Text(f"{letter.topic} {letter.partition}:{letter.offset}", style="bold")
    text.append(f"  {_words(_instant(letter.refused_at))}  ", style="dim not bold")
    text.append(letter.reason or NOT_OURS, style="bold red")
    if letter.detail:
        text.append(f"  {printable(letter.detail.encode())}", style="not bold")
    fields = [("key", printable(letter.key))]
    if (original := letter.original) is not None:
        place = f"{printable(original.topic.encode())} {original.partition}:{original.offset}"
        fields.append(("from", f"{place}, written {_words(_instant(original.timestamp))}"))
    if letter.cut:
        fields.append(("cut", ", ".join(printable(part.encode()) for part in letter.cut)))
    fields += [
        ("header", f"{printable(name.encode())}: {printable(content)}") for name, content in letter.headers
    ]
    if with_value:
        fields.append(("value", printable(letter.value)))
    for name, content in fields:
        text.append(f"\n  {name:<6}  ", style="dim not bold")
        text.append(content, style="not bold")
    return text


def printable(content: bytes | None) -> str:
    """Bytes as text that does a terminal no harm: what is no printable character is escaped."""
    if content is None:
        return "none"
    text = content.decode(errors="backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _readable(content: bytes | None) -> Readable:
    try:
        return None if content is None else content.decode()
    except UnicodeDecodeError:
        return Base64(b64encode(content or b"").decode())


def _instant(at: int) -> datetime | None:
    """None for -1, which stands for no time at all, and for what no calendar holds."""
    try:
        return instant(at) if at >= 0 else None
    except OverflowError:
        return None


def _words(moment: datetime | None) -> str:
    return "at no known time" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S}Z"


def _print_counts(counts: list[Count]) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for title in ("topic", "reason", "count", "first", "last"):
        table.add_column(title, justify="right" if title == "count" else "left", overflow="fold")
    for each in counts:
        when = [_words(moment) for moment in (each.first, each.last)]
        table.add_row(each.topic, printable((each.reason or NOT_OURS).encode()), f"{each.count:,}", *when)
    output().print(table)
