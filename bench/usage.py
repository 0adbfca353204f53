"""What processes have used so far, as Linux tells it in /proc; elsewhere nobody tells, and it is zero.

So a run can be charged from its first record on, without what starting up took.
"""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

_PROC: Final = Path("/proc")
_KILOBYTES_A_MEGABYTE: Final = 1024


class Usage(NamedTuple):
    """CPU seconds of user and system together, and the most memory ever held, in megabytes."""

    cpu_seconds: float
    peak_megabytes: float


def known() -> bool:
    """Whether this machine tells it of processes that run."""
    return (_PROC / "self" / "stat").exists()


def usage_of(process: int) -> Usage:
    """Of a process and its threads up to now; zeros where there is no such process, or nothing is told."""
    with suppress(OSError):
        fields = _stat(process)
        ticks = int(fields[11]) + int(fields[12])
        memory = (_PROC / str(process) / "status").read_text(encoding="utf-8").partition("VmHWM:")[2]
        kilobytes = int(memory.split(maxsplit=1)[0]) if memory else 0
        return Usage(ticks / os.sysconf("SC_CLK_TCK"), kilobytes / _KILOBYTES_A_MEGABYTE)
    return Usage(0.0, 0.0)


def cpu_seconds_of(processes: Iterable[int]) -> float:
    """Of several together."""
    return sum(usage_of(process).cpu_seconds for process in processes)


def descendants(process: int) -> list[int]:
    """Its children, theirs, and so on, of those that run; empty where nothing is told."""
    if not known():
        return []
    parents: dict[int, int] = {}
    for place in _PROC.iterdir():
        if place.name.isdigit():
            with suppress(OSError):
                parents[int(place.name)] = int(_stat(int(place.name))[1])
    found, looked_at = [], [process]
    while looked_at:
        parent = looked_at.pop()
        children = [child for child, its_parent in parents.items() if its_parent == parent]
        found += children
        looked_at += children
    return found


def _stat(process: int) -> list[str]:
    """The fields after the name, which may itself hold blanks and brackets: state, parent, ..."""
    text = (_PROC / str(process) / "stat").read_text(encoding="utf-8", errors="replace")
    return text.rpartition(")")[2].split()
