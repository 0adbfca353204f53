"""Which of the bars of scale are missed, and what is not judged because it was not measured."""

from typing import Any

import pytest

from bench.scale import cost_ratio, median, missed, table


def size(customers: int, cost: float = 10.0, megabytes: float = 500.0) -> dict[str, float]:
    """The result of one size."""
    return {
        "customers": customers,
        "events": 1000,
        "recovery_seconds": 1.0,
        "megabytes": megabytes,
        "megabytes_after": megabytes,
        "cpu_seconds_per_million": cost,
        "events_per_second": 1e5,
        "triggers_per_event": 0.1,
        "deadlines": customers,
    }


def result(**changes: Any) -> dict[str, Any]:
    """A result that holds every bar."""
    return {
        "median_state_bytes": 500.0,
        "fetch_max_records": 4000,
        "batch_max_records": 16_000,
        "empty_megabytes": 80.0,
        "sizes": [
            size(10_000, 5.0),
            size(100_000, 10.0),
            size(1_000_000, 11.0, 790.0),
            size(3_000_000, 12.9, 2e3),
        ],
        "asleep": {"customers": 1_000_000, "empty_share": 0.05, "share": 0.059},
        "crews": [crew(1, 10.0), crew(2, 10.9)],
        **changes,
    }


def crew(workers: int, cost: float) -> dict[str, float]:
    """The result of one worker, or of two."""
    return {
        "workers": workers,
        "smallest_share": 1 / workers,
        "cpu_seconds_per_million": cost,
        "broker_cpu_seconds_per_million": 5.0,
    }


def test_bars_that_are_held_are_not_spoken_of() -> None:
    """All of them at once."""
    assert [] == missed(result())


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"sizes": [size(100_000, 10.0), size(3_000_000, 13.1)]}, "1.31 times"),
        ({"sizes": [size(1_000_000, megabytes=801.0)]}, "801 MB"),
        ({"asleep": {"customers": 1, "empty_share": 0.05, "share": 0.061}}, "1.1% of a core"),
        ({"crews": [crew(1, 10.0), crew(2, 11.1)]}, "1.11 times the CPU time of one"),
    ],
)
def test_a_bar_that_is_missed_is_named(changes: dict[str, Any], expected: str) -> None:
    """With the figure that misses it."""
    [said] = missed(result(**changes))
    assert expected in said


def test_ten_thousand_customers_are_reported_not_judged() -> None:
    """A batch holds more repeats of the same customers there, so the ratio begins at 100,000."""
    assert cost_ratio({10_000: size(10_000, 1.0), 3_000_000: size(3_000_000, 99.0)}) is None
    assert 2.0 == cost_ratio({each: size(each, cost) for each, cost in ((100_000, 5.0), (1_000_000, 10.0))})


def test_what_was_not_measured_is_not_judged() -> None:
    """Whatever is left out on the command line."""
    assert [] == missed({"sizes": [], "crews": []})
    assert [] == table({"sizes": [], "crews": []}).splitlines()


def test_the_median_of_several_runs_is_taken_figure_by_figure() -> None:
    """Of each figure for itself."""
    assert {"a": 2.0, "b": 5.0} == median([{"a": 1.0, "b": 9.0}, {"a": 2.0, "b": 5.0}, {"a": 3.0, "b": 1.0}])


def test_the_table_states_fetch_size_and_median_state() -> None:
    """What the bars are stated for."""
    drawn = table(result())
    assert "median state 500 bytes" in drawn
    assert "4,000 records" in drawn
    assert "16,000 records" in drawn
    assert "1.29 times that at 100,000" in drawn
