"""A partition forgets: in one transaction, whatever dies in between, and for good."""

import pytest

from schemas.codec import decode_output
from schemas.customer import Customer
from schemas.erasures import ErasureReceipt
from schemas.errors import BrokerUnreachable
from schemas.instants import instant
from schemas.record import STAGE_AT, STUB, Fingerprint, pack
from schemas.topics import CHANGELOG, CUSTOMER_HEALTH, ERASURE_RECEIPTS
from streams.core.playbook import DAY, HOUR
from tests.flows.events import START, crowd, login, logs_of, purchase, ticket, unruly
from tests.flows.pure_fold import pure_fold
from tests.streams.conftest import PLAYBOOK
from tests.streams.memory import TOPICS, TRIGGERS, Stand

LATENESS = PLAYBOOK.max_lateness
PURCHASE = 0


async def work_off(stand: Stand) -> None:
    """Fold everything that stands in the topics, and see their ends."""
    stand.deliver_all()
    stand.see_ends(START)
    await stand.settle()


def receipts(stand: Stand) -> list[ErasureReceipt]:
    """The receipts, in order."""
    found = [
        decode_output(value or b"", headers) for _, value, headers in stand.journal.written(ERASURE_RECEIPTS)
    ]
    return [receipt for receipt in found if isinstance(receipt, ErasureReceipt)]


async def test_all_of_it_goes_out_in_one_transaction(live: Stand) -> None:
    """The stub, the tombstone of customer-health, the receipt, and how far the erasures are obeyed."""
    live.put(purchase("c", START))
    await work_off(live)
    before = len(live.journal.batches)
    live.forget("c", START + DAY)
    live.hear()
    await live.settle()
    (changes,) = live.journal.batches[before:]
    written = {name: [(each.key, each.value) for each in records] for name, records in changes.topics.items()}
    fingerprint = Fingerprint(PLAYBOOK.fingerprint_model, PLAYBOOK.fingerprint_playbook)
    stub = pack(Customer(forgotten_at=START + DAY), fingerprint)
    assert (b"c", stub) == written[TOPICS.name(CHANGELOG)][0]
    assert [(b"c", None)] == written[TOPICS.name(CUSTOMER_HEALTH)]
    assert [ErasureReceipt("c", instant(START + DAY), True, TOPICS.application_id)] == receipts(live)
    assert 1 == live.record.erasures_next
    assert 1 == sum(done.tally.erasures for done in live.done)


async def test_nothing_fires_about_who_was_forgotten(live: Stand) -> None:
    """The deadline that stood in the heap finds nobody."""
    live.put(ticket("c", START))
    await work_off(live)
    live.forget("c", START)
    live.hear()
    await live.settle()
    live.put(login("d", START + 2 * HOUR))
    live.deliver_all()
    live.see_ends(START + 2 * HOUR)
    await live.settle()
    assert START + 2 * HOUR == live.partition.clock
    assert [] == live.journal.triggers()


async def test_what_is_dated_before_is_counted_and_kept_nowhere(live: Stand) -> None:
    """Late, much too late, or not to be read at all: outcome `forgotten`, and no dead letter."""
    live.forget("c", START + DAY)
    live.hear()
    live.put(login("d", START + 90 * DAY))
    await work_off(live)
    live.put(purchase("c", START + DAY), purchase("c", START - 200 * DAY))
    live.put_bytes(PURCHASE, b"c", b"{", START + DAY)
    await work_off(live)
    assert 3 == live.outcomes()["purchases", "forgotten"]
    assert [] == live.dead_letters
    assert Customer(forgotten_at=START + DAY) == live.customers[b"c"]


async def test_what_cannot_be_read_and_came_later_is_a_dead_letter(live: Stand) -> None:
    """It is about somebody who started afresh; and so is what is too late and dated after."""
    live.forget("c", START + DAY)
    live.hear()
    live.put(login("d", START + 90 * DAY))
    await work_off(live)
    live.put(purchase("c", START + DAY + 1))
    live.put_bytes(PURCHASE, b"c", b"{", START + DAY + 1)
    live.put_bytes(PURCHASE, b"c", b"{", -1)
    await work_off(live)
    assert (1, 2) == (live.outcomes()["purchases", "too_late"], live.outcomes()["purchases", "dead_letter"])
    assert 3 == len(live.dead_letters)


async def test_a_new_event_starts_afresh(live: Stand) -> None:
    """A first order again, and health is written again."""
    live.put(purchase("c", START), purchase("c", START + DAY))
    await work_off(live)
    live.forget("c", START + DAY)
    live.hear()
    live.put(purchase("c", START + 2 * DAY))
    await work_off(live)
    customer = live.customers[b"c"]
    assert customer.purchases is not None
    assert (1, START + 2 * DAY) == (customer.purchases.days, customer.purchases.first_at)
    *_, gone, new = live.journal.written(CUSTOMER_HEALTH)
    assert (None, True) == (gone[1], new[1] is not None)


