"""The explicit list of rules. A new rule is one function and one line here.

Rules are grouped by the facet they read, so that an event asks only the rules it can have moved.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType
from typing import Final, Literal

from schemas.triggers import Level
from streams.core.rules.lapse import risk_high, risk_medium, second_order_due, silent_for
from streams.core.rules.logins import login_decay
from streams.core.rules.support import sla_breach
from streams.core.rules.winback import winback_1, winback_2, winback_3

SILENCE_RULES: Final = (second_order_due, silent_for, risk_medium, risk_high)
"""Asked each for itself, and all at once, for the earliest alone, by lapse.first_of_silence: a new one goes
there too."""
LAPSED_RULES: Final = (winback_1, winback_2, winback_3)
"""Never before the lapse age, so nobody asks them before the lapse itself has been settled."""
SUPPORT_RULES: Final = (sla_breach,)
LOGIN_RULES: Final = (login_decay,)


class Family(IntEnum):
    """Which facet a rule reads; indexes what is kept a family."""

    SPELL = 0
    SUPPORT = 1
    LOGINS = 2


@dataclass(frozen=True, slots=True)
class About:
    """What the triggers of a rule say besides the numbers.

    overrides: the rule whose answer may change when this one fires.
    """

    family: Family
    topic: Literal["churn-risk", "win-back"]
    cleared_by: str
    level: Level | None = None
    overrides: str | None = None


_ORDER: Final = "an order on a later day"

ABOUT: Final[Mapping[str, About]] = MappingProxyType(
    {
        "risk_medium": About(Family.SPELL, "churn-risk", _ORDER, "medium"),
        "risk_high": About(Family.SPELL, "churn-risk", _ORDER, "high", overrides="risk_medium"),
        "silent_for": About(Family.SPELL, "churn-risk", _ORDER),
        "second_order_due": About(Family.SPELL, "churn-risk", "a second order"),
        "winback_1": About(Family.SPELL, "win-back", _ORDER),
        "winback_2": About(Family.SPELL, "win-back", _ORDER),
        "winback_3": About(Family.SPELL, "win-back", _ORDER),
        "sla_breach": About(Family.SUPPORT, "churn-risk", "an answer to the ticket"),
        "ticket_spike": About(Family.SUPPORT, "churn-risk", "nothing: it tells of a moment"),
        "login_decay": About(Family.LOGINS, "churn-risk", "signing in as often as before"),
    }
)

BY_NAME: Final = MappingProxyType(
    {rule.__name__: rule for rule in (*SILENCE_RULES, *LAPSED_RULES)},
)
"""The rules of silence, to be asked one by one."""
