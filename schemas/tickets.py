"""One ticket at rest. Of a customer's state only this is written as MessagePack: tickets are few, and no
two of them have the same number of steps."""

from msgspec import Struct


class Ticket(Struct, frozen=True, array_like=True, gc=False):
    """The steps of one ticket in order of (instant, status, hash of the step's id).

    key: the hash of the ticket's id; hashes are unsigned 64-bit numbers here.
    """

    key: int
    instants: tuple[int, ...]
    statuses: tuple[int, ...]
    priorities: tuple[int, ...]
    hashes: tuple[int, ...]
