"""The detection table of CDNOW-Replay, from the pure score: `python -m bench.detection [--json]`.

Each rule's alarm is due at the exact millisecond its definition comes true. The exit code is 1
where a count is more than two alarms off the published one.
"""

import argparse
import json
from collections.abc import Callable

from rich.console import Console

from agents.cdnow import cdnow_purchases, default_cache
from agents.detection import (
    LAPSE_AGE,
    PUBLISHED,
    Row,
    Spell,
    cdnow_spells,
    detection_row,
    detection_table,
)
from schemas.instants import DAY_MS
from streams.core.model import Model
from streams.core.score import crossing, silence_of

MODEL = Model(r=0.637, alpha=7.310, a=0.807, b=1.228, p=6.28, q=3.62, gamma=14.98)
TOLERANCE = 2


def silent_for(days: int) -> Callable[[Spell], int]:
    """A plain silence of so many days."""
    return lambda spell: spell.start_at + days * DAY_MS


def p_lapse_reaches(q: float) -> Callable[[Spell], int]:
    """P(lapse) of the customer reaches q."""

    def due(spell: Spell) -> int:
        silence = silence_of(MODEL, spell.days, spell.first_at, spell.start_at)
        return spell.start_at + crossing(silence, LAPSE_AGE, q)

    return due


RULES = {f"silent_for {days}": silent_for(days) for days in (60, 90)} | {
    f"P(lapse) >= {q}": p_lapse_reaches(q) for q in (0.6, 0.7, 0.8, 0.9)
}


def detect(spells: list[Spell]) -> dict[str, Row]:
    """A row for each rule."""
    return {
        rule: detection_row(spells, {(spell.customer_id, spell.start_at): due(spell) for spell in spells})
        for rule, due in RULES.items()
    }


def main() -> int:
    """Compute, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    as_json = parser.parse_args().json
    rows = detect(cdnow_spells(cdnow_purchases(default_cache())))
    if as_json:
        print(json.dumps({rule: row._asdict() for rule, row in rows.items()}))
    else:
        Console().print(detection_table(rows))
    off = [rule for rule, row in rows.items() if abs(row.alarms - PUBLISHED[rule].alarms) > TOLERANCE]
    return 1 if off else 0


if __name__ == "__main__":
    raise SystemExit(main())
