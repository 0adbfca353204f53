"""What the demo makes of the triggers that arrived: the table, three of them explained, the report."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from agents.cdnow import CdnowPurchase
from agents.detection import PUBLISHED, Alarms, Row, cdnow_spells, detection_row
from schemas.instants import since_epoch
from schemas.triggers import ChurnRisk, WinBack

RULES: Final[Mapping[str, tuple[str, int]]] = {
    "silent_for 60": ("silent_for", 60),
    "silent_for 90": ("silent_for", 90),
    "risk_medium": ("risk_medium", 0),
    "risk_high": ("risk_high", 0),
}
"""The rows of the table: rule and step."""

BESIDE: Final[Mapping[str, Row]] = {
    "silent_for 60": PUBLISHED["silent_for 60"],
    "silent_for 90": PUBLISHED["silent_for 90"],
    "risk_medium": PUBLISHED["P(lapse) >= 0.6"],
    "risk_high": PUBLISHED["P(lapse) >= 0.8"],
}
"""The figures that the same rules reach when they are computed apart from the engine."""

_TO_EXPLAIN: Final = ("risk_high", "winback_1", "ticket_spike", "login_decay", "sla_breach", "risk_medium")


class Arrived:
    """The triggers that came out, gathered as they come."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        self.ids: Counter[str] = Counter()
        self._alarms: dict[tuple[str, int], dict[tuple[str, int], int]] = {}
        self._foremost: dict[str, ChurnRisk | WinBack] = {}

    def add(self, trigger: ChurnRisk | WinBack) -> None:
        """Take one trigger."""
        self.counts[trigger.rule, trigger.kind] += 1
        self.ids[trigger.id] += 1
        if trigger.kind not in {"raised", "due"}:
            return
        foremost = self._foremost.get(trigger.rule)
        if foremost is None or _stake(trigger) > _stake(foremost):
            self._foremost[trigger.rule] = trigger
        if trigger.episode.startswith("spell:"):
            start = datetime.fromisoformat(trigger.episode.removeprefix("spell:")).replace(tzinfo=UTC)
            alarms = self._alarms.setdefault((trigger.rule, trigger.step), {})
            alarms[trigger.customer_id, since_epoch(start)] = since_epoch(trigger.due_at)

    def __len__(self) -> int:
        return self.ids.total()

    @property
    def doubled(self) -> int:
        """How many triggers came more than once: the promise is none."""
        return len(self) - len(self.ids)

    def rows(self, purchases: Iterable[CdnowPurchase]) -> dict[str, Row]:
        """The table: each rule's alarms about the benchmark's spells, scored."""
        spells = cdnow_spells(purchases)
        return {name: detection_row(spells, self._about(key)) for name, key in RULES.items()}

    def _about(self, key: tuple[str, int]) -> Alarms:
        return self._alarms.get(key, {})

    def three(self) -> Sequence[ChurnRisk | WinBack]:
        """Three triggers worth reading: of different rules, each the one with most at stake."""
        found = [self._foremost[rule] for rule in _TO_EXPLAIN if rule in self._foremost]
        return found[:3]


def _stake(trigger: ChurnRisk | WinBack) -> tuple[int, str]:
    return (trigger.value.at_risk_minor if trigger.value else 0, trigger.id)
