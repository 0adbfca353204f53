"""The benchmark at work: a small input, two engines that need nothing but what is installed."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.catalogue import ENGINES, Command
from bench.input import Size
from bench.runs import Bench, Plan
from docs.draw import ROOT

_SIZE = Size(events=4000, customers=400)


def test_the_command_measures_and_verifies(bootstrap: str, tmp_path: Path) -> None:
    """Each job's file names its runs, and nobody was found to have done less than the whole job."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "bench", "--runs", "1", "--only", "winback,winback 2,aiokafka"),
            *("--events", str(_SIZE.events), "--customers", str(_SIZE.customers)),
            *("--bootstrap", bootstrap, "--into", str(tmp_path)),
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
    )
    assert (0, "") == (done.returncode, done.stderr if done.returncode else "")
    expected = {"total": ["winback"], "retention": ["winback", "winback 2"], "drain": ["aiokafka"]}
    for job, engines in expected.items():
        results = json.loads((tmp_path / f"{job}.json").read_bytes())["results"]
        assert engines == [result["engine"] for result in results]
        for result in results:
            assert (1, "") == (len(result["runs"]), result["failed"])
            assert result["runs"][0]["seconds"] > 0
    assert "| winback " in done.stdout


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 128 + signal.SIGTERM)])
def test_what_was_measured_is_shown_when_it_is_broken_off(
    bootstrap: str, tmp_path: Path, sent: signal.Signals, code: int
) -> None:
    """It is told to stop after its first run: a table of that one, and the files of an earlier day stay."""
    words = [sys.executable, "-m", "bench", "--only", "aiokafka", "--runs", "100000"]
    words += ["--events", "2000", "--customers", "200", "--bootstrap", bootstrap, "--into", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(words, cwd=ROOT, env=environment, **pipes) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "run 1: " in line:
                break
        process.send_signal(sent)
        out, errors = process.communicate(timeout=60)
    assert code == process.returncode
    assert "broken off; here is what was measured until then" in errors
    assert "| aiokafka " in out
    assert [] == list(tmp_path.iterdir())


async def test_an_engine_that_skips_the_work_is_caught(bootstrap: str, tmp_path: Path) -> None:
    """It is fast, and it fails: its changelog does not hold what it has to; what cannot run is named."""
    [aiokafka] = [engine for engine in ENGINES if engine.name == "aiokafka"]
    lazy = replace(aiokafka, name="lazy", jobs=["total"])
    broken = replace(lazy, name="broken", command=lambda _: Command([sys.executable, "-c", "0"], os.environ))
    said: list[str] = []
    plan = Plan([lazy, broken], ["total"], _SIZE, _SIZE, runs=1)
    bench = Bench(bootstrap, plan, tmp_path, said.append, broker_processes=[])
    await bench.run()
    results = bench.results
    assert ["400 of 400 customers are wrong in its changelog of 0", "it ended before it was done"] == [
        result.failed for result in results
    ]
    assert ["lazy", "broken"] == [result.engine for result in results if not result.runs]
