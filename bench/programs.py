"""What has to be made before the peers can run: a Python environment of their own, and a jar.

Both stay under var/bench, and are made anew where what they are made from has changed.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Final, TypeVar

from agents.brokers.jars import java, missing_tools
from bench.kept import KEPT, ROOT

LOCK: Final = ROOT / "requirements" / "bench.lock"
SOURCES: Final = ROOT / "bench" / "kafka-streams"
KAFKA_VERSION: Final = "4.1.0"
HEAP: Final = "-Xmx1g"
_SECONDS: Final = 600.0

_Made = TypeVar("_Made")


class NotRun(Exception):
    """Why an engine cannot be measured here, in one line."""


def python_of_peers() -> Path:
    """The Python with quixstreams and confluent-kafka, from requirements/bench.lock; NotRun without them."""
    return _or_raise(_python())


def java_of_peers() -> list[str]:
    """The command of the Kafka Streams program, but for its options; NotRun where it cannot be built."""
    return _or_raise(_java())


def _or_raise(made: _Made | NotRun) -> _Made:
    if isinstance(made, NotRun):
        raise made
    return made


# Tried once: what cannot be made now cannot be made for the next engine either.
@cache
def _python() -> Path | NotRun:
    place = KEPT / "venv"
    python = place / "bin" / "python"

    def make() -> None:
        _run("its environment", [sys.executable, "-m", "venv", "--clear", str(place)])
        installer = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        _run("its packages", [*installer, "--require-hashes", "--requirement", str(LOCK)])

    return _made(place, [LOCK], make) or python


@cache
def _java() -> list[str] | NotRun:
    if missing := missing_tools(KAFKA_VERSION):
        return NotRun(missing)
    place = KEPT / "kafka-streams"

    def make() -> None:
        maven = shutil.which("mvn")
        if maven is None:
            raise NotRun("no Maven (mvn) to build it with")
        goal = ["--file", str(SOURCES / "pom.xml"), f"-Doutput={place}", "clean", "package"]
        _run("its jar", [maven, "--quiet", "--batch-mode", "--strict-checksums", *goal])

    classes = os.pathsep.join([str(place / "kafka-streams-peer-1.jar"), str(place / "libs" / "*")])
    sources = [path for path in sorted(SOURCES.rglob("*")) if _is_source(path)]
    return _made(place, sources, make) or [java(), HEAP, "-cp", classes, "bench.Main"]


def _is_source(path: Path) -> bool:
    return path.suffix == ".java" or path.name == "pom.xml"


def _made(place: Path, sources: Sequence[Path], make: Callable[[], None]) -> NotRun | None:
    """Have `place` made, unless it was made from the same sources before; why it could not be."""
    digest = sha256()
    for source in sources:
        digest.update(f"\0{source.name}\0".encode() + source.read_bytes())
    stamp = place / "made-from"
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == digest.hexdigest():
        return None
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        make()
    except NotRun as error:
        return error
    stamp.write_text(digest.hexdigest(), encoding="utf-8")
    return None


def _run(what: str, command: list[str]) -> None:
    """Raises NotRun with the first line of what it said where it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotRun(f"{what} could not be made: {error}") from error
    if done.returncode:
        lines = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        raise NotRun(f"{what} could not be made: {lines[0].strip() if lines else 'it said nothing'}")
