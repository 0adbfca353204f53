"""Reading history: what counts as a purchase day, and what is said about a wrong row."""

from collections.abc import Callable
from dataclasses import astuple
from datetime import date
from pathlib import Path

import pytest

from agents.history import LONGEST_LINE, Compacted, History, compact
from schemas.errors import ConfigurationError

TODAY = date(2026, 1, 31)
HEADER = "customer_id,occurred_at,amount"

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a CSV file of the given rows, and return its path."""

    def write(*rows: str, header: str = HEADER, encoding: str = "utf-8", name: str = "history.csv") -> Path:
        path = tmp_path / name
        path.write_bytes("".join(f"{row}\n" for row in (header, *rows)).encode(encoding))
        return path

    return write


def read(*paths: Path, currency: str = "USD") -> History:
    """The rows of all files."""
    history = History(currency, TODAY)
    for path in paths:
        history.read(path, lambda _: None)
    return history


def reduced(*paths: Path, until: date | None = None) -> Compacted:
    """The rows of all files, compacted."""
    compacted = compact(read(*paths), until)
    assert compacted is not None
    return compacted


def cells(compacted: Compacted) -> list[tuple[int, ...]]:
    """(x, active, observed, customers) of each cell."""
    return [tuple(map(int, cell)) for cell in zip(*astuple(compacted.counts), strict=True)]


def test_purchases_of_one_day_are_one(write: Write) -> None:
    """Two orders of a UTC day make one purchase day; the repeat spend is that of later days."""
    compacted = reduced(write("a,2026-01-01,10", "a,2026-01-05,20.50", "a,2026-01-05T23:59:59Z,4"))
    assert [(1, 4, 4, 1)] == cells(compacted)
    assert [24.5] == list(compacted.spends.means)
    assert compacted.spends.per_day == pytest.approx(34.5 / 2)


def test_a_day_is_a_day_of_utc(write: Write) -> None:
    """23:30 in New York is the next day in UTC."""
    compacted = reduced(write("a,2026-01-01,1", "a,2026-01-01T23:30:00-05:00,1"))
    assert [(1, 1, 1, 1)] == cells(compacted)


def test_customers_with_the_same_history_share_a_cell(write: Write) -> None:
    """Two bought on day 0 alone, one on days 0 and 3, one on day 3 alone."""
    rows = ["a,2026-01-01,1", "b,2026-01-01,1", "c,2026-01-01,1", "c,2026-01-04,1", "d,2026-01-04,1"]
    assert [(0, 0, 0, 1), (0, 0, 3, 2), (1, 3, 3, 1)] == cells(reduced(write(*rows)))


def test_neither_the_order_of_rows_nor_their_files_matter(write: Write) -> None:
    """Rows shuffled over two files give the cells and spends of one sorted file."""
    rows = [f"{name},2026-01-{day:02},{day}" for name in "abc" for day in (3, 5, 9, 10 + ord(name) % 7)]
    whole = reduced(write(*rows))
    halves = reduced(
        write(*reversed(rows[::2]), name="one.csv"), write(*reversed(rows[1::2]), name="two.csv")
    )
    assert cells(whole) == cells(halves)
    assert sorted(whole.spends.means) == pytest.approx(sorted(halves.spends.means))


def test_what_comes_after_the_last_day_does_not_count(write: Write) -> None:
    """`until` is the last day that counts, for purchases, for spends and for being observed."""
    path = write("a,2026-01-01,10", "a,2026-01-05,20", "a,2026-01-06,99", "b,2026-01-06,1")
    compacted = reduced(path, until=date(2026, 1, 5))
    assert [(1, 4, 4, 1)] == cells(compacted)
    assert [20] == list(compacted.spends.means)
    assert 1 == compacted.customers


def test_a_refund_is_no_purchase_and_lowers_the_spend(write: Write) -> None:
    """A refund on its own day adds no day; one on the first day leaves the repeat spend alone."""
    compacted = reduced(
        write(
            *(
                "a,2026-01-01,10,purchase",
                "a,2026-01-01,5,refund",
                "a,2026-01-05,20,",
                "a,2026-01-09,8,refund",
            ),
            *("b,2026-01-02,5,refund",),
            header=f"{HEADER},kind",
        )
    )
    assert [(1, 4, 8, 1)] == cells(compacted)
    assert [12] == list(compacted.spends.means)


def test_repeat_days_without_spend_tell_nothing_about_spend(write: Write) -> None:
    """Free or fully refunded repeat orders count for the rhythm and not for the money."""
    compacted = reduced(write("a,2026-01-01,10", "a,2026-01-05,0"))
    assert [(1, 4, 4, 1)] == cells(compacted)
    assert [] == list(compacted.spends.means)


@pytest.mark.parametrize("rows", [[], ["a,2026-01-31,3,refund"]])
def test_nobody_who_bought_is_nobody_to_learn_from(write: Write, rows: list[str]) -> None:
    """A header alone, or refunds alone, compact to None."""
    assert compact(read(write(*rows, header=f"{HEADER},kind")), None) is None


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_other_columns_and_other_delimiters_are_fine(write: Write, delimiter: str) -> None:
    """Columns in any order, unknown ones among them, with a byte order mark and quotes."""
    header = delimiter.join(("\ufeffamount", "note", "occurred_at", "customer_id"))
    row = delimiter.join(("7.5", f'"say ""{delimiter}"""', "2026-01-02", "a"))
    history = read(write(row, "", header=header))
    assert ["a"] == list(history.indices)
    assert [7.5] == list(history.amounts)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("a,yesterday,1", r"line 3, column occurred_at: must be RFC 3339 \(2026-01-31T12:00:00Z\) or a date"),
        (
            "a,2026-01-01T10:00:00,1",
            r"line 3, column occurred_at: has no time zone; write 2026-01-31T12:00:00Z",
        ),
        ("a,1969-12-31,1", "line 3, column occurred_at: is before 1970"),
        ("a,2026-02-01,1", "line 3, column occurred_at: is in the future"),
        ("a,0001-01-01T00:00:00+14:00,1", "line 3, column occurred_at: must be RFC 3339 .*"),
        ("a,2026-01-01,", "line 3, column amount: must be a number with a decimal point, in major units"),
        ("a,2026-01-01,NaN", "line 3, column amount: must be a number .*"),
        ("a,2026-01-01,-inf", "line 3, column amount: must be a number .*"),
        ("a,2026-01-01,1_000", "line 3, column amount: must be a number .*"),
        (
            "a,2026-01-01,-1",
            "line 3, column amount: is negative; a refund is kind=refund with a positive amount",
        ),
        ("a,2026-01-01,10000000001", "line 3, column amount: is above 10,000,000,000"),
        (" ,2026-01-01,1", "line 3, column customer_id: is empty"),
        ("a,2026-01-01", "line 3: 2 cells, and the header has 3"),
        ("a,2026-01-01," + "1" * LONGEST_LINE, "line 3: is longer than 1,000,000 bytes"),
        ("a" * 200_000 + ",2026-01-01,1", r"line 3: is not CSV: field larger than field limit \(131072\)"),
    ],
)
def test_a_wrong_row_names_its_line_and_what_is_allowed(write: Write, row: str, expected: str) -> None:
    """The second row of the file is wrong: line 3, its column, and a sentence."""
    path = write("a,2026-01-01,1", row)
    with pytest.raises(ConfigurationError, match=rf"^{path}, {expected}$"):
        read(path)


