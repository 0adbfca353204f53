"""CDNOW through the real partition, bytes in and bytes out: the published alarms, each of them."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from agents.cdnow import cdnow_events, cdnow_purchases, default_cache
from agents.demo.run import PLAYBOOK
from agents.demo.verdict import BESIDE, Arrived
from schemas.instants import since_epoch
from schemas.topics import CHURN_RISK
from schemas.triggers import ChurnRisk
from streams.playbook_file import load_playbook
from tests.streams.memory import Stand, triggers_of

END = since_epoch(datetime(1998, 7, 1, tzinfo=UTC))
ONLY_WHAT_IS_JUDGED = """
[rules.second_order_due]
enabled = false
[rules.winback_1]
enabled = false
[rules.winback_2]
enabled = false
[rules.winback_3]
enabled = false
"""


@pytest.fixture
def playbook_file(tmp_path: Path) -> Path:
    """The benchmark's playbook, without the rules that its table does not show: they cost time alone."""
    kept, skipping = [], False
    for line in PLAYBOOK.read_text("utf-8").splitlines():
        if line.startswith("["):
            skipping = "winback" in line or "second_order" in line
        if not skipping:
            kept.append(line)
    file = tmp_path / "playbook.toml"
    file.write_text("\n".join(kept) + ONLY_WHAT_IS_JUDGED, "utf-8")
    return file


@pytest.mark.timeout(900)
async def test_the_engine_raises_the_published_alarms(playbook_file: Path) -> None:
    """To the last alarm, and to every printed digit of the rates and the delay."""
    purchases = cdnow_purchases(default_cache())
    stand = Stand(load_playbook(playbook_file, None), end=END, buffer_bytes=1 << 30)
    stand.put(*sorted(cdnow_events(purchases), key=lambda event: event.occurred_at))
    stand.open()
    stand.deliver_all(4000)
    await stand.settle()
    arrived = Arrived()
    for trigger in triggers_of(stand.journal.written(CHURN_RISK)):
        assert isinstance(trigger, ChurnRisk)
        arrived.add(trigger)
    rows = arrived.rows(purchases)
    assert {name: row.alarms for name, row in BESIDE.items()} == {
        name: row.alarms for name, row in rows.items()
    }
    for name, published in BESIDE.items():
        assert published.false_alarm_rate == round(rows[name].false_alarm_rate, 4)
        assert published.mean_delay_days == round(rows[name].mean_delay_days, 2)
        assert published.precision == round(rows[name].precision, 4)
    assert arrived.doubled == 0
