"""Sorting by time in bounded memory: sorted runs on disk, then a merge of them.

A row is a plain tuple (instant, key, value, numbers...) of which key and value are bytes; rows of one
instant keep the order in which they came. What fits in memory never touches the disk.
"""

import heapq
import marshal
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack, closing
from operator import itemgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, TypeVar, cast

Row = TypeVar("Row", bound=tuple[Any, ...])

MEMORY: Final = 96 * 1024 * 1024
"""Bytes of rows, as Python holds them, that are sorted at once."""
FAN_IN: Final = 64
"""The most runs merged, and so files open, at once."""

_ROW_BYTES = 240
"""What a row costs in CPython besides the bytes of its key and value."""
_BLOCK_ROWS = 256
_BLOCK_BYTES = 256 * 1024
_instant = itemgetter(0)


def sort_by_time(
    rows: Iterable[Row], *, memory: int = MEMORY, fan_in: int = FAN_IN, directory: Path | None = None
) -> Generator[Row, None, None]:
    """The rows ascending by their first element, stable.

    Everything is read before the first row comes out. Runs are spilled below `directory` (the
    system's place for temporary files without it) and are gone when the iterator ends or is closed.
    """
    with ExitStack() as stack:
        runs: list[Path] = []
        chunk: list[Row] = []
        held = 0
        place: Path | None = None
        for row in rows:
            chunk.append(row)
            held += _size(row)
            if held >= memory:
                if place is None:
                    temporary = TemporaryDirectory(prefix="winback-sort-", dir=directory)
                    place = Path(stack.enter_context(temporary))
                chunk.sort(key=_instant)
                runs.append(_spill(chunk, place / f"run-{len(runs)}"))
                chunk, held = [], 0
        chunk.sort(key=_instant)
        if place is None:
            yield from chunk
            return
        # Only neighbours are merged, and the newest rows stay last: that keeps ties in order.
        passes = 0
        while len(runs) >= fan_in:
            passes += 1
            groups = [runs[start : start + fan_in] for start in range(0, len(runs), fan_in)]
            runs = [_join(group, place / f"pass-{passes}-{n}") for n, group in enumerate(groups)]
        with ExitStack() as readers:
            streams = [readers.enter_context(closing(_read(run))) for run in runs]
            yield from cast(Iterator[Row], heapq.merge(*streams, chunk, key=_instant))


def _size(row: tuple[Any, ...]) -> int:
    return _ROW_BYTES + len(row[1]) + len(row[2])


def _join(runs: list[Path], target: Path) -> Path:
    """Merge `runs` into one run, and remove them."""
    with ExitStack() as readers:
        streams = [readers.enter_context(closing(_read(run))) for run in runs]
        _spill(heapq.merge(*streams, key=_instant), target)
    for run in runs:
        run.unlink()
    return target


def _spill(rows: Iterable[tuple[Any, ...]], target: Path) -> Path:
    """Write sorted rows in blocks: the reader then holds one block of each run."""
    with target.open("wb") as file:
        block: list[tuple[Any, ...]] = []
        held = 0
        for row in rows:
            block.append(row)
            held += _size(row)
            if len(block) >= _BLOCK_ROWS or held >= _BLOCK_BYTES:
                marshal.dump(block, file)
                block, held = [], 0
        marshal.dump(block, file)
    return target


def _read(run: Path) -> Generator[tuple[Any, ...], None, None]:
    with run.open("rb") as file:
        while True:
            try:
                block = marshal.load(file)  # noqa: S302 - a file of our own, just written
            except EOFError:
                return
            yield from block
