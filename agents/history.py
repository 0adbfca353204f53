"""Purchase history, from CSV files to what a fit needs: counts of silences, and spends.

A history is read row by row into three columns (20 bytes a row) and a table of customers, so that
files need neither be sorted nor fit into memory as text. `compact` then merges same-day orders and
reduces the columns to two small things:

    counts   how many customers share (x, first day, last day). They can be merged: the counts of two
             halves of the customers, added, are those of the whole. Cells are days, not weeks: CDNOW
             makes 8,685 cells of days and 2,171 of weeks, and both fit in a blink, but weeks cost
             the third digit of every parameter.
    spends   x and mean spend of each customer who came back; they take part one by one.
"""

import csv
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from math import isfinite
from pathlib import Path
from typing import Final, NoReturn, TypeAlias

import numpy as np
from numpy.typing import NDArray

from schemas.errors import ConfigurationError

Whole: TypeAlias = NDArray[np.int64]
Real: TypeAlias = NDArray[np.float64]

NEEDED: Final = ("customer_id", "occurred_at", "amount")
LONGEST_LINE: Final = 1_000_000
"""Bytes; a longer line is noise, not a purchase."""
MOST: Final = 10**10
"""Major units; the largest order there is, as in schemas/events.py."""

_EPOCH: Final = date(1970, 1, 1).toordinal()
_DATE_LENGTH: Final = len("2026-01-31")


@dataclass(slots=True)
class History:
    """Rows as columns, in the order read. amounts: major units, below 0 where the row is a refund."""

    currency: str
    today: date
    indices: dict[str, int] = field(default_factory=dict)
    customers: "array[int]" = field(default_factory=lambda: array("i"))
    days: "array[int]" = field(default_factory=lambda: array("i"))
    amounts: "array[float]" = field(default_factory=lambda: array("d"))
    refunds: bytearray = field(default_factory=bytearray)

    def read(self, path: Path, progress: Callable[[int], None]) -> None:
        """Add the rows of one file; `progress` is told how many bytes have been read since it was.

        Commas, semicolons or tabs; a header with customer_id, occurred_at (RFC 3339, or a date) and
        amount (major units); also read: kind (purchase or refund) and currency. Raises
        ConfigurationError, one line naming file, line, column and what is allowed.
        """
        try:
            with path.open("rb") as file:
                self._rows(path, _Lines(file, path, progress))
        except OSError as error:
            raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from error

    def _rows(self, path: Path, lines: "_Lines") -> None:
        first = next(lines, "")
        delimiter = max(",;\t", key=first.count)
        header = [cell.strip() for cell in next(csv.reader([first], delimiter=delimiter), [])]
        _check_header(path, header)
        customer_at, instant_at, amount_at = (header.index(name) for name in NEEDED)
        kind_at = header.index("kind") if "kind" in header else None
        currency_at = header.index("currency") if "currency" in header else None
        known_days: dict[str, int] = {}
        reader = csv.reader(lines, delimiter=delimiter)
        while True:
            try:
                cells = next(reader)
                if not cells:
                    continue
                if len(cells) != len(header):
                    _refuse(path, lines.number, None, f"{len(cells)} cells, and the header has {len(header)}")
                instant = cells[instant_at].strip()
                day = known_days.get(instant)
                if day is None:
                    day = self._day(instant)
                    if len(instant) == _DATE_LENGTH:
                        known_days[instant] = day
                amount = _amount(cells[amount_at])
                refund = kind_at is not None and _is_refund(cells[kind_at].strip())
                if currency_at is not None:
                    _check_currency(cells[currency_at].strip(), self.currency)
                customer = _customer(cells[customer_at].strip())
            except StopIteration:
                return
            except _Wrong as wrong:
                _refuse(path, lines.number, wrong.column, wrong.reason)
            except csv.Error as error:
                _refuse(path, lines.number, None, f"is not CSV: {error}")
            self.customers.append(self.indices.setdefault(customer, len(self.indices)))
            self.days.append(day)
            self.amounts.append(-amount if refund else amount)
            self.refunds.append(refund)

    def _day(self, cell: str) -> int:
        """Days since the epoch of an instant's UTC day."""
        try:
            instant = datetime.fromisoformat(cell)
            if instant.tzinfo is not None:
                instant = instant.astimezone(UTC)
        except (ValueError, OverflowError):
            raise _Wrong("occurred_at", "must be RFC 3339 (2026-01-31T12:00:00Z) or a date") from None
        if instant.tzinfo is None and len(cell) > _DATE_LENGTH:
            raise _Wrong("occurred_at", "has no time zone; write 2026-01-31T12:00:00Z")
        day = instant.toordinal() - _EPOCH
        if day < 0:
            raise _Wrong("occurred_at", "is before 1970")
        if instant.date() > self.today:
            raise _Wrong("occurred_at", "is in the future")
        return day


class _Wrong(Exception):
    """A cell is wrong: its column, and what is allowed. Never shows what the cell holds."""

    def __init__(self, column: str, reason: str) -> None:
        super().__init__(reason)
        self.column = column
        self.reason = reason


def _refuse(path: Path, line: int, column: str | None, reason: str) -> NoReturn:
    place = f"{path}, line {line}" + (f", column {column}" if column else "")
    raise ConfigurationError(f"{place}: {reason}")


