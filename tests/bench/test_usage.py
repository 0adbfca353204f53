"""What processes have used."""

import os
import subprocess
import sys

import pytest

from bench.usage import Stat, Usage, descendants, known, parsed, usage_of, usage_with_children

pytestmark = pytest.mark.skipif(not known(), reason="this machine does not tell it of processes that run")


def test_a_process_has_used_time_and_memory() -> None:
    """This one, for instance."""
    used = usage_of(os.getpid())
    assert used.cpu_seconds > 0
    assert used.peak_megabytes > 1


def test_a_process_that_is_gone_has_used_nothing_more() -> None:
    """It may end between two looks."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    assert Usage(0.0, 0.0) == usage_of(process.pid)


def test_cpu_time_is_user_and_system_time() -> None:
    """Fields 14 to 17, the last two of children that have ended; whatever the process is called."""
    ticks = os.sysconf("SC_CLK_TCK")
    times = f"{3 * ticks} {2 * ticks} {ticks} {4 * ticks}"
    stat = f"42 (a (strange) name) S 7 42 42 0 -1 4194560 1 2 3 4 {times} 20 0 1 0 5"
    assert Stat("a (strange) name", 7, 10.0) == parsed(stat)


def test_descendants_are_children_and_theirs() -> None:
    """A broker runs under a guard, so it is a grandchild."""
    child = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'print(1, flush=True); input()'])"
    with subprocess.Popen(
        [sys.executable, "-c", child], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert b"1\n" == process.stdout.readline()
        found = descendants(os.getpid())
        assert process.pid in found
        assert 1 == len(descendants(process.pid))
        assert set(descendants(process.pid)) < set(found)
        assert [] == descendants(process.pid, "java")
        process.communicate(b"\n")


def test_a_family_has_used_what_its_members_have() -> None:
    """Of a process and those that it started: more memory than it holds alone."""
    with subprocess.Popen(
        [sys.executable, "-c", "import subprocess, sys; subprocess.run([sys.executable, '-c', 'input()'])"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        while not descendants(process.pid):
            pass
        together, alone = usage_with_children(process.pid), usage_of(process.pid)
        process.communicate(b"\n")
    assert together.peak_megabytes > alone.peak_megabytes > 0
