"""What is at stake, against worked figures and under every history a refund can make."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.triggers import Value
from streams.core.model import Model
from streams.core.playbook import Playbook, ValueOfCustomer
from streams.core.score import WEEK, silence_of
from streams.core.value import MOST, at_risk, order_value, value_of

CDNOW = Model(r=0.637, alpha=7.310, a=0.807, b=1.228, p=6.28, q=3.62, gamma=14.98)
PLAYBOOK = Playbook(CDNOW, value=ValueOfCustomer(expansion=0.2, acquisition_minor=500_00))


def test_losing_a_customer_costs_the_contract_its_growth_and_a_new_customer() -> None:
    """A contract of 10,000 that would grow by 20%, and 500 for a new customer: 12,500."""
    expected = 12_500_00
    assert expected == at_risk(1.0, 10_000_00, PLAYBOOK.value)


def test_half_a_risk_is_half_the_value() -> None:
    """Value at risk is proportional to P(lapse)."""
    expected = 6_250_00
    assert expected == at_risk(0.5, 10_000_00, PLAYBOOK.value)


def test_a_half_cent_rounds_to_even() -> None:
    """.5 rounds to 0 and 1.5 to 2, so that sums over customers stay fair."""
    expected = [0, 2, 2]
    assert expected == [at_risk(0.5, minor, ValueOfCustomer()) for minor in (1, 3, 4)]


def test_without_repeat_orders_a_customer_spends_what_customers_spend() -> None:
    """x = 0 gives the mean over customers, p gamma / (q - 1) = 35.91 for CDNOW."""
    expected = 6.28 * 14.98 / 2.62
    assert expected == pytest.approx(order_value(CDNOW, 0, 0.0))


def test_few_orders_are_drawn_towards_what_customers_spend() -> None:
    """One repeat order of 100.00 raises the expectation from 35.91 to 81.13 only."""
    expected = 6.28 * 114.98 / 8.90
    assert expected == pytest.approx(order_value(CDNOW, 1, 100.0))


def test_many_orders_speak_for_themselves() -> None:
    """After a thousand orders of 100.00 the expectation is 100.00 within a few cents."""
    expected = 100.0
    assert expected == pytest.approx(order_value(CDNOW, 1000, 100_000.0), abs=0.05)


def test_a_value_is_rate_times_spend() -> None:
    """Three repeat orders of 20.00 in 20 weeks, just now: all four figures as computed by hand."""
    silence = silence_of(CDNOW, 4, 0, 20 * WEEK)
    order = 6.28 * (14.98 + 60) / (6.28 * 3 + 2.62)
    annual = round(3.637 / 27.31 * 52.1775 * order * 100)
    assert Value("USD", round(0.4 * (annual * 1.2 + 50_000)), annual, round(order * 100)) == value_of(
        PLAYBOOK, silence, 0, 0.4, 60_00
    )


def test_a_silent_customer_buys_less_often() -> None:
    """The rate of a customer who stays is revised downwards while the silence lasts."""
    silence = silence_of(CDNOW, 4, 0, 20 * WEEK)
    yearly = [value_of(PLAYBOOK, silence, weeks * WEEK, 0.4, 60_00).annual_minor for weeks in (0, 27, 54)]
    assert yearly == sorted(yearly, reverse=True)
    assert len(set(yearly)) == 3


def test_a_currency_without_minor_units_is_counted_in_whole_ones() -> None:
    """3,600 yen are 3,600 minor units, not 36."""
    yen = Playbook(Model(0.637, 7.31, 0.807, 1.228, 6.28, 3.62, 1498.0), currency="JPY", minor_digits=0)
    value = value_of(yen, silence_of(yen.model, 1, 0, 0), 0, 0.6, 0)
    assert ("JPY", round(6.28 * 1498 / 2.62)) == (value.currency, value.order_minor)


@pytest.mark.parametrize("spend", [0, -1, -10_000_00])
def test_refunds_beyond_the_orders_count_as_no_spend(spend: int) -> None:
    """A negative repeat spend is taken as none: the order is worth p gamma / (p x + q - 1)."""
    silence = silence_of(CDNOW, 4, 0, 20 * WEEK)
    expected = round(6.28 * 14.98 / (6.28 * 3 + 2.62) * 100)
    assert expected == value_of(PLAYBOOK, silence, 0, 0.4, spend).order_minor


@given(
    p=st.floats(0.01, 1000),
    q=st.floats(0.001, 1000),
    gamma=st.floats(0.001, 1e9),
    days=st.integers(1, 10_001),
    spend=st.integers(-(10**15), 10**15),
    silent=st.integers(-WEEK, 3000 * WEEK),
    risk=st.floats(0, 1),
)
def test_whatever_the_history_the_value_is_a_whole_number_that_json_can_carry(
    p: float, q: float, gamma: float, days: int, spend: int, silent: int, risk: float
) -> None:
    """No history and no model makes a value negative, infinite, or too large for a JSON reader."""
    model = Model(r=0.637, alpha=7.310, a=0.807, b=1.228, p=p, q=q, gamma=gamma)
    silence = silence_of(model, days, 0, days * 86_400_000)
    value = value_of(Playbook(model, value=PLAYBOOK.value), silence, silent, risk, spend)
    assert all(0 <= minor <= MOST for minor in (value.at_risk_minor, value.annual_minor, value.order_minor))
