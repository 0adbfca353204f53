"""What a customer is worth, and how much of it is at risk.

The mean spend of an order day differs among customers as in the Gamma-Gamma model of Fader &
Hardie (2013), note 025: after x repeat days of mean spend m,

    E[M] = p (gamma + x m) / (p x + q - 1)

so one lucky order is drawn towards what customers spend in general. A customer who still buys does
so at g / (s + d) purchase days a week (the posterior mean rate, streams/core/score.py). Hence, for
a customer who stays, a year is worth rate x weeks x E[M]; and what is at risk is

    P(lapse) x (year x (1 + expansion) + cost of acquiring a new customer).

The model's money is in major units of the playbook's base currency; everything returned is in
whole minor units, rounded half to even.
"""

from typing import Final

from schemas.triggers import Value
from streams.core.model import Model
from streams.core.playbook import Playbook, ValueOfCustomer
from streams.core.score import WEEK, Silence

WEEKS_A_YEAR: Final = 52.1775
"""365.2425 days, the mean year of the calendar."""

MOST: Final = 2**53 - 1
"""Every JSON reader takes whole numbers up to here exactly; nothing larger leaves."""


def order_value(model: Model, repeat_days: int, repeat_spend: float) -> float:
    """E[M]: expected spend of the next order day, in major units, above 0.

    repeat_spend: x m, all orders after the first day less refunds; below 0 counts as 0. With q <= 1
    the mean over customers is infinite, and so is E[M] of one without enough repeat days: there
    p / E[rate parameter] = p (gamma + x m) / (p x + q) stands in.
    """
    weight = model.p * repeat_days + model.q
    return model.p * (model.gamma + max(repeat_spend, 0.0)) / (weight - 1.0 if weight > 1.0 else weight)


def at_risk(p_lapse: float, annual_minor: int, value: ValueOfCustomer) -> int:
    """Value at risk in minor units; it follows from the published p_lapse and annual_minor."""
    return _whole(p_lapse * (annual_minor * (1.0 + value.expansion) + value.acquisition_minor))


def value_of(
    playbook: Playbook, silence: Silence, silent_ms: int, p_lapse: float, repeat_minor: int
) -> Value:
    """What is at stake after a silence of `silent_ms`.

    repeat_minor: spend less refunds of all days but the first, in minor units (facet `purchases`:
    spend - first_day_spend); it may be negative.
    """
    minor_units = 10**playbook.minor_digits
    order = order_value(playbook.model, silence.repeat_days, repeat_minor / minor_units) * minor_units
    per_week = silence.shape / ((silence.scale + max(silent_ms, 0)) / WEEK)
    annual_minor = _whole(per_week * WEEKS_A_YEAR * order)
    return Value(
        playbook.currency,
        at_risk(p_lapse, annual_minor, playbook.value),
        annual_minor,
        _whole(order),
    )


def _whole(minor: float) -> int:
    return round(minor) if minor < MOST else MOST
