"""Which replay a state was made by."""

import pytest

from streams.run import UNREADABLE, Run, pack_run, unpack_run

RUN = Run(begin=1, end=2, open_end=True, model=3, playbook=4)


def test_a_run_survives_its_header() -> None:
    """As it was."""
    assert RUN == unpack_run(pack_run(RUN))


def test_without_a_header_it_was_no_replay() -> None:
    """The state of a live application has none."""
    assert unpack_run(None) is None


@pytest.mark.parametrize("value", [b"", b"\xff", b"[]", b"{}"])
def test_a_header_that_cannot_be_read_still_says_replay(value: bytes) -> None:
    """No live worker takes such a state, and no replay goes on with it."""
    assert UNREADABLE == unpack_run(value)
    assert RUN != UNREADABLE
