"""Each trigger in one sentence that a marketer understands."""

from datetime import UTC, datetime
from typing import Any

import pytest

from agents.sentence import money, reasons, sentence
from schemas.triggers import ChurnRisk, Driver, Score, Value, WinBack, Window, Windows

NOTHING = Window(0, 0)
SCORE = Score(
    p_lapse=0.624,
    explains="p_lapse",
    logit=0.5,
    drivers=(Driver("prior", 0.9), Driver("history", -1.3), Driver("silence", 0.9)),
)
VALUE = Value("USD", at_risk_minor=123456, annual_minor=200000, order_minor=3000)


def trigger(kind: Any = "raised", rule: str = "risk_high", **more: Any) -> ChurnRisk | WinBack:
    """A trigger about c1, silent since 2 January, due 45 days later."""
    body: dict[str, Any] = {
        "id": "01",
        "customer_id": "c1",
        "rule": rule,
        "rule_version": 1,
        "kind": kind,
        "episode": "spell:2026-01-02",
        "step": 0,
        "due_at": datetime(2026, 2, 16, 7, 30, tzinfo=UTC),
        "detected_at": datetime(2026, 2, 16, 7, 30, tzinfo=UTC),
        "windows": Windows(NOTHING, NOTHING, NOTHING),
        "holdout": False,
        "suggested_action": "Make an offer",
        "cleared_by": "an order on a later day",
        **more,
    }
    return (WinBack if rule.startswith("winback") else ChurnRisk)(**body)


ENDED: dict[str, Any] = {"ended_at": datetime(2026, 3, 1, tzinfo=UTC)}
TICKET: dict[str, Any] = {"episode": "support:2026-02-16T03:30:00.000+00:00:00000000000000ff"}
LOGIN: dict[str, Any] = {"episode": "logins:2026-02-01T00:00:00.000+00:00"}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            trigger(score=SCORE, value=VALUE),
            (
                "c1 has bought nothing for 45 days, since 2026-01-02; the risk that they stay away is 62%, "
                "mostly because of how customers in general behave, then the length of this silence, "
                "in spite of how this customer has bought so far; 1,234.56 USD is at stake."
            ),
        ),
        (
            trigger(rule="silent_for", due_at=datetime(2026, 1, 3, tzinfo=UTC)),
            "c1 has bought nothing for 1 day, since 2026-01-02.",
        ),
        (
            trigger(rule="second_order_due"),
            "c1 placed a first order on 2026-01-02 and no second one in the 45 days since.",
        ),
        (
            trigger("due", "winback_2", step=2, value=VALUE),
            (
                "c1 has lapsed: nothing bought for 45 days, since 2026-01-02; step 2 of winning them back is "
                "due; 1,234.56 USD is at stake."
            ),
        ),
        (
            trigger("achieved", "winback_2", step=2, **ENDED),
            "c1 is back: they ordered on 2026-03-01, after step 2 and a silence that began on 2026-01-02.",
        ),
        (trigger("cleared", **ENDED), "c1 ordered on 2026-03-01, so the high risk is over."),
        (
            trigger("revoked", "winback_1", ended_at=datetime(2026, 2, 10, tzinfo=UTC)),
            (
                "c1: step 1 of winning them back of 2026-02-16 is taken back, since something that happened "
                "on 2026-02-10 became known only later."
            ),
        ),
        (
            trigger(rule="sla_breach", **TICKET),
            "c1 still waits for a reply that was promised by 2026-02-16 07:30 UTC.",
        ),
        (
            trigger("cleared", "sla_breach", **TICKET, **ENDED),
            "c1: the overdue reply was settled on 2026-03-01.",
        ),
        (
            trigger(rule="ticket_spike", **TICKET),
            "c1 has opened far more support tickets than usual, the latest on 2026-02-16.",
        ),
        (trigger(rule="login_decay", **LOGIN), "c1 signs in far less often than they used to."),
        (
            trigger("cleared", "login_decay", **LOGIN, **ENDED),
            "c1: the drop in sign-ins was settled on 2026-03-01.",
        ),
        (
            trigger(rule="silent_for", holdout=True, stale=True, moved_by="model"),
            (
                "c1 has bought nothing for 45 days, since 2026-01-02 (holdout: leave them alone; too old to "
                "act on; found by a new model)."
            ),
        ),
        (trigger(rule="moon_phase"), "c1: moon_phase came true on 2026-02-16."),
    ],
)
def test_a_trigger_is_one_sentence(given: ChurnRisk | WinBack, expected: str) -> None:
    """What happened, since when, why, and what is at stake, for every rule and kind."""
    assert expected == sentence(given)


def test_weak_drivers_are_left_out() -> None:
    """Only what pushes at least half as hard as the strongest is named."""
    score = Score(0.6, "p_lapse", 0.4, (Driver("prior", 0.3), Driver("silence", 1.0)))
    assert "mostly because of the length of this silence" == reasons(score)


def test_a_score_that_nothing_pushes_has_no_reasons() -> None:
    """No words rather than empty ones."""
    assert "" == reasons(Score(0.5, "p_lapse", 0.0, ()))


@pytest.mark.parametrize(
    ("amount", "currency", "expected"),
    [
        (123456, "USD", "1,234.56 USD"),
        (1234, "JPY", "1,234 JPY"),
        (1234, "KWD", "1.234 KWD"),
        (-5, "EUR", "-0.05 EUR"),
    ],
)
def test_money_has_the_currency_s_own_decimal_places(amount: int, currency: str, expected: str) -> None:
    """ISO 4217: two for dollars, none for yen, three for dinars."""
    assert expected == money(amount, currency)
