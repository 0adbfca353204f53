"""Measurements. WINBACK_COMPILED=1 in the environment: of the compiled fold, else of plain Python."""

import os

from streams.compiled import VARIABLE, use

if os.environ.get(VARIABLE) == "1" and not use():
    raise SystemExit("nothing has been compiled of these sources: winback compile")
