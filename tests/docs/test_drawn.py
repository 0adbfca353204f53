"""What docs/draw.py made of the code is what the code says today: else run `python -m docs.draw`."""

import json
from datetime import datetime, timedelta
from typing import Any, get_args

import pytest

from agents.demo.verdict import BESIDE
from agents.detection import Row
from docs.draw import ROOT, lifecycle_picture, metrics_page, trigger_of
from streams.metrics import RecordOutcome
from tests.docs.pages import blocks, read


def test_the_picture_of_the_lifecycle_shows_its_transitions() -> None:
    """The SVG is the one that TRANSITIONS draws."""
    assert lifecycle_picture() == read("docs/pictures/lifecycle.svg")


def test_the_list_of_metrics_is_that_of_the_code() -> None:
    """Names, types, labels and comments are those of streams/metrics.py."""
    assert metrics_page() == read("docs/metrics.md")


def test_each_outcome_of_a_record_is_explained() -> None:
    """The label `outcome` has no value that the page leaves out."""
    page = read("docs/metrics.md")
    assert [] == [outcome for outcome in get_args(RecordOutcome) if f"- `{outcome}`:" not in page]


def test_the_readmes_trigger_follows_from_its_purchase() -> None:
    """Headers and value are what `advance` makes of the order and the silence after it."""
    readme = ROOT / "README.md"
    purchase, value = blocks(readme, "json")
    headers, *_ = blocks(readme, "text")
    made = trigger_of(purchase).split("```")
    assert made[1].removeprefix("text\n") == headers
    # Another platform's mathematical library may round the last bit of a score otherwise.
    assert _close_to(json.loads(made[3].removeprefix("json"))) == json.loads(value)


def test_the_readme_tells_the_length_of_the_silence() -> None:
    """The words before the trigger are the time from the order to the due instant."""
    purchase, value = map(json.loads, blocks(ROOT / "README.md", "json"))
    silent = datetime.fromisoformat(value["due_at"]) - datetime.fromisoformat(purchase["occurred_at"])
    hours, rest = divmod(silent - timedelta(days=silent.days), timedelta(hours=1))
    words = f"{silent.days} days, {hours} hours and {round(rest / timedelta(minutes=1))} minutes later"
    assert words in read("README.md")


@pytest.mark.parametrize(("rule", "row"), BESIDE.items())
def test_the_demos_table_in_the_readme_holds_the_published_figures(rule: str, row: Row) -> None:
    """Each rule's line of the table is what the demo prints where the engine keeps its word."""
    _, table, *_ = blocks(ROOT / "README.md", "text")
    cells = [
        rule,
        f"{row.alarms:,}",
        f"{row.false_alarm_rate:.4f}",
        f"{row.caught:.0%}",
        f"{row.mean_delay_days:.2f}",
        f"{row.precision:.4f}",
    ]
    assert cells in [[cell.strip() for cell in line.strip("│").split("│")] for line in table.splitlines()]


def _close_to(value: Any) -> Any:
    """The value, its floats equal to what is within rounding."""
    if isinstance(value, dict):
        return {name: _close_to(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_close_to(member) for member in value]
    return pytest.approx(value, rel=1e-9) if isinstance(value, float) else value
