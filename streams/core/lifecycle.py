"""A customer's stage, as a table: (stage, signal) -> stage. What is not in the table stays."""

from collections.abc import Mapping
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import Final

from schemas.triggers import StageName


class Stage(IntEnum):
    """Where a customer stands; the number is what the state keeps."""

    PROSPECT = 0
    NEW = 1
    ACTIVE = 2
    AT_RISK = 3
    LAPSED = 4
    WON_BACK = 5


STAGES: Final = tuple(Stage)
LABELS: Final[tuple[StageName, ...]] = ("prospect", "new", "active", "at_risk", "lapsed", "won_back")
"""By number: the stages, and as the wire says them."""


class Signal(StrEnum):
    """What moves a customer from stage to stage."""

    FIRST_ORDER = "first order"
    ORDER = "order on another day"
    RETURN = "order after the lapse age"
    RISK = "risk raised"
    LAPSE = "lapse age reached"


TRANSITIONS: Final[Mapping[tuple[Stage, Signal], Stage]] = MappingProxyType(
    {
        (Stage.PROSPECT, Signal.FIRST_ORDER): Stage.NEW,
        (Stage.NEW, Signal.ORDER): Stage.ACTIVE,
        (Stage.NEW, Signal.RISK): Stage.AT_RISK,
        (Stage.NEW, Signal.LAPSE): Stage.LAPSED,
        (Stage.ACTIVE, Signal.RISK): Stage.AT_RISK,
        (Stage.ACTIVE, Signal.LAPSE): Stage.LAPSED,
        (Stage.AT_RISK, Signal.ORDER): Stage.ACTIVE,
        (Stage.AT_RISK, Signal.LAPSE): Stage.LAPSED,
        # An order that arrives late, dated before the lapse or at it: there was none.
        (Stage.LAPSED, Signal.ORDER): Stage.ACTIVE,
        (Stage.LAPSED, Signal.RETURN): Stage.WON_BACK,
        (Stage.WON_BACK, Signal.ORDER): Stage.ACTIVE,
        (Stage.WON_BACK, Signal.RISK): Stage.AT_RISK,
        (Stage.WON_BACK, Signal.LAPSE): Stage.LAPSED,
    }
)

MOVES: Final[Mapping[Signal, tuple[int, ...]]] = MappingProxyType(
    {signal: tuple([int(TRANSITIONS.get((stage, signal), stage)) for stage in STAGES]) for signal in Signal}
)
"""The same table to be walked by number, once for every event: by signal, and then by stage."""
