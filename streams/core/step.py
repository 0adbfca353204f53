"""What `advance` answers: the customer afterwards, and decisions as data for the shell to perform."""

from enum import StrEnum
from typing import NamedTuple

from schemas.customer import Customer
from schemas.triggers import ChurnRisk, CustomerHealth, WinBack
from streams.core.lifecycle import Stage


class Outcome(StrEnum):
    """What became of the stimulus."""

    FOLDED = "folded"
    DUPLICATE = "duplicate"
    TOO_LATE = "too_late"
    """A dead letter: more than `max_lateness` behind the partition's clock."""
    ELAPSED = "elapsed"


class Suppressed(NamedTuple):
    """A firing that did not happen, and why."""

    rule: str
    reason: str


class Step(NamedTuple):
    """One decision.

    customer: the state afterwards; the same object where nothing changed. triggers: in the order
    in which they came true. health: to be published, where stage or level changed.
    """

    customer: Customer
    outcome: Outcome
    triggers: tuple[ChurnRisk | WinBack, ...] = ()
    suppressed: tuple[Suppressed, ...] = ()
    health: CustomerHealth | None = None

    @property
    def wake_at(self) -> int:
        """The earliest instant (ms) at which a rule comes true if nothing more happens."""
        customer = self.customer
        return min(customer.wake_spell, customer.wake_support, customer.wake_logins)

    @property
    def stage(self) -> Stage:
        """Where the customer stands afterwards."""
        return Stage(self.customer.stage)
