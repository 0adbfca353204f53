"""Maximum likelihood of the score's two models, drawn towards a prior where customers are few.

MBG/NBD, for a customer with x repeat purchase days, the last t_x after the first, observed for T
(weeks), and drop-out possible after the first purchase too (Batislam, Denizel & Filiztekin 2007;
Hoppe & Wagner 2007):

    L = G(r+x)/G(r) alpha^r [ B(a, b+x+1)/B(a, b) (alpha+T)^-(r+x) + B(a+1, b+x)/B(a, b) (alpha+t_x)^-(r+x) ]

The ratio of the two terms is c ((alpha+T)/(alpha+t_x))^(r+x) with c = a/(b+x): the odds of the score.

Gamma-Gamma, for a customer with x repeat days of mean spend m (Fader & Hardie 2013, note 025, (1a)):

    L = G(px+q)/(G(px) G(q)) gamma^q m^(px-1) x^(px) / (gamma + x m)^(px+q)

Both are maximised over logarithms of the parameters (of q - 1, so that the mean spend exists), by
exact gradients: where the data say little the likelihood is so flat that finite differences see
nothing but rounding, and the estimate would depend on the order in which a processor adds.

Shrinkage. With n customers the log-likelihood is penalised by

    1/2 (1000/n - 1) sum (log theta_i - log prior_i)^2      for n < 1000

With nobody that leaves the prior; with ever more customers its weight falls without a jump and is
exactly 0 at 1,000. A hundred customers meet a prior with a standard deviation of a third of a
logarithm: strong where their data say little, weak where they say much. Money has no natural unit,
so the prior's gamma is first scaled to the mean spend seen: only the shape is borrowed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, cast

import numpy as np
from scipy.optimize import minimize
from scipy.special import betaln, expit, gammaln, psi

from agents.history import Counts, Real, Spends
from schemas.errors import ModelError

ENOUGH: Final = 1000
"""Customers from which on the prior has no say."""
BOUND: Final = np.log(1e4)
"""Parameters stay between 1/10,000 and 10,000: beyond it, more no longer changes any score."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """theta: the parameters. prior_weight: precision of the prior, 0 where it had no say.

    at_bound: indices of parameters that ran into a bound, a sign that the data don't determine them.
    """

    theta: tuple[float, ...]
    prior_weight: float
    log_likelihood: float
    at_bound: tuple[int, ...]


def estimate_purchasing(counts: Counts, prior: tuple[float, ...]) -> Estimate:
    """(r, alpha, a, b), in weeks, shrunk towards `prior`."""
    # Few values of x are shared by many cells, and the special functions depend on x alone.
    x, of_cell = np.unique(counts.repeat_days.astype(np.float64), return_inverse=True)
    active, observed = counts.active / 7.0, counts.observed / 7.0
    weights = counts.customers.astype(np.float64)

    def log_likelihood(theta: Real) -> tuple[float, Real]:
        r, alpha, a, b = parameters = np.exp(theta)
        shape, until_end, until_last = (r + x)[of_cell], np.log(alpha + observed), np.log(alpha + active)
        log_odds = (np.log(a) - np.log(b + x))[of_cell] + shape * (until_end - until_last)
        common = gammaln(r + x) - gammaln(r) + r * np.log(alpha) + betaln(a, b + x + 1) - betaln(a, b)
        each = common[of_cell] - shape * until_end + np.logaddexp(0.0, log_odds)
        left = expit(log_odds)
        chances = psi(a + b) - psi(a + b + x + 1)
        slopes = (
            (psi(r + x) - psi(r) + np.log(alpha))[of_cell] - until_end + left * (until_end - until_last),
            r / alpha - shape * ((1 - left) / (alpha + observed) + left / (alpha + active)),
            chances[of_cell] + left / a,
            (chances + psi(b + x + 1) - psi(b))[of_cell] - left / (b + x)[of_cell],
        )
        return _summed(each, slopes, parameters, weights)

    return _maximise(log_likelihood, np.log(prior), float(weights.sum()))


def estimate_spending(spends: Spends, prior: tuple[float, ...]) -> Estimate:
    """(p, q, gamma), in the history's major units, shrunk towards the shape of `prior`."""
    p, q, gamma = prior
    if spends.per_day > 0:
        gamma = spends.per_day * (q - 1) / p
    if not len(spends.means):
        return Estimate((p, q, gamma), float("inf"), 0.0, ())
    means, log_means = spends.means, np.log(spends.means)
    days, of_customer = np.unique(spends.repeat_days.astype(np.float64), return_inverse=True)
    total = days[of_customer] * means

    def log_likelihood(theta: Real) -> tuple[float, Real]:
        p, above_one, gamma = parameters = np.exp(theta)
        q = above_one + 1
        shape, log_rate = p * days, np.log(gamma + total)
        common = gammaln(shape + q) - gammaln(shape) - gammaln(q) + q * np.log(gamma) + shape * np.log(days)
        power = (shape + q)[of_customer]
        each = common[of_customer] + (shape - 1)[of_customer] * log_means - power * log_rate
        by_shape = psi(shape + q) - psi(shape) + np.log(days)
        by_q = psi(shape + q) - psi(q) + np.log(gamma)
        slopes = (
            days[of_customer] * (by_shape[of_customer] + log_means - log_rate),
            by_q[of_customer] - log_rate,
            q / gamma - power / (gamma + total),
        )
        return _summed(each, slopes, parameters, np.ones(len(means)))

    # gamma carries the currency's scale: a bound in units would forbid cheap or dear currencies.
    found = _maximise(log_likelihood, np.log([p, q - 1, gamma]), float(len(means)))
    p, q, gamma = found.theta
    return Estimate((p, q + 1, gamma), found.prior_weight, found.log_likelihood, found.at_bound)


def _summed(each: Real, slopes: tuple[Real, ...], scales: Real, weights: Real) -> tuple[float, Real]:
    """The sum over the customers, and its gradient by the parameters' logarithms.

    np.sum and not a dot product: that one's rounding differs between processors.
    """
    gradient = [float(np.sum(weights * slope)) for slope in slopes]
    return float(np.sum(weights * each)), scales * np.array(gradient)


def _maximise(
    log_likelihood: Callable[[Real], tuple[float, Real]], prior: Real, customers: float
) -> Estimate:
    """The maximum in the logarithms of the parameters, within BOUND of zero or of the prior.

    log_likelihood: of such logarithms, with its gradient.
    """
    weight = max(ENOUGH / customers - 1.0, 0.0)
    low = np.minimum(prior - BOUND, -BOUND)
    high = np.maximum(prior + BOUND, BOUND)

    def loss(theta: Real) -> tuple[float, Real]:
        value, gradient = log_likelihood(theta)
        from_prior = theta - prior
        penalty = 0.5 * weight * float(np.sum(from_prior**2))
        return (penalty - value) / customers, (weight * from_prior - gradient) / customers

    result = minimize(
        loss,
        prior,
        method="L-BFGS-B",
        jac=True,
        bounds=list(zip(low, high, strict=True)),
        options={"ftol": 1e-13, "gtol": 1e-8, "maxiter": 1000, "maxfun": 10_000},
    )
    theta = cast(Real, result.x)
    if not (np.isfinite(theta).all() and np.isfinite(result.fun)):
        raise ModelError("the likelihood of this history has no maximum; is it a history of purchases?")
    at_bound = tuple(int(index) for index in np.flatnonzero((theta <= low + 0.01) | (theta >= high - 0.01)))
    return Estimate(tuple(map(float, np.exp(theta))), weight, log_likelihood(theta)[0], at_bound)