@pytest.mark.parametrize(
    ("header", "row", "expected"),
    [
        ("", "", r"line 1: the header lacks customer_id, occurred_at, amount \(it has nothing\)"),
        (
            "customer_id,date",
            "a,1",
            r"line 1: the header lacks occurred_at, amount \(it has customer_id, date\)",
        ),
        (f"{HEADER},amount", "a,2026-01-01,1,1", "line 1: the header names amount twice"),
        (f"{HEADER},kind", "a,2026-01-01,1,gift", "line 2, column kind: must be purchase or refund"),
        (f"{HEADER},currency", "a,2026-01-01,1,EUR", "line 2, column currency: must be USD; .*"),
    ],
)
def test_a_wrong_header_says_what_is_missing(write: Write, header: str, row: str, expected: str) -> None:
    """Columns that lack, stand twice, or hold another currency than the model's."""
    path = write(row, header=header)
    with pytest.raises(ConfigurationError, match=rf"^{path}, {expected}$"):
        read(path)


def test_a_file_in_another_encoding_is_refused(write: Write) -> None:
    """Latin-1 is named as not being UTF-8, with its line."""
    path = write("a,2026-01-01,1", "Zo\xeb,2026-01-01,1", encoding="latin-1")
    with pytest.raises(ConfigurationError, match=rf"^{path}, line 3: is not UTF-8$"):
        read(path)


def test_an_error_never_shows_what_a_row_holds(write: Write) -> None:
    """Customer ids may be personal: they stay out of messages."""
    with pytest.raises(ConfigurationError) as error:
        read(write("mallory@example.org,someday,free"))
    assert "mallory" not in str(error.value)
    assert "someday" not in str(error.value)


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    """The path and the system's reason."""
    with pytest.raises(ConfigurationError, match=r"nowhere\.csv: cannot be read: No such file or directory$"):
        read(tmp_path / "nowhere.csv")


def test_progress_adds_up_to_the_size_of_the_file(write: Write) -> None:
    """However the file is read, the reported bytes are all its bytes, in more than one step."""
    path = write(*(f"customer-{number},2026-01-01,1.00" for number in range(60_000)))
    steps: list[int] = []
    History("USD", TODAY).read(path, steps.append)
    assert path.stat().st_size == sum(steps)
    assert len(steps) > 1
