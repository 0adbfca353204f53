"""What a worker's figures and /proc say."""

import os

from bench.process import cpu_seconds, reading

METRICS = """\
# TYPE winback_records counter
winback_records_total{topic="purchases",outcome="folded"} 7.0
winback_records_total{topic="logins",outcome="duplicate"} 3.0
# TYPE process_cpu_seconds counter
process_cpu_seconds_total 1.5
# TYPE process_resident_memory_bytes gauge
process_resident_memory_bytes 8.0e+07
"""


def test_a_figure_is_the_sum_over_its_labels() -> None:
    """Records of all topics, whatever became of them."""
    found = reading(METRICS, 12.0)
    assert (10.0, 1.5, 80.0, 12.0) == (found.folded, found.cpu_seconds, found.megabytes, found.read_at)


def test_what_was_never_counted_is_nought() -> None:
    """A counter with labels has no sample before its first event."""
    assert 0.0 == reading(METRICS, 0.0)["winback_triggers_total"]


def test_cpu_time_is_user_and_system_time() -> None:
    """Fields 14 and 15, whatever the process is called."""
    ticks = os.sysconf("SC_CLK_TCK")
    stat = f"42 (a (strange) name) S 1 42 42 0 -1 4194560 1 2 3 4 {3 * ticks} {2 * ticks} 9 9 20 0 1 0 5"
    assert 5.0 == cpu_seconds(stat)
