"""Histograms and curves as small SVG files: several panels, and a caption of where they were made."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import Final

from bench.distribution import BINS_A_DECADE
from bench.svg import BLUE, INK, RED, drawing, text

_WIDTH: Final = 760
_LEFT, _RIGHT = 70, 40
_PLOT: Final = _WIDTH - _LEFT - _RIGHT
_CAPTION_ROW: Final = 14
_CAPTION_LETTERS: Final = 108
"""What fits below the plot."""


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
            text(_LEFT, top + 4, panel.title, size=14),
            f'  <path d="M{_LEFT} {floor}H{_WIDTH - _RIGHT}" stroke="{INK}"/>',
        ]
        most = max([count for _, count in panel.bins], default=1)
        for edge, count in panel.bins:
            left, right = across(edge), across(edge * 10 ** (1 / BINS_A_DECADE))
            high = (height - 75) * count / most
            body.append(
                f'  <rect x="{left:.1f}" y="{floor - high:.1f}" width="{max(1.0, right - left - 1):.1f}" '
                f'height="{max(0.5, high):.1f}" fill="{BLUE}"/>'
            )
        for step, (at, words) in enumerate(panel.marks):
            x, y = across(at), top + 22 + 14 * (step % 3)
            body.append(
                f'  <path d="M{x:.1f} {y - 8}V{floor}" stroke="{RED}" stroke-dasharray="3 3"/>\n'
                + text(x + 4, y, words, colour=RED)
            )
        for power in range(decades + 1):
            body.append(text(across(10**power), floor + 16, f"{10**power:,} ms", anchor="middle"))
    return _whole(title, body, 50 + len(panels) * height, caption)


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
            text(_LEFT, top + 4, panel.title, size=14),
            f'  <path d="M{_LEFT} {floor}H{_WIDTH - _RIGHT}" stroke="{INK}"/>',
        ]
        for line, colour, dashes in ((panel.points, BLUE, ""), (panel.bar, RED, ' stroke-dasharray="3 3"')):
            if line:
                path = "L".join(f"{across(x):.1f} {floor - room * y / most:.1f}" for x, y in line)
                body.append(f'  <path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"{dashes}/>')
        for x, y in panel.points:
            here = floor - room * y / most
            body += [
                f'  <circle cx="{across(x):.1f}" cy="{here:.1f}" r="4" fill="{BLUE}"/>',
                # Beneath the point where there is room: above it a bar may run.
                text(across(x), here + 18 if y > most / 3 else here - 9, _figure(y), anchor="middle"),
                text(across(x), floor + 16, f"{x:,.0f}", anchor="middle"),
            ]
    return _whole(title, body, 50 + len(panels) * height, caption)


def _figure(value: float) -> str:
    """Three digits or all before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _whole(title: str, body: Sequence[str], height: int, caption: str) -> str:
    """The panels under their title, and the caption below them on as many lines as it needs."""
    below = [
        text(_LEFT, height + _CAPTION_ROW * row, words, size=11)
        for row, words in enumerate(wrap(caption, _CAPTION_LETTERS))
    ]
    lines = [text(_LEFT, 24, title, size=17), *body, *below]
    return drawing(title, caption, lines, _WIDTH, height + _CAPTION_ROW * len(below) - 4)
