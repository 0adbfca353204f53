"""What every measurement comes with: of what it was made, where, and what else went on there."""

import os
import platform
import re
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from bench.kept import ROOT
from streams.compiled import BUILDS, VARIABLE, key

_CPU_INFO: Final = Path("/proc/cpuinfo")


def provenance(note: str = "") -> dict[str, Any]:
    """note, commit, made_at, machine, load, python, compiled, as they are now: ask before the measurement,
    since whoever goes on working meanwhile changes none of it."""
    return {
        "note": note,
        "commit": commit(),
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "load": load(),
        "python": platform.python_version(),
        "compiled": compiled(),
    }


def caption(made: Mapping[str, Any]) -> str:
    """What stands under a picture: commit, day, machine, versions, and what a reader must know."""
    code = "compiled" if made["compiled"] else "plain Python"
    return (
        f"Commit {made['commit']}, {made['made_at'][:10]}; {made['machine']}, shared by broker, worker and "
        f"load; load before: {made['load']:.2f}; Python {made['python']}, {code}"
        + (f"; {made['note']}" if made.get("note") else "")
    )


def commit() -> str:
    """The short hash, with a + where files differ from it; "unknown" outside of a checkout."""
    try:
        name, changed = [
            subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout
            for words in (["rev-parse", "--short", "HEAD"], ["status", "--porcelain"])
        ]
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return name.strip() + ("+" if changed.strip() else "")


def machine() -> str:
    """Processor, cores, memory and system: "Intel(R) Xeon(R) Processor, 2 cores, 24 GB, Linux 6.1.0"."""
    parts = [_processor(), f"{os.cpu_count()} cores"]
    if "SC_PHYS_PAGES" in os.sysconf_names:
        parts.append(f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GB")
    return ", ".join([*parts, f"{platform.system()} {platform.release()}"])


def load() -> float:
    """How many programs wanted a core at once, on average over the last minute."""
    return os.getloadavg()[0]


def compiled() -> bool:
    """Whether a worker runs compiled code: as `winback worker` does where there is some, unless it is not
    wanted."""
    return os.environ.get(VARIABLE) != "0" and (BUILDS / key()).is_dir()


def _processor() -> str:
    try:
        found = re.search(r"^model name\s*: (.*)$", _CPU_INFO.read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        found = None
    return found[1].strip() if found else platform.processor() or platform.machine()
