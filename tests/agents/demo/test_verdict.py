"""What the demo says of the triggers that arrived."""

from datetime import UTC, date, datetime
from typing import Any

from agents.cdnow import CdnowPurchase
from agents.demo.verdict import Arrived
from schemas.triggers import ChurnRisk, Value, WinBack, Window, Windows

NOTHING = Window(0, 0)


def trigger(number: int, rule: str, *, at_risk: int = 0, **more: Any) -> ChurnRisk | WinBack:
    """A trigger about customer 1 and the spell of 1 October 1997, due 60 days later."""
    body: dict[str, Any] = {
        "id": f"{number:026d}",
        "customer_id": "1",
        "rule": rule,
        "rule_version": 1,
        "kind": "due" if rule.startswith("winback") else "raised",
        "episode": "spell:1997-10-01",
        "step": 0,
        "due_at": datetime(1997, 11, 30, tzinfo=UTC),
        "detected_at": datetime(1997, 12, 1, tzinfo=UTC),
        "windows": Windows(NOTHING, NOTHING, NOTHING),
        "holdout": False,
        "suggested_action": "",
        "cleared_by": "",
        "value": Value("USD", at_risk, 0, 0),
        **more,
    }
    return (WinBack if rule.startswith("winback") else ChurnRisk)(**body)


def arrived(*triggers: ChurnRisk | WinBack) -> Arrived:
    """These have come."""
    found = Arrived()
    for each in triggers:
        found.add(each)
    return found


def test_the_table_counts_what_was_raised_about_the_spells_it_judges() -> None:
    """One alarm of the rule and step, on a silence that lapsed; a cleared one is not an alarm."""
    bought = [CdnowPurchase("1", date(1997, 10, 1), 1000, 1)]
    rows = arrived(trigger(1, "silent_for", step=60), trigger(2, "risk_high", kind="cleared")).rows(bought)
    assert (1, 1.0, 60.0) == (
        rows["silent_for 60"].alarms,
        rows["silent_for 60"].caught,
        rows["silent_for 60"].mean_delay_days,
    )
    assert [0, 0, 0] == [rows[name].alarms for name in ("silent_for 90", "risk_medium", "risk_high")]


def test_an_id_that_comes_twice_is_a_doubled_trigger() -> None:
    """The promise is that there is none, so the demo counts."""
    assert 1 == arrived(trigger(1, "risk_high"), trigger(1, "risk_high"), trigger(2, "risk_high")).doubled


def test_three_are_explained_of_different_rules_the_dearest_of_each() -> None:
    """Who reads three sentences wants to see three rules."""
    found = arrived(
        trigger(1, "risk_high", at_risk=5),
        trigger(2, "risk_high", at_risk=7),
        trigger(3, "winback_1"),
        trigger(4, "login_decay", episode="logins:1997-10-01T00:00:00.000+00:00"),
        trigger(5, "sla_breach", episode="support:1997-10-01T00:00:00.000+00:00:ff"),
    )
    assert ["2", "3", "4"] == [each.id.lstrip("0") for each in found.three()]
