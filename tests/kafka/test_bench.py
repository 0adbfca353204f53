"""The benchmark at work: a small input, two engines that need nothing but what is installed."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

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


async def test_an_engine_that_skips_the_work_is_caught(bootstrap: str, tmp_path: Path) -> None:
    """It is fast, and it fails: its changelog does not hold what it has to; what cannot run is named."""
    [aiokafka] = [engine for engine in ENGINES if engine.name == "aiokafka"]
    lazy = replace(aiokafka, name="lazy", jobs=["total"])
    broken = replace(lazy, name="broken", command=lambda _: Command([sys.executable, "-c", "0"], os.environ))
    said: list[str] = []
    plan = Plan([lazy, broken], ["total"], _SIZE, _SIZE, runs=1)
    results = await Bench(bootstrap, plan, tmp_path, said.append, broker_processes=[]).run()
    assert ["400 of 400 customers are wrong in its changelog of 0", "it ended before it was done"] == [
        result.failed for result in results
    ]
    assert ["lazy", "broken"] == [result.engine for result in results if not result.runs]
