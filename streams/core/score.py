"""P(lapse): the probability that a silence will reach the lapse age, why, and when it passes q.

Theory. Among customers, purchase rates are Gamma(r, rate alpha); after each purchase, the first
one too, a customer drops out with a probability that is Beta(a, b) among customers: the MBG/NBD of
Batislam, Denizel & Filiztekin (2007) and Hoppe & Wagner (2007). For a customer with x repeat
purchase days, the last one t_x after the first, and a silence d since then, write

    s = alpha + t_x     g = r + x     c = a / (b + x)     u(d) = (s / (s + d))^g

u(d) is the chance that a customer who still buys has been silent for d by accident, and c the odds
that the last purchase was the very last. So a silence of d occurs in proportion to u(d) + c, and

    P(dead | d)        = c / (u(d) + c)
    P(lapse at D | d)  = (u(D) + c) / (u(d) + c)      for d < D;  1 by definition from D on.

The first millisecond at which P(lapse) >= q follows in closed form: u(d) = (u(D) + c (1 - q)) / q.

Floats. Instants and silences are whole milliseconds. One millisecond more moves log1p(d / s) by
1 / (s + d), which for lives below three centuries is hundreds of units in the last place; so the
computed u never rises with d, and P(lapse) never falls, whatever the last-bit rounding of the
mathematical library. It may stay equal for a stretch (u below the last bit of c, or underflown to
0), and then sits on 1.0 before D. `crossing` relies on the order alone, not on strictness.
"""

from functools import lru_cache
from math import ceil, exp, expm1, log, log1p
from typing import Final

from mypy_extensions import i64, mypyc_attr

from schemas.triggers import Driver, Score
from streams.core.model import Model

WEEK: Final = 604_800_000
"""Milliseconds in the model's unit of time."""


# Unlike exp and log these are called as objects also where the rest is compiled: so without a search by name.
_log1p: Final = log1p
_expm1: Final = expm1


@mypyc_attr(acyclic=True, free_list_len=1)
class Silence:
    """What the score needs to know of a customer who stops buying now.

    repeat_days: x. scale: s, in milliseconds. shape: g. odds: c, of having dropped out at the last
    purchase.
    """

    __slots__ = ("odds", "repeat_days", "scale", "shape")

    def __init__(self, repeat_days: i64, scale: float, shape: float, odds: float) -> None:
        self.repeat_days: Final = repeat_days
        self.scale: Final = scale
        self.shape: Final = shape
        self.odds: Final = odds


def silence_of(model: Model, days: i64, first_at: i64, last_at: i64) -> Silence:
    """The silence after a purchase at `last_at`, by a customer of `days` >= 1 purchase days."""
    repeats = float(days - 1)
    scale = model.alpha * WEEK + float(last_at - first_at)
    return Silence(days - 1, scale, model.r + repeats, model.a / (model.b + repeats))


def p_lapse(silence: Silence, lapse_age_ms: i64, silent_ms: i64) -> float:
    """The probability that a silence of `silent_ms` (below 0 counts as 0) reaches the lapse age."""
    if silent_ms >= lapse_age_ms:
        return 1.0
    scale, shape, odds = silence.scale, silence.shape, silence.odds
    reached = exp(-shape * _log1p(float(lapse_age_ms) / scale)) + odds
    return reached / ((exp(-shape * _log1p(float(silent_ms) / scale)) if silent_ms > 0 else 1.0) + odds)


def crossing(silence: Silence, lapse_age_ms: i64, q: float, least: i64 = 0) -> i64:
    """The first whole millisecond of silence, `least` or more, at which p_lapse(...) >= q.

    Exact in terms of `p_lapse` itself: the closed form proposes, and the two neighbours of the
    line are evaluated as `p_lapse` evaluates them; about three in a million proposals are a
    millisecond off. 0 < q < 1.
    """
    scale, shape, odds = silence.scale, silence.shape, silence.odds
    survives = exp(-shape * _log1p(float(lapse_age_ms) / scale))
    reached = survives + odds
    target = (survives + odds * (1.0 - q)) / q
    due = lapse_age_ms
    if target > 0.0:  # else everything has underflown: no closed form, so search all of it
        guess = scale * _expm1(-log(target) / shape)
        if guess < float(lapse_age_ms):
            due = ceil(guess)
        # P(lapse) never falls: what holds of the millisecond before `due` holds of `least` too.
        if (
            least < due < lapse_age_ms
            and reached / (exp(-shape * _log1p(float(due) / scale)) + odds) >= q
            and reached / (exp(-shape * _log1p(float(due - 1) / scale)) + odds) < q
        ):
            return due
    if (
        least >= lapse_age_ms
        or reached / ((exp(-shape * _log1p(float(least) / scale)) if least > 0 else 1.0) + odds) >= q
    ):
        return least
    return _search(silence, lapse_age_ms, q, due, least)


