"""How a replay's result is shown."""

import json

import pytest

from agents.replay_report import Refusals, Report, Row, show

REPORT = Report(
    application_id="trial",
    begin="2026-01-01T00:00:00Z",
    end="2026-03-01T00:00:00Z",
    triggers=[Row("risk_high", "raised", 1200), Row("risk_high", "cleared", 30), Row("winback_1", "due", 7)],
    dead_letters=[Refusals("logins", "not_json", 5)],
    topics=["trial-churn-risk", "trial-win-back"],
    seconds=1.25,
)


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines are not broken."""
    monkeypatch.setenv("COLUMNS", "200")


def test_a_table_has_a_row_a_rule_and_a_column_a_kind(capsys: pytest.CaptureFixture[str]) -> None:
    """Kinds that nothing has said have none; then where it all stands, and what was refused."""
    show(REPORT, as_json=False)
    shown, note = capsys.readouterr()
    head, *rows = [line.split() for line in shown.splitlines()[:3]]
    assert ["rule", "raised", "cleared", "due"] == head
    assert [["risk_high", "1,200", "30", "-"], ["winback_1", "-", "-", "7"]] == rows
    assert (
        "1,237 triggers from 2026-01-01T00:00:00Z to 2026-03-01T00:00:00Z, in trial-churn-risk and "
        "trial-win-back; done in 1.2 s\n"
    ) in shown
    assert "5 records of logins refused, not_json\n" in shown
    assert "never for delivery" in note


def test_json_is_one_line_of_everything(capsys: pytest.CaptureFixture[str]) -> None:
    """The times by the names of the options."""
    show(REPORT, as_json=True)
    shown, note = capsys.readouterr()
    assert (1, "") == (shown.count("\n"), note)
    report = json.loads(shown)
    assert ("2026-01-01T00:00:00Z", "2026-03-01T00:00:00Z") == (report["from"], report["until"])
    assert {"rule": "risk_high", "kind": "cleared", "count": 30} in report["triggers"]
    assert [{"topic": "logins", "reason": "not_json", "count": 5}] == report["dead_letters"]


def test_a_replay_that_said_nothing_has_no_table(capsys: pytest.CaptureFixture[str]) -> None:
    """The sentence says it."""
    show(Report("trial", "a", "b", [], [], REPORT.topics), as_json=False)
    assert capsys.readouterr().out.startswith("0 triggers from a to b")
