"""What every measurement comes with."""

import os
import re

from bench.provenance import caption, commit, machine, provenance
from tests.bench.made import MADE


def test_a_measurement_names_all_that_a_caption_needs() -> None:
    """And nothing else."""
    assert MADE.keys() == provenance("a note").keys()
    assert "a note" == provenance("a note")["note"]


def test_a_caption_tells_where_and_of_what() -> None:
    """How busy the machine was, too."""
    expected = (
        "Commit abc1234, 2026-11-22; Some Processor, 2 cores, shared by broker, worker and load; "
        "load before: 0.25; Python 3.11.7, compiled"
    )
    assert expected == caption(MADE)


def test_a_note_ends_the_caption() -> None:
    """What a reader must know of this one run."""
    assert caption(MADE | {"note": "one run"}).endswith("compiled; one run")


def test_a_machine_has_cores_and_a_system() -> None:
    """Whatever else it tells of itself."""
    assert f", {os.cpu_count()} cores, " in machine()


def test_a_commit_is_short() -> None:
    """With a plus where files differ from it; unknown where there is no checkout."""
    assert re.fullmatch(r"[0-9a-f]{7,}\+?|unknown", commit())
