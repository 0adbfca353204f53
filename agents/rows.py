"""A history file, line by line: CSV with a header, or JSON lines, into rows ready to be sorted.

A row is a plain tuple, since the external sort writes it to disk as it is:

    (instant in ms, key, value, number of its file, what is missing)

`value` is the event's JSON. Where the line has no id (or no order id) the JSON lacks it too, and
`agents/identify.py` adds it after the sort.
"""

import csv
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, Final, TypeAlias

import msgspec

from schemas.events import Event, Purchase
from schemas.instants import since_epoch
from schemas.topics import TopicSpec
from streams.intake import CLOCK_TOLERANCE_MS, LARGEST_VALUE

Row: TypeAlias = tuple[int, bytes, bytes, int, int]

COMPLETE: Final = 0
NO_ID: Final = 1
NO_ORDER: Final = 2

_encode = msgspec.json.Encoder(order="sorted").encode
_decode_any = msgspec.json.Decoder().decode
_PLACEHOLDER = "-"


@dataclass(frozen=True, slots=True)
class BadRow:
    """A line that cannot become an event, and why. Never shows what the line holds."""

    file: str
    line: int
    column: str | None
    reason: str

    def __str__(self) -> str:
        column = f", column {self.column}" if self.column else ""
        return f"{self.file}, line {self.line}{column}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Form:
    """What the rows of one load have in common.

    currency, minor_digits: of the column `amount`, which is in major units. now: milliseconds
    since the epoch, against which the future is judged.
    """

    topic: TopicSpec
    body: type[Event]
    now: int
    currency: str = "USD"
    minor_digits: int = 2
    rates: frozenset[str] = frozenset()
    """The other currencies that have a rate."""


class _Wrong(Exception):
    """One line is wrong: column and reason."""

    def __init__(self, column: str | None, reason: str) -> None:
        super().__init__(reason)
        self.column = column
        self.reason = reason


def read_rows(file: io.BufferedReader, name: str, number: int, form: Form) -> Iterator[Row | BadRow]:
    """The rows of one file, in its order; `number` tells its rows from those of other files.

    A file whose first byte is a brace holds JSON lines, any other CSV (commas, semicolons or
    tabs). A header without the needed columns is a BadRow of line 1, and ends the file.
    """
    start = file.peek(4096).removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    if start == b"{":
        yield from _json_rows(file, name, number, form)
    elif start == b"[":
        yield BadRow(name, 1, None, "a JSON array; write one object a line instead")
    else:
        yield from _csv_rows(file, name, number, form)


def _json_rows(file: io.BufferedReader, name: str, number: int, form: Form) -> Iterator[Row | BadRow]:
    decode = msgspec.json.Decoder(form.body).decode
    line_number = 0
    while line := file.readline(LARGEST_VALUE + 1):
        line_number += 1
        if len(line) > LARGEST_VALUE:
            while line and not line.endswith(b"\n"):
                line = file.readline(LARGEST_VALUE)
            yield BadRow(name, line_number, None, f"longer than {LARGEST_VALUE:,} bytes")
            continue
        value = line.strip() if line_number > 1 else line.removeprefix(b"\xef\xbb\xbf").strip()
        if not value:
            continue
        try:
            try:
                # As text: decoding bytes, msgspec does not look at fields it skips.
                yield _row(decode(value.decode()), value, number, COMPLETE, form)
            except msgspec.ValidationError:
                yield _completed(_decode_any(value.decode()), number, form, strict=True)
        except _Wrong as wrong:
            yield BadRow(name, line_number, wrong.column, wrong.reason)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            yield BadRow(name, line_number, None, "not a JSON object in UTF-8")


def _csv_rows(file: io.BufferedReader, name: str, number: int, form: Form) -> Iterator[Row | BadRow]:
    text = io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="")
    first = text.readline()
    delimiter = max(",;\t", key=first.count)
    header = [cell.strip() for cell in next(csv.reader([first], delimiter=delimiter), [])]
    if problem := _header_problem(header, form):
        yield BadRow(name, 1, None, problem)
        return
    build = _builder(header, form)
    reader = csv.reader(text, delimiter=delimiter)
    while True:
        try:
            cells = next(reader)
            if cells:
                yield _completed(build(cells), number, form, strict=False)
        except StopIteration:
            break
        except _Wrong as wrong:
            yield BadRow(name, reader.line_num + 1, wrong.column, wrong.reason)
        except csv.Error as error:
            yield BadRow(name, reader.line_num + 1, None, f"not CSV: {error}")
    text.detach()


_TELLTALE: Final = {"amount": "purchases", "amount_minor": "purchases", "ticket_id": "support-tickets"}
"""Columns that one topic alone has: with them a file would load into another one without a word."""


