"""Whether wrong work is noticed."""

import pytest

from bench.measure import Failed
from bench.verify import compare

_RIGHT = {b"a": 1, b"b": 2}


def test_the_right_state_is_accepted() -> None:
    """Whatever its order."""
    compare({b"b": 2, b"a": 1}, _RIGHT)


@pytest.mark.parametrize(
    ("state", "wrong"), [({b"a": 1}, 1), ({b"a": 1, b"b": 3}, 1), ({}, 2), ({b"a": 1, b"b": 2, b"c": 3}, 0)]
)
def test_a_wrong_state_is_refused(state: dict[bytes, int], wrong: int) -> None:
    """A customer missing, different or too many."""
    with pytest.raises(Failed, match=f"{wrong} of 2 customers are wrong"):
        compare(state, _RIGHT)
