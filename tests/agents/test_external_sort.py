"""Sorting by time: stable, complete, and within its memory."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.external_sort import sort_by_time

Row = tuple[int, bytes, bytes, int]


def rows_of(instants: list[int]) -> list[Row]:
    """One row an instant, numbered in order of arrival."""
    return [(instant, b"k", b"v" * 50, number) for number, instant in enumerate(instants)]


@given(
    instants=st.lists(st.integers(-5, 5), max_size=120), memory=st.integers(1, 8000), fan_in=st.integers(2, 5)
)
def test_any_split_into_runs_gives_the_stable_sort(instants: list[int], memory: int, fan_in: int) -> None:
    """Whatever fits into memory and however many runs are merged at once, the order is Python's own."""
    rows = rows_of(instants)
    expected = sorted(rows, key=lambda row: row[0])
    assert expected == list(sort_by_time(rows, memory=memory, fan_in=fan_in))


def test_what_fits_in_memory_never_touches_the_disk(tmp_path: Path) -> None:
    """Below the bound no directory is asked for: one that does not exist is no obstacle."""
    assert [1, 2, 3] == [row[0] for row in sort_by_time(rows_of([3, 1, 2]), directory=tmp_path / "missing")]


def test_runs_are_gone_when_the_iterator_is_closed_early(tmp_path: Path) -> None:
    """Who stops half way leaves no temporary file behind."""
    rows = sort_by_time(rows_of([5, 4, 3, 2, 1]), memory=1, directory=tmp_path)
    assert next(rows)[0] == 1
    assert list(tmp_path.iterdir())
    rows.close()
    assert not list(tmp_path.iterdir())


def test_an_error_in_the_source_leaves_nothing_behind(tmp_path: Path) -> None:
    """An exception while reading passes through, and the runs written so far are removed."""

    def broken() -> Iterator[Row]:
        yield from rows_of([2, 1])
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        list(sort_by_time(broken(), memory=1, directory=tmp_path))
    assert not list(tmp_path.iterdir())
