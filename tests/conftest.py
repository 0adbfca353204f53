"""What every test shares: how Hypothesis searches, and logging that no test leaves changed."""

import logging
import os
from collections.abc import Iterator

from streams.compiled import VARIABLE, use

# Tests run the plain sources, which are the definition; WINBACK_COMPILED=1 has them run what was
# compiled of them. Commands that tests start use that in any case.
if os.environ.get(VARIABLE) == "1":
    assert use(), "nothing has been compiled of these sources: winback compile"

import pytest
from hypothesis import HealthCheck, settings

# Machines that run tests are busy: a slow example is no defect, so there is no deadline. CI draws the
# same examples each time; a red build then stays red until it is mended.
settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", parent=settings.get_profile("default"), derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")


@pytest.fixture(autouse=True)
def loggers_as_they_were() -> Iterator[None]:
    """A command quiets its clients for the length of its process, and tests share one."""
    loggers = [logging.getLogger(name) for name in ("aiokafka", "asyncio")]
    before = [logger.level for logger in loggers]
    yield
    for logger, level in zip(loggers, before, strict=True):
        logger.setLevel(level)
