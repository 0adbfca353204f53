"""What every test shares: how Hypothesis searches."""

import os

from hypothesis import HealthCheck, settings

# Machines that run tests are busy: a slow example is no defect, so there is no deadline. CI draws the
# same examples each time; a red build then stays red until it is mended.
settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", parent=settings.get_profile("default"), derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")
