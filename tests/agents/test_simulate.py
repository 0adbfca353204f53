"""`winback simulate` into files."""

from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path

import msgspec
import pytest

from agents.population import CUSTOMERS, DAYS, SEED, START, population
from agents.rows import BadRow, Form, read_rows
from agents.simulate import Plan, run_files, write_files
from schemas.codec import encode_event
from schemas.errors import ConfigurationError
from schemas.events import Event
from schemas.topics import SOURCES

PLAN = Plan(customers=30, start=date(2024, 1, 1), days=200, seed=5)


def test_the_default_plan_is_the_default_population() -> None:
    """What the documentation calls the default population is one and the same thing."""
    assert (CUSTOMERS, START, DAYS, SEED) == (Plan().customers, Plan().start, Plan().days, Plan().seed)


def test_the_files_hold_the_population_sorted(tmp_path: Path) -> None:
    """One file a topic, ascending by time, with the very events of `population`."""
    written = write_files(PLAN, tmp_path / "new")
    whole = population(5, 30, date(2024, 1, 1), 200)
    topics: tuple[Sequence[Event], ...] = (whole.purchases, whole.logins, whole.tickets)
    for spec, events in zip(SOURCES, topics, strict=True):
        lines = (tmp_path / "new" / f"{spec.name}.jsonl").read_bytes().splitlines()
        assert len(events) == len(lines) == written.lines[f"{spec.name}.jsonl"]
        assert sorted(encode_event(event) for event in events) == sorted(lines)
        instants = [datetime.fromisoformat(msgspec.json.decode(line)["occurred_at"]) for line in lines]
        assert sorted(instants) == instants


def test_the_truth_stands_beside_them(tmp_path: Path) -> None:
    """One line a customer; the count of drop-outs is that of the lines that date one."""
    written = write_files(PLAN, tmp_path)
    truth = [msgspec.json.decode(line) for line in (tmp_path / "truth.jsonl").read_bytes().splitlines()]
    assert 30 == len(truth)
    assert sum(line["dropped_at"] is not None for line in truth) == written.dropped_out > 0


def test_the_same_plan_gives_the_same_bytes(tmp_path: Path) -> None:
    """Every file, byte for byte."""
    for name in ("a", "b"):
        write_files(PLAN, tmp_path / name)
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()


def test_the_files_load(tmp_path: Path) -> None:
    """`winback load` takes every line."""
    write_files(PLAN, tmp_path)
    for spec in SOURCES:
        form = Form(spec, spec.body, now=2_000_000_000_000)  # type: ignore[arg-type]
        with (tmp_path / f"{spec.name}.jsonl").open("rb") as file:
            rows = list(read_rows(file, spec.name, 0, form))
        assert rows
        assert not [row for row in rows if isinstance(row, BadRow)]


def test_somewhere_to_write_is_needed() -> None:
    """Without --out and without --live there is nothing to do, which is a mistake."""
    with pytest.raises(ConfigurationError, match=r"Give --out DIR for files, or --live"):
        run_files(PLAN, None, as_json=True)


def test_a_directory_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    """A file stands where the directory should be."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match=r"file cannot be written: "):
        run_files(PLAN, tmp_path / "file", as_json=True)


def test_a_history_beyond_the_calendar_is_a_mistake(tmp_path: Path) -> None:
    """Years have four digits."""
    with pytest.raises(ConfigurationError, match="--days 545: the calendar ends on 9999-12-31"):
        run_files(Plan(customers=1, start=date(9999, 1, 1)), tmp_path, as_json=True)
