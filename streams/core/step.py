"""What `advance` answers: the customer afterwards, and decisions as data for the shell to perform."""

from enum import StrEnum
from typing import Final, NamedTuple

from mypy_extensions import mypyc_attr

from schemas.customer import Customer, wake_of
from schemas.triggers import ChurnRisk, CustomerHealth, WinBack
from streams.core.lifecycle import Stage


class Outcome(StrEnum):
    """What became of the stimulus."""

    FOLDED = "folded"
    DUPLICATE = "duplicate"
    TOO_LATE = "too_late"
    """A dead letter: more than `max_lateness` behind the partition's clock."""
    FORGOTTEN = "forgotten"
    """Dated at or before the customer's erasure; or the erasure itself."""
    ELAPSED = "elapsed"


class Suppressed(NamedTuple):
    """A firing that did not happen, and why."""

    rule: str
    reason: str


@mypyc_attr(acyclic=True, free_list_len=1)
class Step:
    """One decision.

    customer: the state afterwards; the same object where nothing changed. triggers: in the order
    in which they came true. health: to be published, where stage or level changed.
    """

    __slots__ = ("customer", "health", "outcome", "suppressed", "triggers")

    def __init__(
        self,
        customer: Customer,
        outcome: Outcome,
        triggers: tuple[ChurnRisk | WinBack, ...] = (),
        suppressed: tuple[Suppressed, ...] = (),
        health: CustomerHealth | None = None,
    ) -> None:
        self.customer: Final = customer
        self.outcome: Final = outcome
        self.triggers: Final = triggers
        self.suppressed: Final = suppressed
        self.health: Final = health

    @property
    def wake_at(self) -> int:
        """The earliest instant (ms) at which a rule comes true if nothing more happens."""
        return wake_of(self.customer)

    @property
    def stage(self) -> Stage:
        """Where the customer stands afterwards."""
        return Stage(self.customer.stage)
