"""Bytes in, bytes out: a bounded replay is the pure fold, whatever the batches and the accidents."""

from collections.abc import Iterable
from random import Random

import pytest

from schemas.instants import since_epoch
from schemas.topics import CHURN_RISK, CUSTOMER_HEALTH, DEAD_LETTERS, WIN_BACK
from streams.core.playbook import DAY
from streams.playbook_file import load_playbook
from tests.flows.events import Logs, crowd, logs_of, unruly, with_rubbish
from tests.flows.pure_fold import Folded, pure_fold
from tests.streams.memory import Stand, triggers_of

PLAYBOOK = load_playbook(None, None)
EVENTS = crowd(seed=3, customers=25)
END = since_epoch(EVENTS[-1].occurred_at) - 20 * DAY
"""Some events lie beyond it."""

LOGS = with_rubbish(logs_of(unruly(EVENTS, seed=4)))
OUTPUTS = (CHURN_RISK, WIN_BACK, CUSTOMER_HEALTH, *DEAD_LETTERS)


@pytest.fixture(scope="module")
def folded() -> Folded:
    """What the replay must come to."""
    return pure_fold(LOGS, PLAYBOOK, END)


def stand(logs: Logs = LOGS, batch_records: int = 4000) -> Stand:
    """A partition that is to replay these logs."""
    return Stand(PLAYBOOK, end=END, batch_records=batch_records, logs=logs)


def assert_same(folded: Folded, replayed: Stand) -> None:
    """The same records in the same order in every topic, the same state, and the clock at its end."""
    for spec in OUTPUTS:
        assert folded.written.get(spec.name, []) == replayed.journal.written(spec)
    assert folded.customers == replayed.customers
    assert folded.clock == replayed.record.clock
    assert [len(log) for log in replayed.logs] == [each.next_offset for each in replayed.record.sources]


async def replay(replayed: Stand, sizes: Iterable[int]) -> None:
    """Deliver batches of these sizes to the topics in turn, working in between, then what is left."""
    for number, size in enumerate(sizes):
        replayed.deliver(number % 3, size)
        await replayed.settle()
    replayed.deliver_all()
    await replayed.settle()


def test_the_example_has_something_of_everything(folded: Folded) -> None:
    """There is every kind of trigger, a dead letter of each topic and sort, and records after the end."""
    assert all(folded.written[spec.name] for spec in OUTPUTS)
    kinds = {trigger.kind for trigger in triggers_of(folded.triggers)}
    assert {"raised", "cleared", "revoked", "due", "achieved"} == kinds
    letters = [letter for spec in DEAD_LETTERS for letter in folded.written[spec.name]]
    reasons = {dict(headers)["winback-reason"] for _, _, headers in letters}
    assert {b"too_late", b"empty_value", b"not_json", b"not_utf8", b"wrong_type"} == reasons
    assert folded.after_end > 10


@pytest.mark.parametrize("batch_records", [1, 7, 100, 4000])
async def test_transactions_of_any_size_say_the_same(folded: Folded, batch_records: int) -> None:
    """However small the budget, triggers, health, dead letters and state are those of the pure fold."""
    replayed = stand(batch_records=batch_records)
    replayed.open()
    await replay(replayed, ())
    assert replayed.partition.finished
    assert_same(folded, replayed)


async def test_no_transaction_is_larger_than_asked() -> None:
    """A batch changes at most as many customers as asked, one more where a deadline's turn was the last."""
    replayed = stand(batch_records=7)
    replayed.open()
    await replay(replayed, ())
    changelog = replayed.partition._changelog
    assert 7 + 1 + 1 == max(len(batch.topics[changelog]) for batch in replayed.journal.batches)


