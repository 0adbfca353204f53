"""`winback compile`: compile what every event passes through (streams/compiled.py says what and why)."""

import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from rich.console import Console

from schemas.errors import ConfigurationError
from streams.compiled import BUILDS, MODULES, PACKAGES, key, sources

_SETUP: Final = """
import sys
from mypyc.build import mypycify
from setuptools import setup

setup(
    name="winback-compiled",
    ext_modules=mypycify(sys.argv[2:], opt_level="3"),
    script_args=["build_ext", "--build-lib", sys.argv[1], "--parallel", "2"],
)
"""


def compile_fold(console: Console, *, anew: bool = False) -> Path:
    """The folder of the build for the present sources, made where it is not there.

    Builds of earlier sources are removed. Raises ConfigurationError where something that it takes is
    missing: mypy and setuptools (the extra `compiled`), a C compiler, Python's headers.
    """
    build = BUILDS / key()
    if build.is_dir() and not anew:
        console.print("The fold is compiled already.")
        return build
    with (
        TemporaryDirectory() as folder,
        console.status("Compiling the fold; this takes a minute or two ...", spinner="dots"),
    ):
        made = _compiled_in(Path(folder))
        shutil.rmtree(BUILDS, ignore_errors=True)
        try:
            BUILDS.mkdir()
            # Into its place by a rename: nobody ever sees half of a build.
            waiting = BUILDS / "making"
            shutil.copytree(made, waiting)
            waiting.rename(build)
        except OSError as error:
            raise ConfigurationError(f"{BUILDS} cannot be written: {error.strerror}") from None
    console.print(f"Compiled: {len(MODULES)} modules. `winback worker` uses them from now on.")
    return build


def _compiled_in(folder: Path) -> Path:
    work, made = folder / "sources", folder / "made"
    for path in sources():
        copy = work / path.relative_to(PACKAGES)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    files = [f"{module.replace('.', '/')}.py" for module in MODULES]
    # A process of its own: compilers print as they like, and leave a lot of memory in use.
    done = subprocess.run(
        [sys.executable, "-c", _SETUP, str(made), "--ignore-missing-imports", *files],
        cwd=work,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ConfigurationError(
            f"the fold could not be compiled: {complaint(done.stdout, done.stderr)} (it takes mypy and "
            "setuptools, which the extra `compiled` installs, a C compiler and Python's headers; without, "
            "plain Python does the same)"
        )
    return made


def complaint(out: str, errors: str) -> str:
    """Of all that mypyc, setuptools and the C compiler have said, the line that tells why they failed."""
    lines = [line.strip() for line in (*out.splitlines(), *errors.splitlines()) if line.strip()]
    # The first error is the cause; what comes after it may be a warning, or that there was an error.
    return next((line for line in lines if "error:" in line), lines[-1] if lines else "no message")
