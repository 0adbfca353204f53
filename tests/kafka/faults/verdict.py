"""What a run has left against what it should have left: one list of differences, empty where all is well."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

from schemas.codec import decode_erasure
from schemas.instants import since_epoch
from schemas.topics import (
    CHANGELOG,
    CHURN_RISK,
    CUSTOMER_HEALTH,
    DEAD_LETTERS,
    ERASURE_RECEIPTS,
    ERASURES,
    SOURCES,
    WIN_BACK,
    TopicSpec,
)
from streams.core.playbook import Playbook
from tests.flows.pure_fold import Folded, wake_of
from tests.kafka.commands import everything_in
from tests.kafka.faults.reader import Rebuilt, rebuilt
from tests.kafka.scene import Scene
from tests.streams.memory import Written

SHOWN = 5
"""Examples of each kind of difference."""
LONGEST = 600
"""Characters of one example."""


@dataclass
class Verdict:
    """lost, doubled, strange: triggers by id, for readers of committed records. The rest counts likewise.

    altered: triggers whose bytes or order are others. erasures: how many were asked for.
    unexpected_uncommitted: aborted triggers of ids that no committed one has.
    """

    triggers: int = 0
    lost: int = 0
    doubled: int = 0
    strange: int = 0
    altered: int = 0
    customers: int = 0
    state_differences: int = 0
    health_differences: int = 0
    dead_letters: int = 0
    dead_letters_lost: int = 0
    dead_letters_doubled: int = 0
    erasures: int = 0
    receipt_differences: int = 0
    aborted_seen: int = 0
    unexpected_uncommitted: int = 0
    examples: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether nothing differs."""
        return not any(
            (
                self.lost,
                self.doubled,
                self.strange,
                self.altered,
                self.state_differences,
                self.health_differences,
                self.dead_letters_lost,
                self.dead_letters_doubled,
                self.receipt_differences,
                self.unexpected_uncommitted,
            )
        )

    def note(self, what: str, examples: Iterable[object]) -> None:
        """Remember a few examples of a difference."""
        self.examples += [f"{what}: {each}"[:LONGEST] for each in list(examples)[:SHOWN]]


async def oracle(
    scene: Scene, playbook: Playbook, ends: Sequence[int], asked: Sequence[Sequence[int]] = ()
) -> list[Folded]:
    """The pure fold of what the source topics hold, run to one end after the other (ms).

    asked: for each run, by partition, where `erasures` ended when it began. So far it obeys first.
    """
    sources = [await records_of(scene, spec) for spec in SOURCES]
    erasures = await records_of(scene, ERASURES)
    folds = []
    for number in range(scene.partitions):
        folded, obeyed = Folded(playbook, ends[0]), 0
        for run, end in enumerate(ends):
            upto = asked[run][number] if asked else 0
            for request in erasures[number][obeyed:upto]:
                folded.forget(request.key, asked_at(request), scene.settings.application_id)
            obeyed = upto
            if run == 0:
                folded.fold([source[number] for source in sources])
            folded.reach(end)
        folds.append(folded)
    return folds


def asked_at(request: Any) -> int:
    """Up to when (ms) a record of `erasures` wants its customer forgotten."""
    return since_epoch(decode_erasure(request.value).at)


async def records_of(scene: Scene, spec: TopicSpec) -> list[list[Any]]:
    """The committed records of a topic, by partition."""
    name = scene.settings.topics.name(spec)
    return await everything_in(scene.settings.bootstrap, name, scene.partitions)


async def judge(scene: Scene, folds: Sequence[Folded]) -> Verdict:
    """Read everything anew, committed and uncommitted, and compare it with the folds."""
    await scene.stable()
    verdict = Verdict()
    await _judge_state(verdict, scene, folds)
    for spec in (CHURN_RISK, WIN_BACK):
        expected = [fold.written.get(spec.name, []) for fold in folds]
        judge_triggers(verdict, spec.name, expected, await written(scene, spec))
        uncommitted = await written(scene, spec, committed=False)
        known = {identity(record) for partition in expected for record in partition}
        seen = [identity(record) for partition in uncommitted for record in partition]
        verdict.aborted_seen += len(seen) - len(set(seen))
        strangers = set(seen) - known
        verdict.unexpected_uncommitted += len(strangers)
        verdict.note(f"{spec.name} uncommitted", strangers)
    health = [fold.written.get(CUSTOMER_HEALTH.name, []) for fold in folds]
    found = await written(scene, CUSTOMER_HEALTH)
    for number, (wanted, got) in enumerate(zip(health, found, strict=True)):
        if wanted != got:
            lost, more = _differences(wanted, got)
            verdict.health_differences += max(1, len(lost) + len(more))
            verdict.note(f"health, partition {number}", [*lost, *more, "another order"][:SHOWN])
    receipts = [fold.written.get(ERASURE_RECEIPTS.name, []) for fold in folds]
    judge_receipts(verdict, receipts, await written(scene, ERASURE_RECEIPTS))
    for spec in DEAD_LETTERS:
        wanted_ids = _counted((fold.written.get(spec.name, []) for fold in folds), place_of)
        found_ids = _counted(await written(scene, spec), place_of)
        verdict.dead_letters += wanted_ids.total()
        verdict.dead_letters_lost += (wanted_ids - found_ids).total()
        verdict.dead_letters_doubled += (found_ids - wanted_ids).total()
        verdict.note(f"{spec.name} lost", wanted_ids - found_ids)
        verdict.note(f"{spec.name} doubled", found_ids - wanted_ids)
    return verdict


