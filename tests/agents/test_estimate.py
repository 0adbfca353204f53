"""The likelihoods against numerical integration, and how the prior gives way to the data."""

from dataclasses import astuple
from math import exp, lgamma, log

import numpy as np
import pytest
from scipy.integrate import dblquad, quad

from agents.estimate import ENOUGH, estimate_purchasing, estimate_spending
from agents.history import Counts, Spends

PURCHASING = (0.637, 7.310, 0.807, 1.228)
PURCHASING_ELSEWHERE = (2.0, 3.0, 0.5, 4.0)
SPENDING = (6.28, 3.62, 14.98)

# (x, t_x, T, customers), in days: some who never came back, some who stopped, some who go on.
CELLS = [(0, 0, 200, 6), (0, 0, 90, 1), (1, 40, 180, 2), (3, 150, 160, 1), (8, 170, 200, 1), (9, 30, 200, 1)]


def counts(times: int = 1, cells: list[tuple[int, int, int, int]] = CELLS) -> Counts:
    """The cells, with so many times as many customers in each."""
    x, active, observed, customers = np.array(cells).T
    return Counts(x, active, observed, customers * times)


def population(customers: int) -> Counts:
    """A cell for each customer drawn from PURCHASING, born over 20 weeks and observed up to week 80."""
    random = np.random.default_rng(7)
    r, alpha, a, b = PURCHASING
    cells = []
    for rate, leaves in zip(random.gamma(r, 1 / alpha, customers), random.beta(a, b, customers), strict=True):
        observed = random.uniform(60, 80)
        days = {0}
        at = 0.0
        while random.random() >= leaves and (at := at + random.exponential(1 / rate)) < observed:
            days.add(int(at * 7))
        cells.append((len(days) - 1, max(days), int(observed * 7), 1))
    return counts(cells=cells)


def spends(customers: int, unit: float = 1.0) -> Spends:
    """Customers who spend 15 to 65 of a currency a day, with one to five repeat days each."""
    order = np.arange(customers)
    means = (15.0 + 50.0 * ((order * 7919) % 101) / 101) * unit
    return Spends(1 + order % 5, means, float(means.mean()))


def gamma_density(at: float, shape: float, rate: float) -> float:
    """The density of Gamma(shape, rate)."""
    return exp(shape * log(rate) - lgamma(shape) + (shape - 1) * log(at) - rate * at)


def test_the_likelihood_of_purchasing_is_the_stories_of_all_customers_integrated() -> None:
    """Poisson purchases at rate l, a chance p of leaving after each, over Gamma l and Beta p."""
    cells = [(0, 0, 70, 1), (2, 35, 140, 1), (4, 98, 105, 1)]
    found = estimate_purchasing(counts(cells=cells), PURCHASING)
    r, alpha, a, b = found.theta
    beta = lgamma(a + b) - lgamma(a) - lgamma(b)

    def story(p: float, rate: float, x: int, active: float, observed: float) -> float:
        stays = (1 - p) ** (x + 1) * exp(-rate * observed)
        leaves = p * (1 - p) ** x * exp(-rate * active)
        mixed = gamma_density(rate, r, alpha) * exp(beta + (a - 1) * log(p) + (b - 1) * log(1 - p))
        return rate**x * (stays + leaves) * mixed

    def likelihood(x: int, active: float, observed: float) -> float:
        # Squares take the poles out of the densities at rate 0 and p 0.
        return float(
            dblquad(
                lambda p, rate: story(p * p, rate * rate, x, active, observed) * 4 * p * rate,
                *(0, 2.5),
                *(0, 1),
                epsabs=1e-9,
            )[0]
        )

    expected = sum(log(likelihood(x, active / 7, observed / 7)) for x, active, observed, _ in cells)
    assert expected == pytest.approx(found.log_likelihood, abs=1e-4)


def test_the_likelihood_of_spending_is_the_spends_of_all_customers_integrated() -> None:
    """Gamma order values with shape p and rate v, the mean of x of them, over Gamma(q, gamma) v."""
    x, means = np.array([1, 2, 7]), np.array([12.5, 60.0, 33.3])
    found = estimate_spending(Spends(x, means, 40.0), SPENDING)
    p, q, gamma = found.theta
    expected = sum(
        log(
            quad(
                lambda v, n=n, m=m: gamma_density(m, p * n, v * n) * gamma_density(v, q, gamma),
                *(1e-9, 3),
                limit=200,
                points=[0.1, 0.5],
            )[0]
        )
        for n, m in zip(x, means, strict=True)
    )
    assert expected == pytest.approx(found.log_likelihood, abs=1e-6)


def test_one_customer_hardly_moves_the_prior() -> None:
    """With a single customer every parameter stays within a hundredth of the prior."""
    found = estimate_purchasing(counts(cells=[(9, 30, 200, 1)]), PURCHASING)
    assert pytest.approx(found.theta, rel=0.01) == PURCHASING
    assert found.prior_weight == ENOUGH - 1


