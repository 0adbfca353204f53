"""A short soak, with one fault of each of the kinds that have most to tell."""

from streams.playbook_file import load_playbook
from tests.kafka.faults.cluster import Cluster
from tests.kafka.faults.conftest import SLOTS
from tests.kafka.faults.round import Size, play
from tests.kafka.faults.schedule import schedule

KINDS = (
    "kill_before_commit",
    "kill_in_commit",
    "kill_in_recovery",
    "unheard_commit",
    "zombie_while_writing",
    "kill_broker",
)
SMALL = Size(customers=200, days=20, partitions=3, slots=SLOTS)


async def test_state_and_triggers_are_those_of_the_pure_fold_whatever_dies(
    cluster: Cluster, application_id: str
) -> None:
    """Load and silence under faults: nothing lost, nothing doubled, no customer's state another."""
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
