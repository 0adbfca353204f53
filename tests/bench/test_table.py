"""The table for people."""

from bench.report import Report, Result, Run
from bench.table import page, ratio, table


def _result(engine: str, seconds: list[float], *, events: int = 1_000_000, job: str = "total") -> Result:
    runs = [Run(each, cpu_seconds=2 * each, broker_cpu_seconds=1.0, peak_megabytes=100.0) for each in seconds]
    return Result(job, engine, "as it is", events, runs, {engine: "1.0"})


def _report(*results: Result) -> Report:
    return Report("abc1234", "a machine", "a broker", 0.5, 1_000_000, 100_000, 237.4, results)


def _cells(*results: Result) -> list[list[str]]:
    lines = [line for line in table(results, _report(*results)) if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_a_row_shows_the_median_and_how_far_the_runs_lay_apart() -> None:
    """Of an odd number of runs it is one of them."""
    [row] = _cells(_result("winback", [5.0, 10.0, 4.0]))
    assert ["winback", "200,000 (1.00)", "100,000", "250,000"] == row[:4]


def test_others_are_shown_as_ratios_to_winback() -> None:
    """More than one is more: of events good, of CPU seconds and memory bad."""
    _, row = _cells(_result("winback", [5.0]), _result("other", [20.0]))
    assert ["other", "50,000 (0.25)", "50,000", "50,000", "40.0 (4.00)", "1.0", "100 (1.00)"] == row[:7]


def test_without_winback_there_are_no_ratios() -> None:
    """The figures stand alone."""
    assert "50,000" == _cells(_result("other", [20.0]))[0][1]


def test_figures_that_the_machine_does_not_tell_are_left_out() -> None:
    """A dash, rather than zero CPU seconds."""
    untold = Result("total", "other", "", 100, [Run(1.0, 0.0, 0.0, 0.0)])
    assert ["-", "-", "-"] == _cells(untold)[0][4:7]


def test_large_ratios_need_no_decimals() -> None:
    """Below ten two, above none; nothing without anything to compare with."""
    assert [" (0.50)", " (9.50)", " (45)", ""] == [
        ratio(1, 2),
        ratio(19, 2),
        ratio(90, 2),
        ratio(1, 0),
    ]


def test_an_engine_that_cannot_be_had_is_one_line() -> None:
    """With the reason, and without a row."""
    missing = Result("total", "other", "", 1_000_000, not_run="no Maven")
    lines = list(table([_result("winback", [5.0]), missing], _report()))
    assert "other: not run, no Maven" == lines[-1]
    assert 3 == sum(line.startswith("|") for line in lines)


def test_an_engine_that_did_its_work_wrongly_says_so() -> None:
    """Beside the runs that were right."""
    wrong = Result("total", "other", "", 1_000_000, failed="3 of 5 customers are wrong")
    assert "other: FAILED, 3 of 5 customers are wrong" == list(table([wrong], _report()))[-1]


def test_a_part_of_the_input_is_named() -> None:
    """Where an engine was too slow for all of it."""
    lines = list(table([_result("faust", [10.0], events=30_000)], _report()))
    assert "faust: on the first 30,000 purchases" == lines[-1]


def test_the_page_names_commit_versions_and_machine() -> None:
    """And the limits, those that only read, stand below every job."""
    results = [_result("winback", [5.0]), _result("aiokafka", [2.0], job="drain")]
    said = page(_report(*results))
    for words in ("abc1234", "a machine", "a broker", "winback 1.0", "1,000,000 purchases of 237 bytes"):
        assert words in said
    assert said.index("\ntotal\n") < said.index("| aiokafka")
    assert "\ndrain\n" not in said
