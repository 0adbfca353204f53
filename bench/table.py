"""The table for people, in Markdown, with ratios to Winback in brackets."""

from collections.abc import Iterator, Sequence
from statistics import median
from typing import Final

from bench.report import Report, Result

WINBACK: Final = "winback"
_HEADS: Final = (
    "engine",
    "events/s, median",
    "least",
    "most",
    "CPU s a million",
    "broker's",
    "MB at most",
    "settings",
)
_WORDS: Final = (0, 7)
"""Columns that are words, and stand left."""
_LIMIT: Final = "drain"
"""The job of those that read and do nothing; they stand below every other job."""


def page(report: Report) -> str:
    """Every job's table, with what it was measured on."""
    versions = ", ".join(f"{name} {version}" for name, version in sorted(report.versions.items()))
    lines = [
        f"{report.events:,} purchases of {report.value_bytes:.0f} bytes, {report.customers:,} customers",
        f"commit {report.commit}; {report.broker}; {versions}",
        f"{report.machine}; load before: {report.load:.2f}",
    ]
    jobs = [job for job in dict.fromkeys(result.job for result in report.results) if job != _LIMIT]
    for job in jobs or [_LIMIT]:
        lines += ["", job, "", *table(report.of(job) + (report.of(_LIMIT) if job != _LIMIT else []), report)]
    return "\n".join(lines) + "\n"


def table(results: Sequence[Result], report: Report) -> Iterator[str]:
    """A job's lines; below them what was not run and why, and what was measured on a part of the input."""
    measured = [result for result in results if result.runs]
    winback = next((result for result in measured if result.engine == WINBACK), None)
    rows = [_HEADS, *(_row(result, winback) for result in measured)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADS))]
    for number, row in enumerate(rows):
        yield _line(row, widths)
        if number == 0:
            yield _line(["-" * width for width in widths], widths)
    for result in measured:
        if result.events < report.events:
            yield f"{result.engine}: on the first {result.events:,} purchases"
        if result.triggers:
            yield f"{result.engine}: {result.triggers:,} triggers a run"
    for result in results:
        if result.not_run:
            yield f"{result.engine}: not run, {result.not_run}"
        if result.failed:
            yield f"{result.engine}: FAILED, {result.failed}"


def ratio(value: float, of_winback: float) -> str:
    """In brackets; nothing where there is nothing to compare with."""
    if not of_winback:
        return ""
    times = value / of_winback
    return f" ({times:.2f})" if times < 10 else f" ({times:.0f})"


def figure(value: float, words: str) -> str:
    """Of CPU and memory, which not every machine tells: a dash for zero."""
    return words if value else "-"


def _row(result: Result, winback: Result | None) -> Sequence[str]:
    least, middle, most = result.rates[0], median(result.rates), result.rates[-1]
    theirs = (middle, result.cpu_per_million, result.peak_megabytes)
    ours = (0.0, 0.0, 0.0)
    if winback is not None:
        ours = (median(winback.rates), winback.cpu_per_million, winback.peak_megabytes)
    rate, cpu, memory = [ratio(value, of_winback) for value, of_winback in zip(theirs, ours, strict=True)]
    return (
        result.engine,
        f"{middle:,.0f}{rate}",
        f"{least:,.0f}",
        f"{most:,.0f}",
        figure(result.cpu_per_million, f"{result.cpu_per_million:.1f}{cpu}"),
        figure(result.broker_cpu_per_million, f"{result.broker_cpu_per_million:.1f}"),
        figure(result.peak_megabytes, f"{result.peak_megabytes:.0f}{memory}"),
        result.settings,
    )


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [
        cell.ljust(width) if column in _WORDS else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return f"| {' | '.join(cells)} |"
