"""No program that a benchmark has started outlives it."""

import os
import signal
import subprocess
import sys
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
from textwrap import dedent

import pytest

from bench.children import child
from docs.draw import ROOT
from tests.agents.brokers.waiting import eventually

SLEEPER = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEPER}"
PROFILER = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {SLEEPER!r}])"
BENCH = f"""
    import asyncio, os, signal, sys
    from bench.children import child, run
    from bench.command import enter

    # As in a terminal, wherever the tests run.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

    async def load():
        while True:
            await asyncio.sleep(0)

    async def measure():
        async with child([sys.executable, "-c", {SLEEPER!r}], os.environ, grace_seconds=30.0) as process:
            async with asyncio.TaskGroup() as group:
                group.create_task(load())
                await process.wait()
        return 0

    enter(lambda: run(measure()))
"""


def gone(number: int) -> bool:
    """Whether no such process runs any more."""
    with suppress(ProcessLookupError):
        os.kill(number, 0)
        return False
    return True


async def said(process: Process) -> int:
    """The process id that it prints."""
    assert process.stdout is not None
    return int(await process.stdout.readline())


@pytest.mark.parametrize(
    ("program", "grace", "expected"),
    [
        (SLEEPER, 0.0, -signal.SIGKILL),
        (SLEEPER, 30.0, -signal.SIGTERM),
        (STUBBORN, 0.1, -signal.SIGKILL),
    ],
)
async def test_a_child_ends_with_its_block(program: str, grace: float, expected: int) -> None:
    """Asked to first where it is given time for that; killed where it does not listen."""
    async with child(
        [sys.executable, "-c", program], os.environ, grace_seconds=grace, stdout=PIPE
    ) as process:
        await said(process)
    assert expected == process.returncode


async def test_what_a_child_has_started_ends_with_it() -> None:
    """A profiler's worker, for instance."""
    async with child([sys.executable, "-c", PROFILER], os.environ, stdout=PIPE) as process:
        worker = await said(process)
        assert process.pid != worker
    eventually(lambda: gone(worker))


async def test_a_child_that_has_ended_is_left_alone() -> None:
    """Its exit code is its own."""
    async with child([sys.executable, "-c", "raise SystemExit(3)"], os.environ) as process:
        await process.wait()
    assert 3 == process.returncode


@pytest.mark.parametrize(
    ("number", "expected"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)]
)
def test_a_benchmark_that_is_ended_ends_its_children(number: signal.Signals, expected: int) -> None:
    """By a service manager, a closed terminal, or Ctrl-C; and nobody sees a stack trace."""
    with subprocess.Popen(
        [sys.executable, "-c", dedent(BENCH)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as bench:
        assert bench.stdout is not None
        worker = int(bench.stdout.readline())
        bench.send_signal(number)
        _, errors = bench.communicate(timeout=60)
    assert (expected, b"") == (bench.returncode, errors)
    assert gone(worker)
