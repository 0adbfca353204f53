"""The documentation, taken apart for its tests."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from docs.draw import ROOT

PAGES: Final = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
_FENCED: Final = re.compile(r"^( *)```(\w*)\n(.*?)^\1```", re.DOTALL | re.MULTILINE)
_HEADING: Final = re.compile(r"^(#+) (.*)$", re.MULTILINE)


def read(name: str) -> str:
    """The page at this path from the root of the project."""
    return (ROOT / name).read_text(encoding="utf-8")


def prose(page: Path) -> str:
    """A page without its code blocks."""
    return _FENCED.sub("", page.read_text(encoding="utf-8"))


def blocks(page: Path, language: str) -> Iterator[str]:
    """The code blocks of a page in one language."""
    for _, marked, code in _FENCED.findall(page.read_text(encoding="utf-8")):
        if marked == language:
            yield code


def anchors(page: Path) -> set[str]:
    """What a link into a page may name after the #: its headings, as GitHub writes them."""
    titles = [title for _, title in _HEADING.findall(prose(page))]
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def section(text: str, title: str) -> str:
    """What stands under a heading, up to the next one of its rank or a higher."""
    found = re.search(rf"^(#+) {re.escape(title)}$", text, re.MULTILINE)
    assert found is not None, f"no heading says {title}"
    rest = text[found.end() :]
    end = re.search(rf"^#{{1,{len(found[1])}}} ", rest, re.MULTILINE)
    return rest[: end.start()] if end else rest


def rows(text: str) -> list[Sequence[str]]:
    """The cells of all table rows; headers and rulers left out."""
    lines = text.splitlines()
    return [
        tuple(cell.strip() for cell in line.strip()[1:-1].split("|"))
        for line, after in zip(lines, [*lines[1:], ""], strict=True)
        if line.startswith("|") and not line.startswith("|-") and not after.startswith("|-")
    ]


def named(cell: str) -> list[str]:
    """What a cell sets as code."""
    found: list[str] = re.findall(r"`([^`]+)`", cell)
    return found
