"""Histograms and curves as small SVG files: several panels, and a caption of where they were made."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from bench.distribution import BINS_A_DECADE

_FONT: Final = "system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif"
_INK, _LINE, _BAR = "#7d8590", "#2f6fae", "#b32d42"
"""Each can be seen on white and on black."""
_WIDTH: Final = 760
_LEFT, _RIGHT = 70, 40
_PLOT: Final = _WIDTH - _LEFT - _RIGHT


@dataclass(frozen=True, slots=True)
class Histogram:
    """One panel. bins: (lower edge, count), milliseconds. marks: (milliseconds, words) worth a line."""

    title: str
    bins: Sequence[tuple[float, int]]
    marks: Sequence[tuple[float, str]] = ()


@dataclass(frozen=True, slots=True)
class Curve:
    """One panel. points: (customers, figure), ascending. bar: what the figure must not exceed, by x."""

    title: str
    points: Sequence[tuple[float, float]]
    bar: Sequence[tuple[float, float]] = ()


def histograms(title: str, panels: Sequence[Histogram], caption: str) -> str:
    """Panels below one another, on one logarithmic axis of milliseconds from 1 to the largest decade."""
    edges = [edge for panel in panels for edge, _ in panel.bins] + [
        at for panel in panels for at, _ in panel.marks
    ]
    decades = max(2, math.ceil(math.log10(max([*edges, 1.0]) * 10 ** (1 / BINS_A_DECADE)) - 1e-9))

    def across(milliseconds: float) -> float:
        return _LEFT + _PLOT * min(1.0, max(0.0, math.log10(max(milliseconds, 1.0)) / decades))

    body: list[str] = []
    height = 150
    for row, panel in enumerate(panels):
        top = 50 + row * height
        floor = top + height - 45
        body += [
            _text(_LEFT, top + 4, panel.title, size=14),
            f'  <path d="M{_LEFT} {floor}H{_WIDTH - _RIGHT}" stroke="{_INK}"/>',
        ]
        most = max([count for _, count in panel.bins], default=1)
        for edge, count in panel.bins:
            left, right = across(edge), across(edge * 10 ** (1 / BINS_A_DECADE))
            high = (height - 75) * count / most
            body.append(
                f'  <rect x="{left:.1f}" y="{floor - high:.1f}" width="{max(1.0, right - left - 1):.1f}" '
                f'height="{max(0.5, high):.1f}" fill="{_LINE}"/>'
            )
        for step, (at, words) in enumerate(panel.marks):
            x, y = across(at), top + 22 + 14 * (step % 3)
            body.append(
                f'  <path d="M{x:.1f} {y - 8}V{floor}" stroke="{_BAR}" stroke-dasharray="3 3"/>\n'
                + _text(x + 4, y, words, colour=_BAR)
            )
        for power in range(decades + 1):
            body.append(_text(across(10**power), floor + 16, f"{10**power:,} ms", anchor="middle"))
    return _svg(title, body, 50 + len(panels) * height, caption)


def curves(title: str, panels: Sequence[Curve], caption: str) -> str:
    """Panels below one another: a figure from 0 up, over customers on a logarithmic axis."""
    ends = [x for panel in panels for x, _ in panel.points]
    low, high = math.log10(min(ends)), math.log10(max(ends))

    def across(customers: float) -> float:
        share = (math.log10(customers) - low) / (high - low) if high > low else 0.5
        return _LEFT + 30 + (_PLOT - 60) * share

    body: list[str] = []
    height = 170
    for row, panel in enumerate(panels):
        top = 50 + row * height
        floor, room = top + height - 45, height - 85
        most = max([figure for _, figure in (*panel.points, *panel.bar)], default=1.0) or 1.0
        body += [
            _text(_LEFT, top + 4, panel.title, size=14),
            f'  <path d="M{_LEFT} {floor}H{_WIDTH - _RIGHT}" stroke="{_INK}"/>',
        ]
        for line, colour, dashes in ((panel.points, _LINE, ""), (panel.bar, _BAR, ' stroke-dasharray="3 3"')):
            if line:
                path = "L".join(f"{across(x):.1f} {floor - room * y / most:.1f}" for x, y in line)
                body.append(f'  <path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"{dashes}/>')
        for x, y in panel.points:
            here = floor - room * y / most
            body += [
                f'  <circle cx="{across(x):.1f}" cy="{here:.1f}" r="4" fill="{_LINE}"/>',
                # Beneath the point where there is room: above it a bar may run.
                _text(across(x), here + 18 if y > most / 3 else here - 9, _figure(y), anchor="middle"),
                _text(across(x), floor + 16, f"{x:,.0f}", anchor="middle"),
            ]
    return _svg(title, body, 50 + len(panels) * height, caption)


def _figure(value: float) -> str:
    """Three digits or all before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _svg(title: str, body: Sequence[str], height: int, caption: str) -> str:
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height + 24}" font-size="12"',
        f'     font-family="{_FONT}" role="img" aria-labelledby="title description">',
        f'  <title id="title">{escape(title)}</title>',
        f'  <desc id="description">{escape(caption)}</desc>',
        _text(_LEFT, 24, title, size=17),
        *body,
        *_wrapped(caption, height),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _wrapped(caption: str, height: int) -> Iterator[str]:
    """The caption on two lines, parted at the blank nearest to its middle."""
    middle = min(
        (at for at, letter in enumerate(caption) if letter == " "),
        key=lambda at: abs(at - len(caption) // 2),
        default=len(caption),
    )
    for row, words in enumerate((caption[:middle], caption[middle:].strip())):
        yield _text(_LEFT, height + 14 * row, words, size=11)


def _text(
    x: float, y: float, words: str, *, size: int = 12, anchor: str = "start", colour: str = _INK
) -> str:
    return (
        f'  <text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}" text-anchor="{anchor}">'
        f"{escape(words)}</text>"
    )
