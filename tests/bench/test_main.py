"""The command's options."""

import json
from pathlib import Path

import pytest

from bench.__main__ import arguments_of, plan_of, write
from bench.report import Report, Result, Run


def test_by_default_everything_is_run_three_times_on_a_million() -> None:
    """Slow engines get a stated part of it."""
    plan = plan_of(arguments_of([]))
    assert (1_000_000, 100_000, 30_000, 3) == (
        plan.size.events,
        plan.size.customers,
        plan.slow.events,
        plan.runs,
    )
    assert {"drain", "total", "retention"} == {job for job, _ in plan.pairs()}


def test_quick_is_one_small_run() -> None:
    """Of every engine all the same."""
    quick, full = plan_of(arguments_of(["--quick"])), plan_of(arguments_of([]))
    assert 1 == quick.runs
    assert arguments_of([]).into != arguments_of(["--quick"]).into
    assert quick.size.events <= 20_000
    assert full.pairs() == quick.pairs()


def test_engines_and_jobs_can_be_chosen() -> None:
    """By name, in the table's order."""
    plan = plan_of(arguments_of(["--only", "aiokafka, winback", "--jobs", "total,drain"]))
    assert [("drain", "aiokafka"), ("total", "winback")] == [
        (job, engine.name) for job, engine in plan.pairs()
    ]


@pytest.mark.parametrize("words", [["--only", "storm"], ["--jobs", "total,storm"]])
def test_a_name_that_does_not_exist_is_a_mistake(words: list[str]) -> None:
    """The message names those that do."""
    with pytest.raises(SystemExit, match=r"storm; there are: \w+"):
        plan_of(arguments_of(words))


def test_results_are_a_file_a_job_and_a_picture(tmp_path: Path) -> None:
    """Each with everything that it was measured on."""
    results = [Result(job, "winback", "", 10, [Run(2.0, 1.0, 1.0, 50.0)]) for job in ("total", "retention")]
    write(Report("abc1234", "a machine", "a broker", 0.5, 10, 5, 237.0, results), tmp_path / "new")
    assert ["bench.svg", "retention.json", "total.json"] == sorted(
        path.name for path in (tmp_path / "new").iterdir()
    )
    read = json.loads((tmp_path / "new" / "total.json").read_bytes())
    assert ("abc1234", "a machine") == (read["commit"], read["machine"])
    [result] = read["results"]
    assert ("total", 2.0) == (result["job"], result["runs"][0]["seconds"])
