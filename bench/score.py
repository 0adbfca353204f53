"""What the score costs per event: `python -m bench.score [--json]`.

Two thousand customers of the packaged prior's kind, each with a lapse age of 90 days and q = .8.
The mean is that of a loop over all of them, the best of fifty rounds as in timeit: what the code
takes while nobody else takes the processor. The 99th percentile is of calls timed one by one, the
cost of reading the timer and whatever else the machine does included.
"""

import argparse
import json
from collections.abc import Callable
from random import Random
from statistics import quantiles
from time import perf_counter, perf_counter_ns

from rich.console import Console
from rich.table import Table

from streams.core.model import Model
from streams.core.score import WEEK, Silence, crossing, p_lapse, score_at, silence_of

PRIOR = Model(r=0.637, alpha=7.310, a=0.807, b=1.228, p=6.28, q=3.62, gamma=14.98)
LAPSE_AGE = 90 * 86_400_000
LIMIT = 5.0
"""Microseconds that score and crossing may take together."""

Case = tuple[int, int, Silence, int]


def population(size: int) -> list[Case]:
    """(purchase days, instant of the last, silence, its length): one tuple a customer; the first at 0."""
    random = Random(20)
    cases = []
    for _ in range(size):
        days = 1 + int(random.expovariate(0.3))
        last_at = random.randrange(1, 104 * WEEK) if days > 1 else 0
        cases.append((days, last_at, silence_of(PRIOR, days, 0, last_at), random.randrange(LAPSE_AGE)))
    return cases


CALLS: dict[str, Callable[[Case], object]] = {
    "the loop alone": lambda case: case,
    "silence_of": lambda case: silence_of(PRIOR, case[0], 0, case[1]),
    "p_lapse": lambda case: p_lapse(case[2], LAPSE_AGE, case[3]),
    "crossing": lambda case: crossing(case[2], LAPSE_AGE, 0.8),
    "score_at": lambda case: score_at(PRIOR, case[2], LAPSE_AGE, case[3]),
    "score_at + crossing": lambda case: (
        score_at(PRIOR, case[2], LAPSE_AGE, case[3]),
        crossing(case[2], LAPSE_AGE, 0.8),
    ),
}


def measure(call: Callable[[Case], object], cases: list[Case], rounds: int = 50) -> dict[str, float]:
    """Mean and 99th percentile of one call, in microseconds."""
    best = float("inf")
    for _ in range(rounds):
        begun = perf_counter()
        for case in cases:
            call(case)
        best = min(best, perf_counter() - begun)
    singles = []
    for case in cases * 5:
        at = perf_counter_ns()
        call(case)
        singles.append(perf_counter_ns() - at)
    return {"mean": best / len(cases) * 1e6, "p99": quantiles(singles, n=100)[98] / 1000}


def main() -> int:
    """Measure and print; the exit code is 1 where score plus crossing exceed the limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    as_json = parser.parse_args().json
    cases = population(2_000)
    figures = {name: measure(call, cases) for name, call in CALLS.items()}
    within = figures["score_at + crossing"]["mean"] <= LIMIT
    if as_json:
        print(json.dumps({"unit": "microseconds", "limit": LIMIT, "within": within, "calls": figures}))
    else:
        table = Table("call", "mean, us", "p99, us", title="The score, pure Python")
        for name, figure in figures.items():
            table.add_row(name, f"{figure['mean']:.2f}", f"{figure['p99']:.2f}")
        console = Console()
        console.print(table)
        console.print(f"score plus crossing {'within' if within else 'above'} {LIMIT:g} us in the mean")
    return 0 if within else 1


if __name__ == "__main__":
    raise SystemExit(main())
