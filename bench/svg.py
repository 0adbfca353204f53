"""What all pictures have in common: the frame, the words, and colours that can be seen on white and black."""

from collections.abc import Iterable
from html import escape
from typing import Final

INK: Final = "#7d8590"
"""Words and axes."""
BLUE: Final = "#2f6fae"
GREEN: Final = "#1e7d46"
GREY: Final = "#8a8f98"
RED: Final = "#b32d42"
_FONT: Final = "system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif"


def drawing(title: str, description: str, body: Iterable[str], width: int, height: int) -> str:
    """A whole file. title, description: for those who cannot see it. width, height: in pixels."""
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-size="12"',
        f'     font-family="{_FONT}" role="img" aria-labelledby="title description">',
        f'  <title id="title">{escape(title)}</title>',
        f'  <desc id="description">{escape(description)}</desc>',
        *body,
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def text(x: float, y: float, words: str, *, size: int = 12, anchor: str = "start", colour: str = INK) -> str:
    """Words at a place. anchor: which end of them stands there, "start", "middle" or "end"."""
    return (
        f'  <text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}" text-anchor="{anchor}">'
        f"{escape(words)}</text>"
    )
