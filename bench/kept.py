"""Where measurements are kept: var/bench, and the pictures that the documentation shows."""

from pathlib import Path
from typing import Final

import msgspec

ROOT: Final = Path(__file__).parents[1]
KEPT: Final = ROOT / "var" / "bench"
PICTURES: Final = ROOT / "docs" / "pictures"


def keep(name: str, result: object, into: Path = KEPT) -> Path:
    """Write NAME.json, for programs; where that is. A figure that is not known (nan) becomes null."""
    into.mkdir(parents=True, exist_ok=True)
    path = into / f"{name}.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(result)) + b"\n")
    return path
