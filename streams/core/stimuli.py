"""What can happen to a customer, in the core's terms: integers only.

`at`: milliseconds since the epoch, UTC. `event`: 64-bit hash of the event's id, as a signed number.
Elapsed time is a stimulus like any other, so silence has no second code path.
"""

from enum import IntEnum
from typing import Final

from mypy_extensions import i64, mypyc_attr

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


@mypyc_attr(acyclic=True)
class Ordered:
    """An order or refund. order: 64-bit hash of the order id. amount: base-currency minor units,
    negative in a refund. accept_late: folded although it is older than `max_lateness`."""

    __slots__ = ("accept_late", "amount", "at", "event", "order", "refund")

    def __init__(  # noqa: PLR0917 - by position: one is made for each purchase
        self,
        at: i64,
        event: i64,
        order: i64,
        amount: i64,
        refund: bool = False,
        accept_late: bool = False,
    ) -> None:
        self.at: Final = at
        self.event: Final = event
        self.order: Final = order
        self.amount: Final = amount
        self.refund: Final = refund
        self.accept_late: Final = accept_late


@mypyc_attr(acyclic=True)
class LoggedIn:
    """A sign-in."""

    __slots__ = ("accept_late", "at", "event")

    def __init__(self, at: i64, event: i64, accept_late: bool = False) -> None:
        self.at: Final = at
        self.event: Final = event
        self.accept_late: Final = accept_late


@mypyc_attr(acyclic=True)
class TicketStep:
    """One step of a ticket. ticket: 64-bit hash of the ticket's id."""

    __slots__ = ("accept_late", "at", "event", "priority", "status", "ticket")

    def __init__(  # noqa: PLR0917 - as `Ordered`
        self, at: i64, event: i64, ticket: i64, status: i64, priority: i64, accept_late: bool = False
    ) -> None:
        self.at: Final = at
        self.event: Final = event
        self.ticket: Final = ticket
        self.status: Final = status
        self.priority: Final = priority
        self.accept_late: Final = accept_late


@mypyc_attr(acyclic=True)
class Elapsed:
    """Nothing happened, and the clock says `now`. moved_by: a new model or playbook moved dues."""

    __slots__ = ("moved_by",)

    def __init__(self, moved_by: MovedBy | None = None) -> None:
        self.moved_by: Final = moved_by


@mypyc_attr(acyclic=True)
class Forget:
    """The customer is to be forgotten: what is known now, and whatever is dated at or before `at`."""

    __slots__ = ("at",)

    def __init__(self, at: i64) -> None:
        self.at: Final = at


Stimulus = Ordered | LoggedIn | TicketStep | Elapsed | Forget
