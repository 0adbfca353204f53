"""A short soak, with one fault of each of the kinds that have most to tell."""

from itertools import cycle

from streams.playbook_file import load_playbook
from tests.kafka.faults.cluster import Cluster
from tests.kafka.faults.conftest import SLOTS
from tests.kafka.faults.live import play_live
from tests.kafka.faults.round import Size, play
from tests.kafka.faults.schedule import schedule

KINDS = (
    "kill_before_commit",
    "kill_in_commit",
    "kill_in_recovery",
    "unheard_commit",
    "zombie_while_writing",
    "kill_broker",
    "forget",
)
SMALL = Size(customers=600, days=20, partitions=3, slots=SLOTS, erasures=20)
LIVE_KINDS = ("step_clock", "forget", "kill")


async def test_state_and_triggers_are_those_of_the_pure_fold_whatever_dies(
    cluster: Cluster, application_id: str
) -> None:
    """Load and silence under faults: nothing lost or doubled, no customer's state another, all forgotten."""
    report = await play(
        cluster,
        application_id,
        load_playbook(None, None),
        schedule(1, KINDS, SLOTS),
        seed=1,
        faults=len(KINDS),
        size=SMALL,
    )
    assert [] == report.verdict.examples
    assert [] == report.strange_endings
    assert "" == report.hung
    assert report.good
    assert len({fault.kind for fault in report.faults if fault.struck}) >= 5
    assert report.verdict.erasures > 2 * SMALL.erasures


async def test_live_whatever_the_clocks_say_and_whoever_is_forgotten(
    cluster: Cluster, application_id: str
) -> None:
    """Raised less revoked is the fold, whatever was revoked had been raised, and the forgotten are gone."""
    one_of_each = (next(schedule(2, (kind,), SLOTS)) for kind in cycle(LIVE_KINDS))
    report = await play_live(cluster, application_id, one_of_each, seed=2, faults=len(LIVE_KINDS), size=SMALL)
    assert [] == report.verdict.examples
    assert "" == report.hung
    assert report.good
    assert report.verdict.erasures >= 1
    assert {"step_clock", "forget"} <= {fault.kind for fault in report.faults if fault.struck}
