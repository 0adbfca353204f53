"""The right to be forgotten: the request on `erasures`, and the receipt that answers it, version 1.

Both are keyed by the customer. A request says no more than up to when; the newest of a customer
stays in its compacted topic, and every state that is ever made from the same topics obeys it.
"""

from datetime import datetime

from msgspec import Struct

from schemas.events import Instant


class Erasure(Struct, frozen=True):
    """Forget the customer who is the key: all that is known now, and whatever is dated at or before `at`."""

    at: Instant


class ErasureReceipt(Struct, frozen=True):
    """An application has forgotten: in the transaction that wrote this, its state of the customer went.

    forgotten_at: nothing dated at or before it is folded any more. was_known: whether there was
    anything to forget. application_id: whose state it is.
    """

    customer_id: str
    forgotten_at: datetime
    was_known: bool
    application_id: str
