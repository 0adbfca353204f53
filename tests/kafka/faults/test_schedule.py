"""What is drawn from a seed."""

from itertools import islice

from tests.kafka.faults.accidents import KINDS
from tests.kafka.faults.schedule import schedule


def test_the_same_seed_draws_the_same_faults() -> None:
    """And another seed others."""
    first, again, other = [list(islice(schedule(seed, list(KINDS), 3), 50)) for seed in (1, 1, 2)]
    assert first == again
    assert first != other


def test_every_kind_comes_before_any_comes_again() -> None:
    """However few faults there are, they are of as many kinds."""
    planned = list(islice(schedule(3, list(KINDS), 3), 2 * len(KINDS)))
    for half in (planned[: len(KINDS)], planned[len(KINDS) :]):
        assert set(KINDS) == {each.kind for each in half}
    assert all(0 <= each.slot < 3 for each in planned)
