"""How well alarms foretell lapses: the table of the benchmark CDNOW-Replay.

A spell is the silence after a purchase day. It *lapses* where the next purchase does not come
within the lapse age, else it *returns*. An alarm counts where it is due before the spell's end:
before the next purchase, and not after the lapse age. Of those alarms

    false_alarm_rate   share of returning spells that were alarmed
    caught             share of lapsing spells that were alarmed
    mean_delay_days    silence until the alarm in lapsing spells; the lapse age where none came
    precision          share of the alarms whose spell lapsed

The same function scores alarms computed from the formula and those that arrived in a topic.
"""

from collections.abc import Iterable, Mapping
from datetime import date
from itertools import groupby, pairwise
from operator import attrgetter
from typing import TYPE_CHECKING, Final, NamedTuple

from agents.cdnow import FIRST_DAY, CdnowPurchase
from schemas.instants import DAY_MS

if TYPE_CHECKING:
    from rich.table import Table

LAPSE_AGE: Final = 182 * DAY_MS
FIRST_START: Final = 273
LAST_START: Final = 363
"""Spells that start on these days of CDNOW lie after the training and have 182 days of future."""


class Spell(NamedTuple):
    """Instants in ms since the epoch. next_at: the next purchase day's, None if none was seen.

    days: distinct purchase days of the customer up to and with the one that starts the spell;
    first_at: the instant of the first.
    """

    customer_id: str
    start_at: int
    next_at: int | None
    days: int
    first_at: int


class Row(NamedTuple):
    """One line of the table; what its columns mean stands at the top of this module."""

    alarms: int
    false_alarm_rate: float
    caught: float
    mean_delay_days: float
    precision: float


Alarms = Mapping[tuple[str, int], int]
"""(customer, instant of the spell's day) -> due instant of the first alarm about that spell."""

PUBLISHED: Final[Mapping[str, Row]] = {
    "silent_for 60": Row(3525, 0.3012, 1.0, 60.00, 0.5305),
    "silent_for 90": Row(2916, 0.1904, 1.0, 90.00, 0.6413),
    "P(lapse) >= 0.6": Row(3349, 0.2692, 1.0, 52.68, 0.5584),
    "P(lapse) >= 0.7": Row(2838, 0.1762, 1.0, 81.04, 0.6589),
    "P(lapse) >= 0.8": Row(2449, 0.1054, 1.0, 112.89, 0.7636),
    "P(lapse) >= 0.9": Row(2142, 0.0495, 1.0, 146.14, 0.8730),
}
"""What alarms at the exact instant reach on CDNOW, with the model fitted on days 0 to 272."""


def midnight(day: date) -> int:
    """00:00 UTC of a day, in milliseconds since the epoch."""
    return (day - date(1970, 1, 1)).days * DAY_MS


def cdnow_spells(purchases: Iterable[CdnowPurchase]) -> list[Spell]:
    """The 7,364 spells of the benchmark; `purchases` sorted by customer and date, as the file is."""
    first_start = midnight(FIRST_DAY) + FIRST_START * DAY_MS
    last_start = midnight(FIRST_DAY) + LAST_START * DAY_MS
    spells = []
    for customer_id, bought in groupby(purchases, attrgetter("customer_id")):
        starts: list[int | None] = [*sorted({midnight(purchase.date) for purchase in bought}), None]
        first_at = starts[0] or 0
        for days, (start_at, next_at) in enumerate(pairwise(starts), start=1):
            assert start_at is not None
            if first_start <= start_at <= last_start:
                spells.append(Spell(customer_id, start_at, next_at, days, first_at))
    return spells


def detection_row(spells: Iterable[Spell], alarms: Alarms, lapse_age: int = LAPSE_AGE) -> Row:
    """The scores of one rule; alarms about other spells than those given don't count.

    A share of nothing (no alarm at all, no spell that lapsed) is given as 0.
    """
    returning = lapsing = false_alarms = caught = 0
    delay = 0
    for spell in spells:
        due = alarms.get((spell.customer_id, spell.start_at))
        if spell.next_at is not None and spell.next_at - spell.start_at <= lapse_age:
            returning += 1
            false_alarms += due is not None and due < spell.next_at
        else:
            lapsing += 1
            silence = lapse_age if due is None else due - spell.start_at
            caught += due is not None and silence <= lapse_age
            delay += min(silence, lapse_age)
    total = false_alarms + caught
    return Row(
        total,
        _share(false_alarms, returning),
        _share(caught, lapsing),
        _share(delay, lapsing) / DAY_MS,
        _share(caught, total),
    )


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def detection_table(rows: Mapping[str, Row], published: Mapping[str, Row] = PUBLISHED) -> "Table":
    """The rows for a terminal, each figure beside the published one."""
    from rich.table import Table

    table = Table(title="Alarms on 7,364 silences of CDNOW; below each figure the published one")
    table.add_column("rule", no_wrap=True)
    for name in ("alarms", "false alarms", "caught", "delay, days", "precision"):
        table.add_column(name, justify="right")
    for rule, row in rows.items():
        cells = _cells(row)
        if rule in published:
            beside = _cells(published[rule])
            cells = [f"{ours}\n[dim]{theirs}[/dim]" for ours, theirs in zip(cells, beside, strict=True)]
        table.add_row(rule, *cells)
    return table


def _cells(row: Row) -> list[str]:
    return [
        f"{row.alarms:,}",
        f"{row.false_alarm_rate:.4f}",
        f"{row.caught:.0%}",
        f"{row.mean_delay_days:.2f}",
        f"{row.precision:.4f}",
    ]
