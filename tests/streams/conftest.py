"""Two partitions to begin with, for all tests of what a partition does."""

import pytest

from streams.core.playbook import DAY
from streams.playbook_file import load_playbook
from tests.flows.events import START
from tests.streams.memory import Stand

PLAYBOOK = load_playbook(None, None)
END = START + 400 * DAY


@pytest.fixture
def replaying() -> Stand:
    """A partition with the event clock; its logs are still empty, and it is not open."""
    return Stand(PLAYBOOK, end=END)


@pytest.fixture
def live() -> Stand:
    """A partition with the wall clock, open, its topics empty and not seen at their ends."""
    stand = Stand(PLAYBOOK)
    stand.open()
    return stand
