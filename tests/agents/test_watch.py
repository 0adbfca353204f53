"""The line that `winback watch` prints for a trigger."""

from datetime import UTC, datetime

from agents.watch import line
from tests.agents.test_sentence import ENDED, trigger


def test_a_line_says_when_what_why_and_what_to_do() -> None:
    """Due instant, rule, sentence and suggestion."""
    assert (
        "2026-02-16 07:30  silent_for             c1 has bought nothing for 45 days, since 2026-01-02. "
        "Make an offer." == line(trigger(rule="silent_for")).plain
    )


def test_a_line_says_how_late_it_was_noticed() -> None:
    """A trigger detected after its due instant, as after an outage."""
    late = trigger(rule="silent_for", detected_at=datetime(2026, 2, 18, 8, 0, tzinfo=UTC))
    assert line(late).plain.endswith(" (noticed 2 d later)")


def test_an_ending_is_dated_by_what_ended_it() -> None:
    """A cleared risk happened when the order came, and suggests nothing."""
    text = line(trigger("cleared", **ENDED, detected_at=ENDED["ended_at"])).plain
    assert text.startswith("2026-03-01 00:00  risk_high cleared")
    assert text.endswith("so the high risk is over.")


def test_nothing_is_suggested_for_the_holdout() -> None:
    """Who is in the holdout is not to be contacted."""
    assert "Make an offer" not in line(trigger(holdout=True)).plain


def test_a_customer_s_id_is_no_markup() -> None:
    """Brackets in an id stay brackets."""
    assert "[red]c1[/red] has bought" in line(trigger(customer_id="[red]c1[/red]")).plain
