"""The fold as machine code: the same Python sources, compiled by mypyc, used where they are there.

`winback compile` (and `make setup`, where the machine has a C compiler) compiles the modules that
every event passes through into `_compiled/KEY` beside this file. KEY is a digest of all sources
that a decision depends on and of the Python that runs them, so a changed source is never run as it
was before: without a build of exactly these sources everything runs as plain Python, which says the
same, more slowly. WINBACK_COMPILED=0 in the environment asks for plain Python.
"""

import os
import sys
from hashlib import sha256
from importlib.machinery import EXTENSION_SUFFIXES, ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from typing import Final

VARIABLE: Final = "WINBACK_COMPILED"
PACKAGES: Final = Path(__file__).parent.parent
"""The folder of the packages `schemas` and `streams`."""
BUILDS: Final = Path(__file__).parent / "_compiled"
MODULES: Final = (
    "schemas.codec",
    "schemas.customer",
    "schemas.entries",
    "schemas.instants",
    "schemas.layout",
    "schemas.record",
    "schemas.ring",
    "streams.changes",
    "streams.checked",
    "streams.checksum",
    "streams.core.advance",
    "streams.core.draft",
    "streams.core.facets.logins",
    "streams.core.facets.purchases",
    "streams.core.facets.recent",
    "streams.core.facets.support",
    "streams.core.firings",
    "streams.core.identity",
    "streams.core.lifecycle",
    "streams.core.message",
    "streams.core.model",
    "streams.core.playbook",
    "streams.core.rules.due",
    "streams.core.rules.lapse",
    "streams.core.rules.logins",
    "streams.core.rules.support",
    "streams.core.rules.winback",
    "streams.core.score",
    "streams.core.step",
    "streams.core.stimuli",
    "streams.core.value",
    "streams.core.windows",
    "streams.fold",
    "streams.intake",
    "streams.merge",
    "streams.record_batches",
    "streams.record_writer",
    "streams.source_records",
    "streams.timers",
    "streams.work",
)
"""What is compiled. Modules that define msgspec structs are not: mypyc would drop what is said in
their class statements (frozen, array_like)."""


def sources() -> list[Path]:
    """The files of the two packages, in order."""
    return sorted(path for name in ("schemas", "streams") for path in (PACKAGES / name).rglob("*.py"))


def key() -> str:
    """The digest of the sources and of the Python."""
    digest = sha256(EXTENSION_SUFFIXES[0].encode())
    for path in sources():
        digest.update(f"\0{path.relative_to(PACKAGES).as_posix()}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:20]


def use() -> bool:
    """Have the compiled modules imported from now on; False where there are none, or none are wanted.

    To be called before any of MODULES is imported.
    """
    if os.environ.get(VARIABLE) == "0" or not BUILDS.is_dir():
        return False
    build = BUILDS / key()
    if not build.is_dir():
        return False
    sys.meta_path.insert(0, _Finder(build))
    return True


def in_use() -> bool:
    """Whether decisions are made by compiled code."""
    return any(isinstance(finder, _Finder) for finder in sys.meta_path)


class _Finder:
    """Finds the modules of a build, and the library that they share."""

    def __init__(self, build: Path) -> None:
        self._files = {
            ".".join(path.relative_to(build).parts).removesuffix(EXTENSION_SUFFIXES[0]): path
            for path in build.rglob(f"*{EXTENSION_SUFFIXES[0]}")
        }

    def find_spec(self, name: str, *_: object) -> ModuleSpec | None:
        """See importlib.abc.MetaPathFinder."""
        file = self._files.get(name)
        return None if file is None else spec_from_file_location(name, file)
