"""The picture for people: events a second of each engine as bars, a panel a job."""

from collections.abc import Iterator, Sequence
from html import escape
from statistics import median
from typing import Final

from bench.report import Report, Result
from bench.table import WINBACK

_WIDTH: Final = 900
_LEFT: Final = 170
"""Where the bars begin, in pixels."""
_RIGHT: Final = 260
"""Room for the figures behind the longest bar."""
_ROW: Final = 28
_BAR: Final = 18
_HEAD: Final = 58
_OURS, _THEIRS, _WORDS, _LIMIT = "#1e7d46", "#2f6fae", "#7d8590", "#8a8f98"
"""Each can be seen on white and on black."""
_FONT: Final = "system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif"


def picture(report: Report) -> str:
    """All jobs as one SVG. Whiskers reach from the slowest run to the fastest."""
    jobs = dict.fromkeys(result.job for result in report.results)
    panels = [(job, [result for result in report.of(job) if result.runs]) for job in jobs]
    panels = [(job, results) for job, results in panels if results]
    height = sum(_HEAD + _ROW * len(results) for _, results in panels) + 40
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" font-family="{_FONT}"',
        '     font-size="14" role="img" aria-labelledby="title description">',
        '  <title id="title">Events a second</title>',
        f'  <desc id="description">{escape(_description(panels))}</desc>',
    ]
    top = 0
    for job, results in panels:
        lines += _panel(job, results, top)
        top += _HEAD + _ROW * len(results)
    lines.append(_text(20, height - 14, f"commit {report.commit}; {report.machine}", size=11))
    lines.append("</svg>")
    return "\n".join(lines) + "\n"


def _description(panels: Sequence[tuple[str, Sequence[Result]]]) -> str:
    said = [
        f"{job}: " + ", ".join(f"{result.engine} {median(result.rates):,.0f}" for result in results)
        for job, results in panels
    ]
    return "; ".join(said) + "."


def _panel(job: str, results: Sequence[Result], top: int) -> Iterator[str]:
    most = max(result.rates[-1] for result in results)
    scale = (_WIDTH - _LEFT - _RIGHT) / most
    yield _text(20, top + 34, f"{job}, events a second", size=17)
    for row, result in enumerate(results):
        y = top + _HEAD + _ROW * row
        least, middle, fastest = result.rates[0], median(result.rates), result.rates[-1]
        colour = _OURS if result.engine == WINBACK else _LIMIT if job == "drain" else _THEIRS
        centre = y + _BAR / 2
        yield _text(_LEFT - 10, y + 14, result.engine, anchor="end")
        yield (
            f'  <rect x="{_LEFT}" y="{y}" width="{max(1.0, middle * scale):.1f}" height="{_BAR}" rx="3" '
            f'fill="{colour}"/>'
        )
        yield (
            f'  <path d="M{_LEFT + least * scale:.1f} {centre:.1f}H{_LEFT + fastest * scale:.1f}" '
            f'stroke="{_WORDS}" stroke-width="2"/>'
        )
        words = f"{middle:,.0f}; {result.cpu_per_million:.1f} CPU s a million"
        yield _text(_LEFT + fastest * scale + 8, y + 14, words, size=13)


def _text(x: float, y: float, words: str, *, size: int = 14, anchor: str = "start") -> str:
    return (
        f'  <text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{_WORDS}" '
        f'text-anchor="{anchor}">{escape(words)}</text>'
    )
