"""What processes have used."""

import os
import subprocess
import sys

import pytest

from bench.usage import Stat, Usage, descendants, known, parsed, usage_of

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
    """Fields 14 and 15, whatever the process is called."""
    ticks = os.sysconf("SC_CLK_TCK")
    stat = f"42 (a (strange) name) S 7 42 42 0 -1 4194560 1 2 3 4 {3 * ticks} {2 * ticks} 9 9 20 0 1 0 5"
    assert Stat("a (strange) name", 7, 5.0) == parsed(stat)


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