def _check_header(path: Path, header: list[str]) -> None:
    found = ", ".join(header) if any(header) else "nothing"
    missing = [name for name in NEEDED if name not in header]
    if missing:
        _refuse(path, 1, None, f"the header lacks {', '.join(missing)} (it has {found})")
    twice = sorted({name for name in (*NEEDED, "kind", "currency") if header.count(name) > 1})
    if twice:
        _refuse(path, 1, None, f"the header names {', '.join(twice)} twice")


def _amount(cell: str) -> float:
    try:
        amount = float(cell)
    except ValueError:
        amount = float("nan")
    if not isfinite(amount) or "_" in cell:
        raise _Wrong("amount", "must be a number with a decimal point, in major units")
    if amount < 0:
        raise _Wrong("amount", "is negative; a refund is kind=refund with a positive amount")
    if amount > MOST:
        raise _Wrong("amount", f"is above {MOST:,}")
    return amount


def _is_refund(kind: str) -> bool:
    if kind not in {"", "purchase", "refund"}:
        raise _Wrong("kind", "must be purchase or refund")
    return kind == "refund"


def _check_currency(cell: str, currency: str) -> None:
    if cell not in {"", currency}:
        raise _Wrong("currency", f"must be {currency}; one model is fitted on one currency")


def _customer(cell: str) -> str:
    if not cell:
        raise _Wrong("customer_id", "is empty")
    return cell


class _Lines(Iterator[str]):
    """The lines of a file as text, with the number of the last one; reports bytes as it goes."""

    def __init__(self, file: "Iterator[bytes]", path: Path, progress: Callable[[int], None]) -> None:
        self._file = file
        self._path = path
        self._progress = progress
        self._unreported = 0
        self.number = 0

    def __next__(self) -> str:
        try:
            line = next(self._file)
        except StopIteration:
            self._progress(self._unreported)
            self._unreported = 0
            raise
        self.number += 1
        self._unreported += len(line)
        if self._unreported >= 1 << 20:
            self._progress(self._unreported)
            self._unreported = 0
        if len(line) > LONGEST_LINE:
            _refuse(self._path, self.number, None, f"is longer than {LONGEST_LINE:,} bytes")
        try:
            return line.decode("utf-8-sig" if self.number == 1 else "utf-8")
        except UnicodeDecodeError:
            _refuse(self._path, self.number, None, "is not UTF-8")


@dataclass(frozen=True, slots=True)
class Counts:
    """Cells of customers with the same history. One array element a cell; days, not weeks.

    repeat_days: x. active: last purchase day less first. observed: last day that counts less first
    purchase day. customers: how many share the cell.
    """

    repeat_days: Whole
    active: Whole
    observed: Whole
    customers: Whole


@dataclass(frozen=True, slots=True)
class Spends:
    """One element a customer with a repeat purchase day and a positive mean: x, and that mean.

    per_day: mean spend of a purchase day over all customers, the first days included; 0 if unknown.
    """

    repeat_days: Whole
    means: Real
    per_day: float


@dataclass(frozen=True, slots=True)
class Compacted:
    """A history up to a last day, reduced. first, last: days since the epoch."""

    counts: Counts
    spends: Spends
    customers: int
    purchase_days: int
    first: int
    last: int


def compact(history: History, until: date | None) -> Compacted | None:
    """The history up to and with the day `until`, by default its newest; None where nobody bought.

    A refund makes no purchase day. It lowers the spend of its own day: repeat spend is all spend
    less that of the first day, as in the facet `purchases`.
    """
    customer = np.frombuffer(history.customers, np.int32).astype(np.int64)
    day = np.frombuffer(history.days, np.int32).astype(np.int64)
    amount = np.frombuffer(history.amounts, np.float64)
    order = np.frombuffer(history.refunds, np.uint8) == 0
    last_day = until.toordinal() - _EPOCH if until else int(day.max(initial=0))
    seen = day <= last_day
    customer, day, amount, order = customer[seen], day[seen], amount[seen], order[seen]
    if not order.any():
        return None

    size = len(history.indices)
    pairs = np.unique((customer[order] << 32) | day[order])
    owners, days = pairs >> 32, pairs & ((1 << 32) - 1)
    purchase_days = np.bincount(owners, minlength=size)
    starts = np.searchsorted(owners, np.arange(size))
    bought = purchase_days > 0
    first = np.zeros(size, np.int64)
    first[bought] = days[starts[bought]]
    last = np.zeros(size, np.int64)
    last[bought] = days[(starts + purchase_days - 1)[bought]]

    spend = np.bincount(customer, amount, size)
    on_first_day = day == first[customer]
    repeat_spend = spend - np.bincount(customer[on_first_day], amount[on_first_day], size)
    repeat_days = purchase_days - 1
    spent = spend[bought].sum() / len(pairs)
    back = (repeat_days > 0) & (repeat_spend > 0)
    cells, customers = np.unique(
        np.stack((repeat_days, last - first, last_day - first))[:, bought], axis=1, return_counts=True
    )
    return Compacted(
        Counts(cells[0], cells[1], cells[2], customers),
        Spends(repeat_days[back], repeat_spend[back] / repeat_days[back], max(float(spent), 0.0)),
        int(bought.sum()),
        len(pairs),
        int(first[bought].min()),
        last_day,
    )