async def _judge_state(verdict: Verdict, scene: Scene, folds: Sequence[Folded]) -> None:
    changelog = await records_of(scene, CHANGELOG)
    for number, (fold, records) in enumerate(zip(folds, changelog, strict=True)):
        table = rebuilt(records)
        wrong = _different_customers(fold, table)
        if table.record is None or table.record.clock != fold.clock:
            wrong.append(f"clock {table.record and table.record.clock}, not {fold.clock}")
        for source, position in enumerate(table.record.sources if table.record else ()):
            if position.end is not None and position.next_offset != position.end:
                wrong.append(f"{SOURCES[source].name} at {position.next_offset}, not {position.end}")
        if table.record is not None and table.record.erasures_end not in {None, table.record.erasures_next}:
            wrong.append(f"erasures at {table.record.erasures_next}, not {table.record.erasures_end}")
        verdict.customers += len(fold.customers)
        verdict.state_differences += len(wrong)
        verdict.note(f"state, partition {number}", wrong)


def _different_customers(fold: Folded, table: Rebuilt) -> list[str]:
    wrong = []
    for key in sorted(fold.customers.keys() | table.customers.keys()):
        wanted, found = fold.customers.get(key), table.customers.get(key)
        if wanted != found:
            wrong.append(f"customer {key!r}: {wanted} != {found}")
        elif wanted is not None and wake_of(wanted) != table.wakes[key]:
            wrong.append(f"customer {key!r}: the head wakes at {table.wakes[key]}, not {wake_of(wanted)}")
    return wrong


def judge_triggers(
    verdict: Verdict, topic: str, expected: Sequence[Sequence[Written]], found: Sequence[Sequence[Written]]
) -> None:
    """Compare the triggers of one topic, partition by partition."""
    wanted, got = _counted(expected, identity), _counted(found, identity)
    lost = [each for each in wanted if each not in got]
    strange = [each for each in got if each not in wanted]
    doubled = {each: count for each, count in got.items() if count > 1}
    verdict.triggers += len(wanted)
    verdict.lost += len(lost)
    verdict.strange += len(strange)
    verdict.doubled += sum(doubled.values()) - len(doubled)
    verdict.note(f"{topic} lost", lost)
    verdict.note(f"{topic} strange", strange)
    verdict.note(f"{topic} doubled", doubled)
    if not (lost or strange or doubled):
        altered = [
            f"{wanted} != {got}"
            for partitions in zip(expected, found, strict=True)
            for wanted, got in zip_longest(*partitions)
            if wanted != got
        ]
        verdict.altered += len(altered)
        verdict.note(f"{topic} altered", altered)


def judge_receipts(
    verdict: Verdict, expected: Sequence[Sequence[Written]], found: Sequence[Sequence[Written]]
) -> None:
    """Compare the receipts of erasures: one for each request, in the order of the requests."""
    for number, (wanted, got) in enumerate(zip(expected, found, strict=True)):
        verdict.erasures += len(wanted)
        if list(wanted) != list(got):
            lost, more = _differences(wanted, got)
            verdict.receipt_differences += max(1, len(lost) + len(more))
            verdict.note(f"receipts, partition {number}", [*lost, *more, "another order"])


async def written(scene: Scene, spec: TopicSpec, *, committed: bool = True) -> list[list[Written]]:
    """Key, value and headers of a topic's records by partition; committed=False: aborted ones too."""
    records = await everything_in(
        scene.settings.bootstrap,
        scene.settings.topics.name(spec),
        scene.partitions,
        "read_committed" if committed else "read_uncommitted",
    )
    return [[(each.key, each.value, tuple(each.headers)) for each in partition] for partition in records]


def identity(record: Written) -> str:
    """The CloudEvent id."""
    return _header(record, "ce_id")


def place_of(record: Written) -> str:
    """Where the record of a dead letter stood in its source."""
    return ":".join(
        _header(record, f"kafka_dlt-original-{part}") for part in ("topic", "partition", "offset")
    )


def _header(record: Written, name: str) -> str:
    return next(value or b"" for header, value in record[2] if header == name).decode()


def _counted(partitions: Iterable[Sequence[Written]], name: Callable[[Written], str]) -> Counter[str]:
    return Counter(name(record) for partition in partitions for record in partition)


def _differences(wanted: Sequence[Written], got: Sequence[Written]) -> tuple[list[Written], list[Written]]:
    one, other = Counter(wanted), Counter(got)
    return list((one - other).elements()), list((other - one).elements())