@pytest.mark.parametrize("batch_records", [1, 3, 4000])
async def test_a_replay_obeys_before_it_begins(batch_records: int) -> None:
    """Byte for byte what the pure fold says of the same events and erasures, however batches are cut."""
    events = unruly(crowd(seed=5, customers=12, days=200), seed=5)
    ends = [int(event.occurred_at.timestamp() * 1000) for event in events]
    end, ids = max(ends) + 100 * DAY, sorted({event.customer_id for event in events})
    erasures = [(customer.encode(), ends[number * len(ends) // 12]) for number, customer in enumerate(ids)][
        ::2
    ]
    stand = Stand(PLAYBOOK, end=end, batch_records=batch_records, logs=logs_of(events))
    for key, at in erasures:
        stand.forget(key.decode(), at)
    stand.open()
    stand.deliver_all()
    await stand.settle()
    expected = pure_fold(logs_of(events), PLAYBOOK, end, erasures, TOPICS.application_id)
    assert expected.customers == stand.customers
    for spec in (CUSTOMER_HEALTH, ERASURE_RECEIPTS):
        assert expected.written[spec.name] == stand.journal.written(spec)
    assert expected.triggers == stand.journal.written(*TRIGGERS)


async def test_a_crash_in_the_middle_leaves_nothing_out_and_does_nothing_twice(live: Stand) -> None:
    """What was not committed is obeyed by the successor, what was is not obeyed again."""
    for name in "abcd":
        live.put(purchase(name, START))
    await work_off(live)
    await live.reopen(batch_records=2)
    for name in "abcd":
        live.forget(name, START)
    live.hear()
    await live.partition.step()
    live.journal.refusal = BrokerUnreachable("gone")
    with pytest.raises(BrokerUnreachable):
        await live.partition.step()
    live.journal.refusal = None
    assert ["a", "b"] == [receipt.customer_id for receipt in receipts(live)]
    await live.reopen()
    await live.settle()
    assert ["a", "b", "c", "d"] == [receipt.customer_id for receipt in receipts(live)]
    assert {Customer(forgotten_at=START)} == set(live.customers.values())


async def test_who_came_back_is_not_forgotten_again_by_the_same_request(live: Stand) -> None:
    """Neither at the next opening nor by its repetition; a request for later forgets them again."""
    live.forget("c", START)
    live.hear()
    live.put(purchase("c", START + DAY))
    await work_off(live)
    back = live.customers
    await live.reopen()
    live.forget("c", START)
    live.hear()
    await live.settle()
    assert back == live.customers
    assert [False, True] == [receipt.was_known for receipt in receipts(live)]
    live.forget("c", START + DAY)
    live.hear()
    await live.settle()
    assert {b"c": Customer(forgotten_at=START + DAY)} == live.customers


async def test_what_comes_during_a_replay_is_for_the_next_run(replaying: Stand) -> None:
    """A replay that is resumed obeys what stood there when it began, and a live worker the rest."""
    replaying.put(purchase("c", START), purchase("d", START))
    replaying.forget("c", START)
    replaying.open()
    replaying.forget("d", START)
    await replaying.partition.commit_start()
    await replaying.reopen()
    await work_off(replaying)
    assert (True, {b"c": True, b"d": False}) == (replaying.partition.finished, stubs(replaying))
    await replaying.reopen(end=None)
    await replaying.settle()
    assert {b"c": True, b"d": True} == stubs(replaying)


async def test_a_stub_counts_in_no_stage(live: Stand) -> None:
    """In memory as after a recovery; whoever comes back counts in theirs."""
    live.put(purchase("c", START), purchase("d", START))
    await work_off(live)
    live.forget("c", START)
    live.forget("d", START)
    live.hear()
    live.put(login("d", START + 1))
    await work_off(live)
    counted = +live.partition.stages
    assert {STUB: 1, 0: 1} == counted
    await live.reopen()
    assert counted == +live.partition.stages


async def test_a_stub_has_its_time(live: Stand) -> None:
    """It goes when the clock is max_lateness beyond it and so are the sources; the same request then
    stays obeyed."""
    live.forget("c", START)
    live.hear()
    live.put(purchase("d", START + LATENESS))
    await work_off(live)
    live.partition.outlive(START + 2 * LATENESS)
    await live.settle()
    assert b"c" in live.customers, "the clock is not beyond it"
    live.put(purchase("d", START + LATENESS + 1))
    await work_off(live)
    live.partition.outlive(START + LATENESS)
    await live.settle()
    assert b"c" in live.customers, "the sources may hold what is as old"
    live.partition.outlive(START + LATENESS + 1)
    await live.settle()
    assert {b"d"} == live.customers.keys()
    assert (b"c", None) in [(key, value) for key, value, _ in live.journal.written(CHANGELOG)]
    assert 0 == live.partition.stages[STUB]
    await live.reopen()
    await live.settle()
    assert {b"d"} == live.customers.keys()


async def test_who_comes_back_as_the_stub_goes_stays(live: Stand) -> None:
    """An event in the same batch is folded, and still knows of the erasure."""
    live.forget("c", START)
    live.hear()
    live.put(login("d", START + LATENESS + 1))
    await work_off(live)
    live.partition.outlive(START + LATENESS + 1)
    live.put(login("c", START + LATENESS + 1))
    await work_off(live)
    assert START == live.customers[b"c"].forgotten_at
    assert live.customers[b"c"].logins is not None


async def test_a_customer_whose_state_cannot_be_read_can_be_forgotten(live: Stand) -> None:
    """The stub takes the place of what is quarantined, and their events are folded again."""
    live.shard.quarantine(b"c", "damaged")
    live.forget("c", START)
    live.hear()
    live.put(purchase("c", START + DAY))
    await work_off(live)
    assert {} == live.shard.quarantined
    assert [] == live.dead_letters
    assert live.customers[b"c"].purchases is not None
    assert [True] == [receipt.was_known for receipt in receipts(live)]


def stubs(stand: Stand) -> dict[bytes, bool]:
    """Who is a stub."""
    return {key: value[STAGE_AT] == STUB for key, value in sorted(stand.shard.records.items())}