def test_the_prior_gives_way_step_by_step() -> None:
    """The same history of ever more customers moves ever farther from the prior, never back."""
    distances = [
        float(
            np.sum(np.log(np.array(estimate_purchasing(counts(times), PURCHASING).theta) / PURCHASING) ** 2)
        )
        for times in (1, 4, 16, 60, 83)
    ]
    assert distances == sorted(distances)
    assert distances[0] < 0.1 * distances[-1]


def test_a_population_gives_its_parameters_back() -> None:
    """Twenty thousand customers drawn from the model are fitted with its parameters, within a tenth."""
    found = estimate_purchasing(population(20_000), PURCHASING_ELSEWHERE)
    assert pytest.approx(found.theta, rel=0.1) == PURCHASING


def test_a_population_of_spends_gives_its_parameters_back() -> None:
    """Of forty thousand customers drawn from the model, with one to nine repeat days each."""
    random = np.random.default_rng(5)
    p, q, gamma = SPENDING
    days = random.integers(1, 10, 40_000)
    means = random.gamma(p * days, 1 / (days * random.gamma(q, 1 / gamma, len(days))))
    found = estimate_spending(Spends(days, means, float(means.mean())), (2.0, 8.0, 40.0))
    assert pytest.approx(found.theta, rel=0.1) == SPENDING


def test_from_a_thousand_customers_on_the_prior_has_no_say() -> None:
    """With 1,000 customers two priors give one model; with 999 nearly the same, so there is no jump."""
    thousand = population(1000)
    enough = estimate_purchasing(thousand, PURCHASING)
    assert enough.prior_weight == 0
    assert enough.theta == pytest.approx(estimate_purchasing(thousand, PURCHASING_ELSEWHERE).theta, rel=1e-3)
    nearly = Counts(*(column[1:] for column in astuple(thousand)))
    assert 999 == nearly.customers.sum()
    assert enough.theta == pytest.approx(estimate_purchasing(nearly, PURCHASING).theta, rel=0.03)


def test_a_long_and_busy_history_overflows_nothing() -> None:
    """Thousands of purchase days, one of them followed by years of silence, still have a maximum."""
    cells = [(3000, 3650, 3651, 700), (2500, 2600, 7300, 300), (0, 0, 7300, 200)]
    found = estimate_purchasing(counts(cells=cells), PURCHASING)
    assert np.isfinite([*found.theta, found.log_likelihood]).all()
    assert min(found.theta) > 0


def test_what_the_data_leave_open_is_said() -> None:
    """Nobody among two thousand leaves: the chance of leaving runs to its bound and is reported."""
    cells = [(x, 364, 364, 80) for x in range(5, 30)]
    found = estimate_purchasing(counts(cells=cells), PURCHASING)
    assert 2 in found.at_bound or 3 in found.at_bound


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_the_customers_changes_nothing(seed: int) -> None:
    """However flat the likelihood, other rounding (another order, another processor) finds the same model."""
    cells = [(x, 364, 364, 80) for x in range(5, 30)]
    found = estimate_purchasing(counts(cells=cells), PURCHASING)
    shuffled = np.random.default_rng(seed).permutation(cells)
    again = estimate_purchasing(counts(cells=shuffled.tolist()), PURCHASING)
    assert found.theta == pytest.approx(again.theta, rel=1e-6)


def test_money_has_no_unit() -> None:
    """The same spends in cents scale gamma by 100 and leave p and q, with the prior's help or without."""
    for customers in (50, 2000):
        p, q, gamma = estimate_spending(spends(customers), SPENDING).theta
        in_cents = estimate_spending(spends(customers, unit=100.0), SPENDING).theta
        assert (p, q, 100 * gamma) == pytest.approx(in_cents, rel=1e-3)


def test_without_repeat_spend_the_priors_shape_is_scaled_to_what_was_spent() -> None:
    """Nobody came back: p and q are the prior's, and the mean spend is the one seen."""
    p, q, gamma = estimate_spending(Spends(np.array([], int), np.array([]), 250.0), SPENDING).theta
    assert (p, q) == SPENDING[:2]
    assert p * gamma / (q - 1) == pytest.approx(250.0)


def test_an_unknown_spend_leaves_the_prior() -> None:
    """No amount above 0 at all: the prior, unscaled."""
    assert estimate_spending(Spends(np.array([], int), np.array([]), 0.0), SPENDING).theta == SPENDING


def test_the_mean_spend_always_exists() -> None:
    """Wildly uneven spends push q towards 1, and never onto it: the model file demands q > 1."""
    means = np.exp(np.linspace(-8, 16, 3000))
    assert estimate_spending(Spends(np.ones(3000, int), means, float(means.mean())), SPENDING).theta[1] > 1