@pytest.mark.parametrize("seed", range(3))
async def test_fetches_of_any_size_say_the_same(folded: Folded, seed: int) -> None:
    """However the topics are delivered, in turn or one far ahead, nothing differs."""
    random = Random(seed)
    replayed = stand(batch_records=random.choice((3, 50, 4000)))
    replayed.open()
    await replay(replayed, [random.choice((0, 1, 10, 300)) for _ in range(200)])
    assert_same(folded, replayed)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
async def test_the_order_in_which_topics_arrive_is_nothing(
    folded: Folded, order: tuple[int, int, int]
) -> None:
    """One whole topic after the other: the first wait for the last."""
    replayed = stand()
    replayed.open()
    for source in order[:2]:
        replayed.deliver(source)
        await replayed.settle()
    replayed.deliver(order[2], 1)
    await replayed.settle()
    replayed.deliver(order[2])
    await replayed.settle()
    assert_same(folded, replayed)


@pytest.mark.parametrize("seed", range(3))
async def test_a_worker_may_die_anywhere(folded: Folded, seed: int) -> None:
    """Another one goes on from what was committed; nothing is lost, doubled or said otherwise."""
    random = Random(seed)
    replayed = stand(batch_records=60)
    replayed.open()
    for _ in range(25):
        for source in range(3):
            replayed.deliver(source, random.randrange(120))
        for _ in range(random.randrange(6)):
            await replayed.partition.step()
        await replayed.reopen(batch_records=random.choice((1, 60, 500)))
    replayed.deliver_all()
    await replayed.settle()
    assert_same(folded, replayed)


async def test_topics_loaded_twice_say_nothing_more() -> None:
    """Each file twice in its topic: the second changes no state, fires nothing."""
    once = logs_of(EVENTS)
    twice = logs_of([*EVENTS, *EVENTS])
    replayed = stand(twice)
    replayed.open()
    await replay(replayed, ())
    expected = pure_fold(once, PLAYBOOK, END)
    assert expected.triggers == replayed.journal.written(CHURN_RISK, WIN_BACK)
    assert expected.customers == replayed.customers


@pytest.mark.parametrize("batch_records", [1, 4000])
async def test_a_replay_from_the_middle_is_the_fold_of_what_occurred_since(batch_records: int) -> None:
    """What is dated before the beginning leaves no trace, however late it stands in its topic."""
    begin = since_epoch(EVENTS[len(EVENTS) // 2].occurred_at)
    events = unruly(EVENTS, seed=4)
    expected = pure_fold(
        logs_of(event for event in events if since_epoch(event.occurred_at) >= begin), PLAYBOOK, END
    )
    replayed = Stand(PLAYBOOK, end=END, begin=begin, batch_records=batch_records, logs=logs_of(events))
    replayed.open()
    await replay(replayed, ())
    for spec in (CHURN_RISK, WIN_BACK, CUSTOMER_HEALTH):
        assert expected.written[spec.name] == replayed.journal.written(spec)
    assert expected.customers == replayed.customers
    assert expected.clock == replayed.record.clock
    before = sum(since_epoch(event.occurred_at) < begin for event in events)
    outcomes = replayed.outcomes()
    assert before == sum(count for (_, outcome), count in outcomes.items() if outcome == "before_begin")


async def test_whatever_a_replay_says_is_marked() -> None:
    """Every trigger of every kind carries the origin replay, the ended ones too."""
    replayed = stand()
    replayed.open()
    await replay(replayed, ())
    said = {(trigger.kind, trigger.origin) for trigger in replayed.journal.triggers()}
    assert {(kind, "replay") for kind in ("raised", "cleared", "revoked", "due", "achieved")} == said


async def test_several_partitions_are_several_folds() -> None:
    """Each partition has a clock of its own, and says what its own logs say."""
    for number in range(3):
        logs = logs_of(EVENTS, number, 3)
        replayed = Stand(PLAYBOOK, end=END, logs=logs, number=number, partitions=3)
        replayed.open()
        await replay(replayed, ())
        assert_same(pure_fold(logs, PLAYBOOK, END), replayed)
