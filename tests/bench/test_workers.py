"""What a worker is told, and what its figures say."""

import pytest

from bench.workers import reading, until, variables_of
from streams.settings import Settings

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


def test_a_worker_is_told_its_settings_and_a_port_of_its_own() -> None:
    """So several can run beside one another, on the same installation."""
    settings = Settings(bootstrap="broker:9092", application_id="one", log_level="error")
    told = variables_of(settings)
    assert ("broker:9092", "one") == (told["WINBACK_BOOTSTRAP"], told["WINBACK_APPLICATION_ID"])
    assert 1024 <= int(told["WINBACK_HTTP_PORT"])


async def test_what_has_come_true_is_waited_for() -> None:
    """Look by look."""
    looks = iter([False, False, True])

    async def whether() -> bool:
        return next(looks)

    await until(whether)
    assert [] == list(looks)


async def test_what_never_comes_true_is_told() -> None:
    """After the time that was given."""

    async def whether() -> bool:
        return False

    with pytest.raises(TimeoutError):
        await until(whether, 0.01)
