"""A silence in the model's terms."""

from msgspec import Struct


class Silence(Struct, frozen=True, gc=False):
    """What the score needs to know of a customer who stops buying now.

    repeat_days: x. scale: s, in milliseconds. shape: g. odds: c, of having dropped out at the last
    purchase.
    """

    repeat_days: int
    scale: float
    shape: float
    odds: float
