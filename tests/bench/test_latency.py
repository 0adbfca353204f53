"""Which trigger counts for which event, and which bars are judged."""

from typing import Any

import pytest

from bench.latency import Arrival, draw, missed, outcome, table
from tests.bench.made import MADE


def load(
    rate: int, trigger: tuple[float, float] = (5.0, 20.0), late: float = 50.0, lost: int = 0
) -> dict[str, Any]:
    """A load's result with these p50 and p99 from event to trigger, and p99 of lateness."""
    p50, p99 = trigger

    def durations(p50: float, p99: float) -> dict[str, Any]:
        return {"count": 9, "p50": p50, "p90": p50, "p99": p99, "p999": p99, "max": p99, "bins": [(p50, 9)]}

    return {
        "rate": rate,
        "missing": lost,
        "events_per_second": float(rate),
        "behind_p99_ms": 1.0,
        "worker_cores": 0.5,
        "broker_cores": 0.5,
        "transactions_per_second": 100.0,
        "trigger_ms": durations(p50, p99),
        "lateness_ms": durations(10.0, late),
    }


def test_a_customers_first_trigger_after_the_event_counts() -> None:
    """What had been said before the event, and what is said later on, does not."""
    arrivals = [Arrival(b"a", 1.0, 0.0), Arrival(b"a", 2.5, 0.0), Arrival(b"a", 9.0, 0.0)]
    told = outcome(arrivals, {b"a": 2.0}, {})
    assert (0, 1, pytest.approx(500)) == (
        told["missing"],
        told["trigger_ms"]["count"],
        told["trigger_ms"]["max"],
    )


def test_lateness_is_from_the_due_instant() -> None:
    """In milliseconds of the wall clock."""
    told = outcome([Arrival(b"s", 1.0, 1042.5)], {}, {b"s": 1000})
    assert 42.5 == told["lateness_ms"]["max"]


def test_what_never_came_is_missing() -> None:
    """A cause and a silence without a trigger, however many others have one."""
    told = outcome([Arrival(b"a", 3.0, 0.0)], {b"a": 2.0, b"b": 2.0}, {b"s": 1000})
    assert 2 == told["missing"]


def test_bars_that_are_held_are_not_spoken_of() -> None:
    """At the rates that are judged."""
    assert [] == missed([load(0), load(1000)])


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (load(1000, trigger=(15.1, 20.0)), "event to trigger p50 15.1 ms at 1,000 events/s, above 15"),
        (load(1000, trigger=(5.0, 80.1)), "event to trigger p99 80.1 ms at 1,000 events/s, above 80"),
        (load(1000, late=100.1), "lateness p99 100.1 ms at 1,000 events/s, above 100"),
        (load(0, late=100.1), "lateness p99 100.1 ms at 0 events/s, above 100"),
        (load(10_000, lost=3), "3 triggers never came at 10,000 events/s"),
    ],
)
def test_a_bar_that_is_missed_is_named(result: dict[str, Any], expected: str) -> None:
    """With the figure, the load, and the bar."""
    assert [expected] == missed([result])


def test_ten_thousand_a_second_are_reported_not_judged() -> None:
    """The issue sets no bar there; that each trigger comes is asked at any rate."""
    assert [] == missed([load(10_000, trigger=(500.0, 900.0), late=900.0)])


def test_the_table_has_a_line_a_distribution_and_one_a_load() -> None:
    """Nobody has to read JSON."""
    assert 1 + 4 + 2 == len(table([load(0), load(1000)]).splitlines())


def test_where_nothing_is_sent_nothing_is_said_of_it() -> None:
    """Nobody can be behind with what there is none of: the figure is no number."""
    idle = load(0) | {"behind_p99_ms": float("nan")}
    assert "0 events/s: worker 0.50 cores, broker 0.50; 100 transactions/s" == table([idle]).splitlines()[-1]


def test_the_pictures_carry_where_they_were_made(tmp_path: Any) -> None:
    """Commit and machine stand below each."""
    draw(MADE | {"loads": [load(0), load(1000)]}, tmp_path)
    for name in ("latency", "lateness"):
        drawn = (tmp_path / f"{name}.svg").read_text()
        assert "abc1234" in drawn
        assert "Some Processor" in drawn
        assert "1,000 events/s" in drawn
