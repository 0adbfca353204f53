"""What all commands have in common."""

import argparse
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.command import Kafka, conclude, kafka, options, options_of_pictures
from bench.usage import known
from docs.draw import ROOT


def test_a_kafka_that_was_given_is_taken_as_it_is() -> None:
    """Nothing is started, and what it takes of its machine nobody knows."""
    said: list[str] = []
    with kafka("broker:9092", said.append) as given:
        assert Kafka("broker:9092", "a given Kafka") == given
        assert math.isnan(given.cpu_seconds)
    assert [] == said


@pytest.mark.skipif(not known(), reason="this machine does not tell it of processes that run")
def test_a_kafka_has_taken_what_its_processes_have() -> None:
    """This process, for instance."""
    assert Kafka("broker:9092", "ours", [os.getpid()]).cpu_seconds > 0


def test_options_mean_the_same_to_every_command() -> None:
    """Those that draw pictures have two more."""
    plain, drawn = argparse.ArgumentParser(), argparse.ArgumentParser()
    options(plain)
    options_of_pictures(drawn, "the picture")
    assert {"json": False, "bootstrap": None} == vars(plain.parse_args([]))
    words = ["--json", "--draw", "--note", "busy", "--bootstrap", "broker:9092"]
    expected = {"json": True, "draw": True, "note": "busy", "bootstrap": "broker:9092"}
    assert expected == vars(drawn.parse_args(words))


@pytest.mark.parametrize(("missed", "code"), [([], 0), (["too slow"], 1)])
def test_a_bar_that_is_missed_is_the_last_word(
    missed: list[str], code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It makes the exit code; the figures are kept and printed all the same."""
    assert code == conclude("speed", {"rate": 1.0}, as_json=True, table="", missed=missed, into=tmp_path)
    told = capsys.readouterr()
    assert ({"rate": 1.0}, missed) == (json.loads(told.out), told.err.splitlines())
    assert {"rate": 1.0} == json.loads((tmp_path / "speed.json").read_bytes())


def test_people_are_shown_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Unless they ask for JSON."""
    conclude("speed", {"rate": 1.0}, as_json=False, table="1 a second", missed=[], into=tmp_path)
    assert "1 a second\n" == capsys.readouterr().out


def test_a_command_that_cannot_do_it_says_why() -> None:
    """In one line."""
    program = """if True:
        from bench.command import enter
        from schemas.errors import WinbackError

        def main():
            raise WinbackError("no broker")

        enter(main)
    """
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (1, "error: no broker\n") == (done.returncode, done.stderr)
