"""The three events Winback consumes, version 1.

Each arrives keyed by the customer, as bare JSON or as a CloudEvent (binary or structured mode).
Field names follow the ecosystem (Segment's "Order Completed" and "Signed In", Zendesk's ticket
webhooks). Unknown fields are ignored, so that a producer may add its own.
"""

from datetime import datetime
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

Identifier = Annotated[str, Meta(min_length=1, max_length=256)]
"""An opaque id. Never a mail address or a name: ids travel in keys, and keys are not encrypted."""

Instant = Annotated[datetime, Meta(tz=True)]
"""RFC 3339 with a zone; a local time without one is refused, since nobody could place it."""

Label = Annotated[str, Meta(max_length=64)]

MinorUnits = Annotated[int, Meta(ge=0, le=10**12)]
"""Money in minor units (cents); at most ten thousand million of the major unit."""

CURRENCY: Final = "^[A-Z]{3}$"

Currency = Annotated[str, Meta(extra_json_schema={"pattern": CURRENCY})]
"""ISO 4217 alphabetic code. Looked at by streams/intake.py where it is not the base currency: to search
each one for the pattern took a third of all that decoding takes."""


class Item(Struct, frozen=True):
    """One line of an order."""

    sku: Identifier
    quantity: Annotated[int, Meta(ge=1, le=10**6)] = 1
    price_minor: MinorUnits | None = None


class Purchase(Struct, frozen=True):
    """An order, or the refund of (a part of) one. `amount_minor` is positive in both."""

    id: Identifier
    customer_id: Identifier
    occurred_at: Instant
    order_id: Identifier
    amount_minor: MinorUnits
    currency: Currency
    kind: Literal["purchase", "refund"] = "purchase"
    channel: Label | None = None
    items: tuple[Item, ...] = ()
    schema_version: Literal[1] = 1


class Login(Struct, frozen=True):
    """A customer signed in."""

    id: Identifier
    customer_id: Identifier
    occurred_at: Instant
    method: Label | None = None
    channel: Label | None = None
    schema_version: Literal[1] = 1


TicketStatus = Literal["opened", "replied", "resolved", "reopened", "closed"]
TicketPriority = Literal["low", "normal", "high", "urgent"]


class SupportTicket(Struct, frozen=True):
    """One step in a ticket's life; `id` names the step, `ticket_id` the ticket."""

    id: Identifier
    customer_id: Identifier
    occurred_at: Instant
    ticket_id: Identifier
    status: TicketStatus
    priority: TicketPriority = "normal"
    category: Label | None = None
    channel: Label | None = None
    schema_version: Literal[1] = 1


Event = Purchase | Login | SupportTicket
