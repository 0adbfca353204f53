"""Ids that any worker computes alike, at any time."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.customer import RULES, Firing
from streams.core.identity import in_holdout, trigger_id, ulid
from streams.core.playbook import DAY

FIRING = Firing(RULES.index("risk_medium"), 1, 0, 10_000 * DAY, 0, 0, 10_050 * DAY, 0)
instants = st.integers(0, 253_402_300_799_999)
"""Up to the year 9999."""
tails = st.binary(min_size=10, max_size=10)


@given(instants, instants, tails, tails)
def test_ulids_sort_by_time(one: int, other: int, tail: bytes, another: bytes) -> None:
    """As plain text, whatever their random part is."""
    if one != other:
        assert (one < other) == (ulid(one, tail) < ulid(other, another))


@given(instants, tails)
def test_a_ulid_is_26_characters_of_crockfords_base_32(instant: int, tail: bytes) -> None:
    """Without I, L, O and U; what went in can be read back."""
    text = ulid(instant, tail)
    assert re.fullmatch("[0-7][0-9A-HJKMNP-TV-Z]{25}", text)
    number = 0
    for letter in text:
        number = number * 32 + "0123456789ABCDEFGHJKMNPQRSTVWXYZ".index(letter)
    assert (instant, tail) == (number >> 80, (number & (2**80 - 1)).to_bytes(10))


@pytest.mark.parametrize(
    ("expected", "kind", "customer"),
    [
        ("00S4N6KG00HWVY31KHA56GGP1J", "raised", "customer-1"),
        ("00S4N6KG00R49A3NR6H5DQ5XZR", "cleared", "customer-1"),
        ("00S4N6KG00FQM8EDGFP418GWF1", "raised", "customer-2"),
    ],
)
def test_ids_are_the_same_for_ever(expected: str, kind: str, customer: str) -> None:
    """A change here would send every trigger a second time."""
    assert expected == trigger_id(customer, FIRING, kind)


@pytest.mark.parametrize(
    "other",
    [
        Firing(RULES.index("risk_high"), 1, 0, 10_000 * DAY, 0, 0, 10_050 * DAY, 0),
        Firing(RULES.index("risk_medium"), 2, 0, 10_000 * DAY, 0, 0, 10_050 * DAY, 0),
        Firing(RULES.index("risk_medium"), 1, 1, 10_000 * DAY, 0, 0, 10_050 * DAY, 0),
        Firing(RULES.index("risk_medium"), 1, 0, 10_001 * DAY, 0, 0, 10_050 * DAY, 0),
        Firing(RULES.index("risk_medium"), 1, 0, 10_000 * DAY, 1, 0, 10_050 * DAY, 0),
        Firing(RULES.index("risk_medium"), 1, 0, 10_000 * DAY, 0, 1, 10_050 * DAY, 0),
    ],
    ids=["rule", "version", "step", "episode", "event", "revision"],
)
def test_each_part_of_a_firings_name_is_in_its_id(other: Firing) -> None:
    """Rule, version, step, episode and its event, and how often it was taken back."""
    assert trigger_id("customer-1", FIRING, "raised") != trigger_id("customer-1", other, "raised")


def test_the_due_instant_is_not_in_the_id() -> None:
    """A refit that moves it by a day must not send twice."""
    moved = Firing(RULES.index("risk_medium"), 1, 0, 10_000 * DAY, 0, 0, 10_051 * DAY, 1)
    assert trigger_id("customer-1", FIRING, "raised") == trigger_id("customer-1", moved, "raised")


@pytest.mark.parametrize("share", [0.05, 0.5])
def test_the_holdout_has_its_share(share: float) -> None:
    """Of 20,000 customers, to within four standard deviations."""
    count = sum(in_holdout(f"customer-{number}", share) for number in range(20_000))
    assert abs(count - 20_000 * share) < 4 * (20_000 * share * (1 - share)) ** 0.5


def test_the_holdout_may_be_nobody_or_everybody() -> None:
    """At shares of 0 and 1."""
    names = [f"customer-{number}" for number in range(1000)]
    assert [] == [name for name in names if in_holdout(name, 0.0)]
    assert names == [name for name in names if in_holdout(name, 1.0)]


def test_a_larger_holdout_contains_the_smaller() -> None:
    """Raising the share moves nobody out of it."""
    names = [f"customer-{number}" for number in range(2000)]
    small = {name for name in names if in_holdout(name, 0.05)}
    assert small <= {name for name in names if in_holdout(name, 0.1)}
