"""What can happen to a customer, in the core's terms: integers only.

`at`: milliseconds since the epoch, UTC. `event`: 64-bit hash of the event's id. Elapsed time is a
stimulus like any other, so silence has no second code path.
"""

from enum import IntEnum

from msgspec import Struct

from schemas.triggers import MovedBy


class Status(IntEnum):
    """A ticket's steps, in the order in which steps of one instant are read."""

    OPENED = 0
    REPLIED = 1
    RESOLVED = 2
    REOPENED = 3
    CLOSED = 4


class Priority(IntEnum):
    """Indexes SlaBreach.within."""

    LOW = 0
    NORMAL = 1
    HIGH = 2
    URGENT = 3


class Ordered(Struct, frozen=True, gc=False):
    """An order or refund. order: 64-bit hash of the order id. amount: base-currency minor units,
    negative in a refund. accept_late: folded although it is older than `max_lateness`."""

    at: int
    event: int
    order: int
    amount: int
    refund: bool = False
    accept_late: bool = False


class LoggedIn(Struct, frozen=True, gc=False):
    """A sign-in."""

    at: int
    event: int
    accept_late: bool = False


class TicketStep(Struct, frozen=True, gc=False):
    """One step of a ticket. ticket: 64-bit hash of the ticket's id."""

    at: int
    event: int
    ticket: int
    status: int
    priority: int
    accept_late: bool = False


class Elapsed(Struct, frozen=True, gc=False):
    """Nothing happened, and the clock says `now`. moved_by: a new model or playbook moved dues."""

    moved_by: MovedBy | None = None


class Forget(Struct, frozen=True, gc=False):
    """The customer is to be forgotten: what is known now, and whatever is dated at or before `at`."""

    at: int


Stimulus = Ordered | LoggedIn | TicketStep | Elapsed | Forget
