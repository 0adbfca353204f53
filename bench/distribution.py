"""Quantiles and bins of measured durations."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

BINS_A_DECADE: Final = 20
QUANTILES: Final = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999}


def quantile(ascending: Sequence[float], share: float) -> float:
    """The least of the values that is not exceeded by `share` of them (nearest rank); nan of none."""
    if not ascending:
        return math.nan
    return ascending[max(0, math.ceil(share * len(ascending)) - 1)]


def bins(values: Sequence[float]) -> list[tuple[float, int]]:
    """(lower edge, how many) of bins of equal width on a logarithmic scale, ascending, empty ones left
    out; what is below 0.1 counts as 0.1, the first edge there can be."""
    places = Counter(math.floor(math.log10(max(value, 0.1)) * BINS_A_DECADE + 1e-9) for value in values)
    return [(10 ** (place / BINS_A_DECADE), places[place]) for place in sorted(places)]


def described(milliseconds: Sequence[float]) -> dict[str, Any]:
    """Count, quantiles, largest, and bins, in milliseconds."""
    ascending = sorted(milliseconds)
    figures: dict[str, Any] = {name: quantile(ascending, share) for name, share in QUANTILES.items()}
    return {
        "count": len(ascending),
        **figures,
        "max": ascending[-1] if ascending else math.nan,
        "bins": bins(ascending),
    }
