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


class Stat(NamedTuple):
    """Of a process's /proc/PID/stat: what it runs, who has started it, and its CPU seconds, with those of
    its children that have ended."""

    name: str
    parent: int
    cpu_seconds: float


def known() -> bool:
    """Whether this machine tells it of processes that run."""
    return (_PROC / "self" / "stat").exists()


def usage_of(process: int) -> Usage:
    """Of a process and its threads up to now; zeros where there is no such process, or nothing is told."""
    with suppress(OSError):
        spent = _stat(process).cpu_seconds
        memory = (_PROC / str(process) / "status").read_text(encoding="utf-8").partition("VmHWM:")[2]
        kilobytes = int(memory.split(maxsplit=1)[0]) if memory else 0
        return Usage(spent, kilobytes / _KILOBYTES_A_MEGABYTE)
    return Usage(0.0, 0.0)


def usage_with_children(process: int) -> Usage:
    """Of a process and all that it has started, as far as they run or it has seen them end."""
    family = [usage_of(each) for each in (process, *descendants(process))]
    return Usage(sum(each.cpu_seconds for each in family), sum(each.peak_megabytes for each in family))


def cpu_seconds_of(processes: Iterable[int]) -> float:
    """Of several together."""
    return sum(usage_of(process).cpu_seconds for process in processes)


def descendants(process: int, name: str = "") -> list[int]:
    """Its children, theirs, and so on, of those that run; empty where nothing is told.

    name: only those that run a program of this name.
    """
    if not known():
        return []
    stats: dict[int, Stat] = {}
    for place in _PROC.iterdir():
        if place.name.isdigit():
            with suppress(OSError):
                stats[int(place.name)] = _stat(int(place.name))
    found, looked_at = [], [process]
    while looked_at:
        parent = looked_at.pop()
        children = [child for child, stat in stats.items() if stat.parent == parent]
        found += children
        looked_at += children
    return [child for child in found if name in ("", stats[child].name)]


def parsed(stat: str) -> Stat:
    """What a /proc/PID/stat says, as proc(5) has it."""
    # The name, in brackets, may hold blanks and brackets of its own.
    head, _, rest = stat.rpartition(")")
    _, parent, *fields = rest.split()
    ticks = sum(map(int, fields[9:13]))
    return Stat(head.partition("(")[2], int(parent), ticks / os.sysconf("SC_CLK_TCK"))


def _stat(process: int) -> Stat:
    return parsed((_PROC / str(process) / "stat").read_text(encoding="utf-8", errors="replace"))
