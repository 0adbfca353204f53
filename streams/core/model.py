"""The parameters of the score, as data. `agents/fit.py` finds them; `score.py` uses them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Model:
    """MBG/NBD (time in weeks) and Gamma-Gamma (money in major units of `currency`).

    r, alpha: purchase rates among customers are Gamma(r, rate alpha). a, b: drop-out probabilities
    are Beta(a, b). p, q, gamma: the mean spend of an order, Fader & Hardie (2013), note 025.
    """

    r: float
    alpha: float
    a: float
    b: float
    p: float
    q: float
    gamma: float
    customers: int = 0
    """How many customers it was fitted on; 0: the packaged prior."""
    currency: str = "USD"
    trained_until: str | None = None
    """RFC 3339; for people."""
