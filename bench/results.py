"""What every measurement comes with: where and of what it was made; and where it is kept."""

import os
import platform
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from streams.compiled import BUILDS, VARIABLE, key

ROOT = Path(__file__).parents[1]
KEPT = ROOT / "var" / "bench"
PICTURES = ROOT / "docs" / "pictures"


def provenance(note: str = "") -> dict[str, Any]:
    """Commit, machine, versions, whether workers run compiled code, and what else is to be known."""
    return {
        "note": note,
        "commit": _commit(),
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "python": platform.python_version(),
        "compiled": os.environ.get(VARIABLE) != "0" and (BUILDS / key()).is_dir(),
    }


def machine() -> str:
    """Processor, cores and memory: "Intel(R) Xeon(R) Processor, 2 cores, 24 GB"."""
    parts = [_processor(), f"{os.cpu_count()} cores"]
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        parts.append(f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1e9:.0f} GB")
    return ", ".join(parts)


def caption(made: dict[str, Any]) -> str:
    """One line under a picture: commit, day, machine."""
    code = "compiled" if made["compiled"] else "plain Python"
    return (
        f"Commit {made['commit']}, {made['made_at'][:10]}; {made['machine']}, shared by broker, worker and "
        f"load; Python {made['python']}, {code}" + (f"; {made['note']}" if made.get("note") else "")
    )


def keep(name: str, result: dict[str, Any]) -> Path:
    """Write var/bench/NAME.json; where that is."""
    KEPT.mkdir(parents=True, exist_ok=True)
    path = KEPT / f"{name}.json"
    path.write_bytes(orjson.dumps(result, option=orjson.OPT_INDENT_2) + b"\n")
    return path


def _processor() -> str:
    try:
        found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text("utf-8"), re.MULTILINE)
    except OSError:
        found = None
    return found[1].strip() if found else platform.processor() or platform.machine()


def _commit() -> str:
    """The short hash; with a + where the working tree is another. "unknown" outside of a checkout."""
    try:
        told = [
            subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout
            for words in (["rev-parse", "--short", "HEAD"], ["status", "--porcelain", "-uno"])
        ]
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return told[0].strip() + ("+" if told[1].strip() else "")
