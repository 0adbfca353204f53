"""The picture for people: events a second of each engine as bars, a panel a job."""

from collections.abc import Iterator, Sequence
from statistics import median
from typing import Final

from bench.report import Report, Result
from bench.svg import BLUE, GREEN, GREY, INK, drawing, text
from bench.table import WINBACK

_WIDTH: Final = 900
_LEFT: Final = 170
"""Where the bars begin, in pixels."""
_RIGHT: Final = 260
"""Room for the figures behind the longest bar."""
_ROW: Final = 28
_BAR: Final = 18
_HEAD: Final = 58


def picture(report: Report) -> str:
    """All jobs as one SVG. Whiskers reach from the slowest run to the fastest."""
    jobs = dict.fromkeys(result.job for result in report.results)
    panels = [(job, [result for result in report.of(job) if result.runs]) for job in jobs]
    panels = [(job, results) for job, results in panels if results]
    height = sum(_HEAD + _ROW * len(results) for _, results in panels) + 40
    body: list[str] = []
    top = 0
    for job, results in panels:
        body += _panel(job, results, top)
        top += _HEAD + _ROW * len(results)
    body.append(text(20, height - 14, f"commit {report.commit}; {report.machine}", size=11))
    return drawing("Events a second", _description(panels), body, _WIDTH, height)


def _description(panels: Sequence[tuple[str, Sequence[Result]]]) -> str:
    said = [
        f"{job}: " + ", ".join(f"{result.engine} {median(result.rates):,.0f}" for result in results)
        for job, results in panels
    ]
    return "; ".join(said) + "."


def _panel(job: str, results: Sequence[Result], top: int) -> Iterator[str]:
    most = max(result.rates[-1] for result in results)
    scale = (_WIDTH - _LEFT - _RIGHT) / most
    yield text(20, top + 34, f"{job}, events a second", size=17)
    for row, result in enumerate(results):
        y = top + _HEAD + _ROW * row
        least, middle, fastest = result.rates[0], median(result.rates), result.rates[-1]
        colour = GREEN if result.engine == WINBACK else GREY if job == "drain" else BLUE
        centre = y + _BAR / 2
        yield text(_LEFT - 10, y + 14, result.engine, size=14, anchor="end")
        yield (
            f'  <rect x="{_LEFT}" y="{y}" width="{max(1.0, middle * scale):.1f}" height="{_BAR}" rx="3" '
            f'fill="{colour}"/>'
        )
        yield (
            f'  <path d="M{_LEFT + least * scale:.1f} {centre:.1f}H{_LEFT + fastest * scale:.1f}" '
            f'stroke="{INK}" stroke-width="2"/>'
        )
        words = f"{middle:,.0f}; {result.cpu_per_million:.1f} CPU s a million"
        yield text(_LEFT + fastest * scale + 8, y + 14, words, size=13)
