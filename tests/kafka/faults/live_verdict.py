"""The comparison after a round on the wall clock: with the fold of all events in order of their instants."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from schemas.codec import headers_and_body
from schemas.customer import Customer, is_stub
from schemas.events import Event
from schemas.topics import (
    CHANGELOG,
    CHURN_RISK,
    CUSTOMER_HEALTH,
    DEAD_LETTERS,
    ERASURE_RECEIPTS,
    ERASURES,
    SOURCES,
    WIN_BACK,
)
from schemas.triggers import Trigger
from streams.clock import wall_ms
from streams.core.playbook import Playbook
from tests.flows.events import logs_of
from tests.flows.pure_fold import Folded, pure_fold
from tests.kafka.faults.lives import Cut, Lives, Placed, cuts_of, lives_of, receipts_of
from tests.kafka.faults.reader import rebuilt
from tests.kafka.faults.verdict import (
    Verdict,
    identity,
    judge_receipts,
    oracle,
    place_of,
    records_of,
    written,
)
from tests.kafka.scene import Scene
from tests.streams.memory import Written, triggers_of

ENDED = ("cleared", "achieved")

Name = tuple[str, str, str, int]
"""Customer, rule, episode, step: what a trigger is about."""


async def judge_live(scene: Scene, events: Mapping[bytes, Event], playbook: Playbook) -> Verdict:
    """Compare what can be read with the fold of all events in the order of their instants.

    events: by the bytes that stand in their topics.
    """
    await scene.stable()
    verdict = Verdict()
    end = wall_ms()
    folds = await _folds(verdict, scene, events, playbook, end)
    spoken: list[Written] = []
    for spec in (CHURN_RISK, WIN_BACK):
        spoken += [record for partition in await written(scene, spec) for record in partition]
        uncommitted = [each for part in await written(scene, spec, committed=False) for each in part]
        verdict.aborted_seen += len(uncommitted)
    verdict.aborted_seen -= len(spoken)
    again = {name: count for name, count in Counter(map(identity, spoken)).items() if count > 1}
    verdict.doubled = sum(again.values()) - len(again)
    verdict.note("doubled", again)
    wanted = standing(verdict, [each for fold in folds for each in triggers_of(fold.triggers)])
    found = standing(verdict, triggers_of(spoken))
    verdict.triggers = wanted.total()
    verdict.lost = (wanted - found).total()
    verdict.strange = (found - wanted).total()
    verdict.note("lost", wanted - found)
    verdict.note("strange", found - wanted)
    await _judge_facets(verdict, scene, folds)
    await _judge_health(verdict, scene, folds)
    await _judge_dead_letters(verdict, scene, playbook, end)
    return verdict


async def _folds(
    verdict: Verdict, scene: Scene, events: Mapping[bytes, Event], playbook: Playbook, end: int
) -> list[Folded]:
    """What every partition should have come to; and whether each request has the receipt that it should."""
    sources = [await records_of(scene, spec) for spec in SOURCES]
    requests, changelog = await records_of(scene, ERASURES), await records_of(scene, CHANGELOG)
    folds: list[Folded] = []
    receipts: list[list[Written]] = []
    for number in range(scene.partitions):
        histories: dict[bytes, list[Placed]] = defaultdict(list)
        for source, records in enumerate(sources):
            for record in records[number]:
                if record.value in events:
                    placed = Placed(source, record.offset, events[record.value])
                    histories[record.key].append(placed)
        cuts = cuts_of(requests[number], changelog[number])
        if len(cuts) < len(requests[number]):
            verdict.receipt_differences += 1
            verdict.note("not obeyed", [len(requests[number]) - len(cuts)])
        lives = _lives(histories, cuts, playbook, end)
        undisturbed = [
            placed.event for key, history in histories.items() if key not in lives for placed in history
        ]
        undisturbed.sort(key=lambda event: event.occurred_at)
        fold = pure_fold(logs_of(undisturbed), playbook, end)
        for each in lives.values():
            for life in each:
                for topic, said in life.written.items():
                    fold.written.setdefault(topic, []).extend(said)
            if each.last is not None:
                fold.customers.update(each.last.customers)
        folds.append(fold)
        receipts.append(
            [
                (receipt.customer_id.encode(), body, tuple(headers))
                for receipt in receipts_of(cuts, lives, scene.settings.application_id)
                for headers, body in [headers_and_body(receipt)]
            ]
        )
    judge_receipts(verdict, receipts, await written(scene, ERASURE_RECEIPTS))
    return folds


def _lives(
    histories: Mapping[bytes, Sequence[Placed]], cuts: Sequence[Cut], playbook: Playbook, end: int
) -> dict[bytes, Lives]:
    return {
        key: lives_of(key, histories.get(key, []), [cut for cut in cuts if cut.key == key], playbook, end)
        for key in {cut.key for cut in cuts}
    }


def standing(verdict: Verdict, triggers: Iterable[Trigger]) -> Counter[tuple[str, Name]]:
    """What was said and not taken back, ends apart; a revocation of what nobody had said is altered."""
    standing: Counter[tuple[str, Name]] = Counter()
    for trigger in triggers:
        name = (trigger.customer_id, trigger.rule, trigger.episode, trigger.step)
        if trigger.kind in ENDED:
            standing["ended", name] += 1
        elif trigger.kind == "revoked":
            standing["said", name] -= 1
            if standing["said", name] < 0:
                verdict.altered += 1
                verdict.note("revoked and never raised", [name])
        else:
            standing["said", name] += 1
    return +standing


async def _judge_facets(verdict: Verdict, scene: Scene, folds: Sequence[Folded]) -> None:
    """What is known of a customer does not depend on timing; what was said to him does."""
    changelog = await records_of(scene, CHANGELOG)
    for number, (fold, records) in enumerate(zip(folds, changelog, strict=True)):
        wanted = {key: facets(customer) for key, customer in fold.customers.items()}
        found = {key: facets(customer) for key, customer in rebuilt(records).customers.items()}
        wrong = [key for key in wanted.keys() | found.keys() if wanted.get(key) != found.get(key)]
        verdict.customers += len(wanted)
        verdict.state_differences += len(wrong)
        verdict.note(
            f"state, partition {number}", [f"{key!r}: {wanted.get(key)} != {found.get(key)}" for key in wrong]
        )


def facets(customer: Customer) -> tuple[object, ...]:
    """What is known of a customer, however late it was."""
    return (
        customer.purchases,
        customer.logins,
        customer.support,
        customer.stage,
        customer.wake_spell,
        customer.forgotten_at,
    )


async def _judge_health(verdict: Verdict, scene: Scene, folds: Sequence[Folded]) -> None:
    """Of whoever was forgotten and has not come back, nothing is left there."""
    newest = {key: value for part in await written(scene, CUSTOMER_HEALTH) for key, value, _ in part}
    stubs = [key for fold in folds for key, customer in fold.customers.items() if is_stub(customer)]
    # A tombstone even for those of whom nothing was known.
    left = [key for key in stubs if newest.get(key, b"") is not None]
    verdict.health_differences += len(left)
    verdict.note("health of somebody forgotten", left)


async def _judge_dead_letters(verdict: Verdict, scene: Scene, playbook: Playbook, end: int) -> None:
    """Each record that nobody can fold stands among the dead letters, once."""
    folds = await oracle(scene, playbook, [end])
    for spec in DEAD_LETTERS:
        wanted = Counter(place_of(each) for fold in folds for each in fold.written.get(spec.name, []))
        found = Counter(place_of(each) for part in await written(scene, spec) for each in part)
        verdict.dead_letters += wanted.total()
        verdict.dead_letters_lost += (wanted - found).total()
        verdict.dead_letters_doubled += (found - wanted).total()
        verdict.note(f"{spec.name} lost", wanted - found)
        verdict.note(f"{spec.name} doubled", found - wanted)
