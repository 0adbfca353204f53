"""Quantiles and bins."""

import math

import pytest

from bench.distribution import BINS_A_DECADE, bins, described, quantile


@pytest.mark.parametrize(("share", "expected"), [(0.0, 1), (0.5, 2), (0.75, 3), (0.76, 4), (1.0, 4)])
def test_a_quantile_is_one_of_the_values(share: float, expected: float) -> None:
    """The least value that so large a share does not exceed."""
    assert expected == quantile([1, 2, 3, 4], share)


def test_nothing_has_no_quantile() -> None:
    """It is nan, not zero: what was not measured must not look fast."""
    assert math.isnan(quantile([], 0.5))


def test_bins_hold_every_value_once() -> None:
    """Each value lies in its bin, from the lower edge up to the next one."""
    values = [0.0, 0.1, 1.0, 1.05, 9.99, 10.0, 431.0]
    found = bins(values)
    assert len(values) == sum(count for _, count in found)
    assert sorted(found) == found
    width = 10 ** (1 / BINS_A_DECADE)
    for value in values[1:]:
        assert any(edge <= value * (1 + 1e-9) and value < edge * width * (1 + 1e-9) for edge, _ in found)
    assert 2 == dict(found)[1.0]


def test_what_is_said_of_durations() -> None:
    """How many, quantiles, the largest."""
    told = described([30.0, 10.0, 20.0])
    assert {"count": 3, "p50": 20.0, "p99": 30.0, "max": 30.0} == {
        name: told[name] for name in ("count", "p50", "p99", "max")
    }
