"""A customer's state, another one than it is."""

from typing import Any, Final

from schemas.customer import Customer

_FIELDS: Final = (
    "purchases",
    "logins",
    "support",
    "firings",
    "stage",
    "lapsed_day",
    "wake_spell",
    "wake_support",
    "wake_logins",
    "forgotten_at",
)


def changed(customer: Customer, **changes: Any) -> Customer:
    """The customer with these fields and else the same ones."""
    return Customer(**{**{name: getattr(customer, name) for name in _FIELDS}, **changes})
