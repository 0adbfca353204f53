"""What is kept of a measurement."""

import json
import math
from pathlib import Path

from bench.kept import keep


def test_a_result_is_a_file_of_its_name(tmp_path: Path) -> None:
    """In a folder that is made where there is none."""
    path = keep("speed", {"rate": 1.5, "runs": [1, 2]}, tmp_path / "new")
    assert tmp_path / "new" / "speed.json" == path
    assert {"rate": 1.5, "runs": [1, 2]} == json.loads(path.read_bytes())


def test_what_is_not_known_is_null(tmp_path: Path) -> None:
    """JSON has no nan."""
    assert {"cores": None} == json.loads(keep("speed", {"cores": math.nan}, tmp_path).read_bytes())