def _header_problem(header: list[str], form: Form) -> str | None:
    needed = {"customer_id", "occurred_at"}
    if form.body is Purchase:
        if "amount" in header and "amount_minor" in header:
            return "both amount and amount_minor; keep one"
        needed.add("amount_minor" if "amount_minor" in header else "amount")
    else:
        fields = msgspec.structs.fields(form.body)
        needed |= {field.name for field in fields if field.required and field.name != "id"}
    missing = sorted(needed - set(header))
    if missing:
        found = ", ".join(header) if any(header) else "nothing"
        return f"the header lacks {', '.join(missing)} (it has {found})"
    for column, topic in _TELLTALE.items():
        if column in header and topic != form.topic.name:
            return f"the column {column} belongs to {topic}: is --topic {form.topic.name} right?"
    double = sorted({column for column in header if column and header.count(column) > 1})
    return f"the header names {', '.join(double)} twice" if double else None


def _builder(header: list[str], form: Form) -> Callable[[list[str]], dict[str, Any]]:
    """A function from the cells of a line to the event's JSON object; other columns are ignored."""
    names = {field.name for field in msgspec.structs.fields(form.body)} - {"items", "schema_version"}
    used = [(place, column) for place, column in enumerate(header) if column in names]
    amount_place = header.index("amount") if form.body is Purchase and "amount" in header else None
    money = form.body is Purchase

    def build(cells: list[str]) -> dict[str, Any]:
        if len(cells) != len(header):
            raise _Wrong(None, f"{len(cells)} cells, and the header has {len(header)}")
        event: dict[str, Any] = {column: cell for place, column in used if (cell := cells[place].strip())}
        if money:
            currency = event.setdefault("currency", form.currency)
            if amount_place is not None:
                if currency != form.currency:
                    raise _Wrong("amount", f"not in {form.currency}: give amount_minor for other currencies")
                event["amount_minor"] = _minor_units(cells[amount_place].strip(), form.minor_digits)
            elif "amount_minor" in event:
                event["amount_minor"] = _whole(event["amount_minor"])
        if occurred_at := event.get("occurred_at"):
            event["occurred_at"] = _instant(occurred_at)
        return event

    return build


def _minor_units(amount: str, digits: int) -> int:
    try:
        exact = Decimal(amount).scaleb(digits)
        whole = int(exact)
    except (InvalidOperation, ValueError, OverflowError):
        raise _Wrong("amount", "not a number with a decimal point") from None
    if whole < 0:
        raise _Wrong("amount", "negative; a refund is kind=refund with a positive amount")
    if whole != exact:
        raise _Wrong("amount", f"more than {digits} decimal places")
    return whole


def _whole(cell: str) -> int:
    try:
        return int(cell)
    except ValueError:
        raise _Wrong("amount_minor", "not a whole number") from None


# A history has far fewer days than lines.
@lru_cache(maxsize=100_000)
def _instant(cell: str) -> str:
    """RFC 3339 in UTC; a bare date is the start of that UTC day."""
    try:
        instant = datetime.fromisoformat(cell)
    except ValueError:
        raise _Wrong("occurred_at", "neither RFC 3339 (2026-01-31T12:00:00Z) nor a date") from None
    if instant.tzinfo is None:
        if len(cell) > len("2026-01-31"):
            raise _Wrong("occurred_at", "no time zone; write 2026-01-31T12:00:00Z")
        instant = instant.replace(tzinfo=UTC)
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _completed(event: object, number: int, form: Form, *, strict: bool) -> Row:
    """The row of a JSON object that may lack its id or order id; _Wrong if it lacks anything else."""
    if not isinstance(event, dict):
        raise _Wrong(None, "not a JSON object")
    missing = COMPLETE
    whole = dict(event)
    if "id" not in event:
        missing |= NO_ID
        whole["id"] = _PLACEHOLDER
    if form.body is Purchase and "order_id" not in event:
        missing |= NO_ORDER
        whole["order_id"] = _PLACEHOLDER
    try:
        body = msgspec.convert(whole, form.body, strict=strict)
        value = _encode(event)
    except msgspec.ValidationError as error:
        raise _validation(str(error)) from None
    except UnicodeError:
        raise _Wrong(None, "not UTF-8") from None
    return _row(body, value, number, missing, form)


def _row(body: Event, value: bytes, number: int, missing: int, form: Form) -> Row:
    at = since_epoch(body.occurred_at)
    if at < 0:
        raise _Wrong("occurred_at", "before 1970")
    if at > form.now + CLOCK_TOLERANCE_MS:
        raise _Wrong("occurred_at", "in the future")
    if isinstance(body, Purchase) and body.currency != form.currency and body.currency not in form.rates:
        raise _Wrong("currency", "no rate for it in the playbook")
    if "\0" in body.customer_id:
        raise _Wrong("customer_id", "holds a NUL character")
    if len(value) > LARGEST_VALUE:
        raise _Wrong(None, f"longer than {LARGEST_VALUE:,} bytes")
    return at, body.customer_id.encode(), value, number, missing


_FIELD = re.compile(r" - at `\$\.?([^`]*)`$")
_REQUIRED = re.compile(r"missing required field `(\w+)`")


def _validation(message: str) -> _Wrong:
    """msgspec's "Expected `int` >= 0 - at `$.amount_minor`", taken apart; it never quotes values."""
    if needed := _REQUIRED.search(message):
        return _Wrong(needed[1], "missing")
    place = _FIELD.search(message)
    reason = _FIELD.sub("", message)
    return _Wrong(place[1] or None if place else None, reason[:1].lower() + reason[1:])