def _search(silence: Silence, lapse_age_ms: i64, q: float, guess: i64, least: i64) -> i64:
    """The crossing by evaluation alone: strides that double away from the guess, then bisection.

    p_lapse < q at `least` is given, and p_lapse = 1 at the lapse age; so the line lies between them.
    """
    below, above = least, lapse_age_ms
    probe = min(max(guess, least + 1), lapse_age_ms)
    stride: i64 = 1
    while above - below > 1:
        if below < probe < above:
            if p_lapse(silence, lapse_age_ms, probe) >= q:
                above, probe = probe, probe - stride
            else:
                below, probe = probe, probe + stride
            stride *= 2
        else:
            probe, stride = (below + above) // 2, lapse_age_ms
    return above


def score_at(model: Model, silence: Silence, lapse_age_ms: int, silent_ms: int) -> Score:
    """P(lapse) after a silence, and its drivers: log-odds that add up to `logit`.

    Each driver is what one more piece of knowledge adds: `prior`, a customer who has just bought
    for the first time; `history`, this customer on the day of the last purchase; `silence`, what
    has passed since. Before the lapse age they explain P(lapse); from there on P(lapse) is 1, whose
    log-odds are infinite, and they explain P(dead), the probability of having dropped out.

    ln(P / (1 - P)) = ln(u(D) + c) - ln(u(d) - u(D)), the difference taken as u(d) (1 - u(D) / u(d))
    in logarithms: so neither cancellation just before D nor underflow after thousands of purchases
    touches it, and it stays finite where P itself has rounded to 1.
    """
    elapsed = silent_ms if silent_ms > 0 else 0
    scale, shape, odds = silence.scale, silence.shape, silence.odds
    evidence = shape * _log1p(elapsed / scale)
    if elapsed >= lapse_age_ms:
        left, prior = _prior_of_leaving(model.a, model.b)
        at_purchase = log(odds)
        logit = at_purchase + evidence
        history, waited = Driver("history", at_purchase - left), Driver("silence", evidence)
        return Score(1.0, "p_dead", logit, (prior, history, waited))
    lapses, prior = _prior_of_lapsing(model.alpha, model.r, model.a, model.b, lapse_age_ms)
    hazard = shape * _log1p(lapse_age_ms / scale)
    reached = exp(-hazard) + odds
    log_reached = log(reached)
    at_purchase = log_reached - log(-_expm1(-hazard))
    remaining = shape * _log1p((lapse_age_ms - elapsed) / (scale + elapsed))
    logit = log_reached + evidence - log(-_expm1(-remaining))
    history, waited = Driver("history", at_purchase - lapses), Driver("silence", logit - at_purchase)
    return Score(reached / (exp(-evidence) + odds), "p_lapse", logit, (prior, history, waited))


# The same for every customer of a model, so worth remembering; a refit or two fit in besides.
@lru_cache(maxsize=16)
def _prior_of_lapsing(alpha: float, r: float, a: float, b: float, lapse_age_ms: int) -> tuple[float, Driver]:
    """The log-odds of a lapse on the day of a first purchase, as a number and as a driver."""
    hazard = r * _log1p(lapse_age_ms / (alpha * WEEK))
    logit = log(exp(-hazard) + a / b) - log(-_expm1(-hazard))
    return logit, Driver("prior", logit)


@lru_cache(maxsize=16)
def _prior_of_leaving(a: float, b: float) -> tuple[float, Driver]:
    """The log-odds of having left after a first purchase, as a number and as a driver."""
    logit = log(a / b)
    return logit, Driver("prior", logit)
