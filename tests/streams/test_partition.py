"""One partition at work: its clock, its deadlines, its transactions, and what it grants to time."""

import asyncio
from dataclasses import replace
from datetime import datetime
from itertools import pairwise

import pytest

from schemas.customer import LONG_AGO, Customer
from schemas.errors import BrokerUnreachable, Fenced, TopicsError, WinbackError
from schemas.instants import since_epoch
from schemas.record import raw_head
from schemas.topics import CHANGELOG, CHURN_RISK, CUSTOMER_HEALTH, DEAD_LETTERS, WIN_BACK
from streams.clock import wall_ms
from streams.core.playbook import DAY, HOUR, Playbook
from streams.driver import TP
from streams.intake import CLOCK_TOLERANCE_MS
from streams.partition import Done
from streams.partitioner import partition_of
from tests.flows.events import START, login, purchase, ticket
from tests.streams.conftest import END, PLAYBOOK
from tests.streams.memory import SOURCE_TOPICS, TOPICS, Headers, Stand

SECOND = 1000
PURCHASE, LOGIN, TICKET = range(3)


def said(stand: Stand) -> list[tuple[str, str, str]]:
    """Customer, rule and kind of each trigger."""
    return [(trigger.customer_id, trigger.rule, trigger.kind) for trigger in stand.journal.triggers()]


def reason(headers: Headers) -> str:
    """Why a record became a dead letter."""
    return (dict(headers)["winback-reason"] or b"").decode()


# ------------------------------------------------------------------------------- clock and deadlines


async def test_deadlines_below_the_clock_are_settled_before_the_record(replaying: Stand) -> None:
    """An answer after the promised hour finds the breach already said, as of the answer's instant."""
    replaying.put(ticket("c", START), ticket("c", START + HOUR + 1, "replied"))
    replaying.open()
    replaying.deliver_all()
    await replaying.settle()
    assert [("c", "sla_breach", "raised"), ("c", "sla_breach", "cleared")] == said(replaying)
    raised, _ = replaying.journal.triggers()
    assert START + HOUR + 1 == at(raised.detected_at)
    assert START + HOUR == at(raised.due_at)


async def test_a_record_at_the_very_deadline_comes_before_it(replaying: Stand) -> None:
    """At equal instants the event wins: an answer at the end of the hour prevents the breach."""
    replaying.put(ticket("c", START), ticket("c", START + HOUR, "replied"))
    replaying.open()
    replaying.deliver_all()
    await replaying.settle()
    assert [] == said(replaying)


async def test_any_record_of_the_partition_moves_its_clock(replaying: Stand) -> None:
    """Another customer's login lets the deadlines below it fire, one topic's or another's."""
    replaying.put(ticket("c", START), login("d", START + 2 * HOUR))
    replaying.open()
    replaying.deliver(TICKET)
    replaying.deliver(LOGIN, next_offset=1)
    await replaying.settle()
    (raised,) = replaying.journal.triggers()
    assert START + 2 * HOUR == at(raised.detected_at)


async def test_the_clock_never_goes_back(replaying: Stand) -> None:
    """A late event is folded as it comes; the clock that is committed with it stays."""
    replaying.put(*[login("c", START + minutes * 60_000) for minutes in (10, 5, 20, 19, 1, 30)])
    replaying.batch_records = 1
    replaying.open()
    replaying.deliver_all()
    clocks = []
    while await replaying.partition.step() is not None:
        clocks.append(replaying.record.clock)
    assert [START + minutes * 60_000 for minutes in (10, 10, 20, 20, 20, 30)] == clocks[:6]
    assert all(one <= other for one, other in pairwise(clocks))
    assert END == clocks[-1]


async def test_a_bounded_replay_ends_at_its_end_instant(replaying: Stand) -> None:
    """When the topics are at their ends, what is due before the end fires, and nothing after it."""
    replaying.put(ticket("early", END - HOUR - 1), ticket("late", END - HOUR))
    replaying.open()
    before = replaying.partition.finished
    replaying.deliver_all()
    await replaying.settle()
    assert (False, True) == (before, replaying.partition.finished)
    (raised,) = replaying.journal.triggers()
    assert ("early", END, END) == (raised.customer_id, at(raised.detected_at), replaying.record.clock)


async def test_a_record_dated_at_the_end_is_counted_and_not_folded(replaying: Stand) -> None:
    """What is dated at or after the end instant moves the position alone."""
    replaying.put(login("c", END - 1), login("c", END), login("c", END + DAY))
    replaying.open()
    replaying.deliver_all()
    await replaying.settle()
    assert {("logins", "folded"): 1, ("logins", "after_end"): 2} == replaying.outcomes()
    assert 3 == replaying.record.sources[LOGIN].next_offset
    assert [] == replaying.dead_letters


async def test_the_event_clock_owes_nothing_to_the_wall() -> None:
    """A replay of records dated ahead of our own clock steps with them all the same."""
    ahead = wall_ms() + 1000 * DAY
    stand = Stand(PLAYBOOK, end=ahead + DAY)
    stand.put(ticket("c", ahead), login("d", ahead + 2 * HOUR))
    stand.open()
    stand.deliver_all()
    await stand.settle()
    (raised,) = stand.journal.triggers()
    assert ahead + 2 * HOUR == at(raised.detected_at)


async def test_a_replay_goes_no_further_than_the_ends_it_began_with(replaying: Stand) -> None:
    """What is written into a topic after the replay's beginning is not folded, and stands first later."""
    replaying.put(login("c", START))
    replaying.open()
    replaying.put(login("c", START + 1), login("c", START + 2))
    replaying.deliver(LOGIN)
    await replaying.settle()
    assert {("logins", "folded"): 1} == replaying.outcomes()
    assert replaying.partition.finished
    assert 1 == replaying.record.sources[LOGIN].next_offset
    assert TP(SOURCE_TOPICS[LOGIN], 0) in replaying.ends.held


async def test_a_replay_that_goes_live_reads_on_where_it_ended(replaying: Stand) -> None:
    """The same state under the wall clock takes the rest of the topics, and then follows the wall."""
    now = wall_ms()
    replaying.end = now - 10 * DAY
    replaying.put(ticket("c", now - HOUR - 11 * DAY))
    replaying.open()
    replaying.put(ticket("d", now - HOUR - 2 * SECOND), timestamp=now)
    replaying.deliver_all()
    await replaying.settle()
    assert [("c", "sla_breach", "raised")] == said(replaying)
    await replaying.reopen(end=None)
    replaying.deliver_all()
    replaying.see_ends(now)
    await replaying.settle()
    assert ["replay", "live"] == [trigger.origin for trigger in replaying.journal.triggers()]
    assert now == replaying.partition.clock


# ------------------------------------------------------------------------------------------ positions


async def test_positions_and_running_maxima_are_committed(replaying: Stand) -> None:
    """The partition record says for each topic where to go on, and its newest event."""
    replaying.put(login("c", START + 5), login("c", START + 3), purchase("c", START + 4))
    replaying.open()
    replaying.deliver_all()
    await replaying.settle()
    assert [(1, START + 4), (2, START + 5), (0, LONG_AGO)] == [
        (source.next_offset, source.newest) for source in replaying.record.sources
    ]


async def test_positions_pass_what_holds_no_record(live: Stand) -> None:
    """Transaction markers before and after the records are not read again."""
    live.deliver(PURCHASE, next_offset=2)
    live.put(login("c", START))
    live.deliver(LOGIN, next_offset=4)
    live.see_ends(START)
    await live.settle()
    assert [2, 4, 0] == [source.next_offset for source in live.record.sources]


async def test_what_was_delivered_and_not_folded_is_forgotten_with_the_assignment(live: Stand) -> None:
    """After the assignment ended nothing more is folded, and what was committed says where to go on."""
    live.batch_records = 1
    live.open()
    live.put(login("c", START), login("c", START + 1), login("c", START + 2))
    live.deliver_all()
    live.see_ends(START)
    assert await live.partition.step() is not None
    live.partition.drop_unmerged()
    assert await live.partition.step() is None
    assert 1 == live.record.sources[LOGIN].next_offset
    await live.reopen()
    live.deliver_all()
    await live.settle()
    assert 3 == live.record.sources[LOGIN].next_offset


async def test_a_batch_in_flight_is_finished_when_the_assignment_ends(live: Stand) -> None:
    """A rebalance amid folding: what has been folded is committed, the rest is forgotten."""
    live.put(*[login("c", START + number) for number in range(1500)])
    live.deliver_all()
    live.see_ends(START)
    folding = asyncio.create_task(live.partition.step())
    await asyncio.sleep(0)  # it has begun, and given way to us amid its work
    live.partition.drop_unmerged()
    done = await folding
    assert done is not None
    folded = done.tally.records["logins", "folded"]
    assert 0 < folded < 1500
    assert folded == live.record.sources[LOGIN].next_offset
    assert await live.partition.step() is None


# --------------------------------------------------------------------------------------- dead letters


async def test_what_is_too_late_becomes_a_dead_letter(replaying: Stand) -> None:
    """More than max_lateness behind the partition's clock: key and value as they came, and the reason."""
    late = login("c", START)
    replaying.put(login("d", START + PLAYBOOK.max_lateness + 1), late)
    replaying.open()
    replaying.deliver_all()
    await replaying.settle()
    ((key, value, headers),) = replaying.dead_letters
    assert (b"c", replaying.logs[LOGIN][1].value) == (key, value)
    assert "too_late" == reason(headers)
    assert b"1" == dict(headers)["kafka_dlt-original-offset"]
    assert {("logins", "folded"): 1, ("logins", "too_late"): 1} == replaying.outcomes()
    assert {("logins", "too_late"): 1} == replaying.done[0].tally.dead_letters
    assert [b"d"] == list(replaying.customers)


async def test_an_event_just_within_max_lateness_is_folded(replaying: Stand) -> None:
    """At exactly max_lateness behind the clock an event still counts."""
    replaying.put(login("d", START + PLAYBOOK.max_lateness), login("c", START))
    replaying.open()
    replaying.deliver_all()
    await replaying.settle()
    assert {("logins", "folded"): 2} == replaying.outcomes()


@pytest.mark.parametrize("source", range(3))
async def test_a_dead_letter_keeps_key_value_and_headers(replaying: Stand, source: int) -> None:
    """It goes to its own topic's dead letters, and the next good record is folded."""
    replaying.put_bytes(source, b"c", b"{", START, [("trace", b"1")])
    replaying.put(login("c", START))
    replaying.open()
    replaying.deliver_all()
    await replaying.settle()
    ((key, value, headers),) = replaying.journal.written(DEAD_LETTERS[source])
    assert (b"c", b"{", b"1") == (key, value, dict(headers)["trace"])
    assert "not_json" == reason(headers)
    assert SOURCE_TOPICS[source].encode() == dict(headers)["kafka_dlt-original-topic"]
    assert [b"c"] == list(replaying.customers)


async def test_a_dead_letter_of_no_key_and_no_value(replaying: Stand) -> None:
    """Nothing in the record at all is a reason too."""
    replaying.put_bytes(PURCHASE, None, None, START)
    replaying.open()
    replaying.deliver_all()
    await replaying.settle()
    ((key, value, headers),) = replaying.dead_letters
    assert (None, None, "empty_value") == (key, value, reason(headers))


# --------------------------------------------------------------------------------------- transactions


async def test_the_events_of_a_customer_in_quarantine_become_dead_letters(replaying: Stand) -> None:
    """Whose state could not be read is not started afresh; everybody else goes on."""
    replaying.put(purchase("lost", START), purchase("c", START + HOUR))
    replaying.shard.quarantine(b"lost", "unknown_version")
    replaying.open()
    replaying.deliver_all()
    await replaying.settle()
    assert [b"c"] == list(replaying.customers)
    ((key, _, headers),) = replaying.dead_letters
    assert (b"lost", "quarantined") == (key, reason(headers))
    assert {("purchases", "folded"): 1, ("purchases", "dead_letter"): 1} == replaying.outcomes()


async def test_a_state_found_damaged_at_its_deadline_is_quarantined(replaying: Stand) -> None:
    """Recovery reads heads alone; damage behind one shows at the first touch, and stops nobody else."""
    replaying.put(ticket("lost", START), login("c", START + DAY), ticket("lost", START + 2 * DAY, "replied"))
    replaying.batch_records = 1
    replaying.open()
    replaying.deliver_all()
    await replaying.partition.step()
    replaying.shard.records[b"lost"] = replaying.shard.records[b"lost"][:-4]
    await replaying.settle()
    assert [] == said(replaying)
    assert [b"c"] == list(replaying.customers)
    assert {b"lost": "damaged"} == replaying.shard.quarantined
    assert 1 == sum(done.tally.quarantined["damaged"] for done in replaying.done)
    assert 1 == len(replaying.dead_letters)
    assert 1 == replaying.partition.stages.total()


async def test_nothing_stands_in_the_table_before_the_commit(replaying: Stand) -> None:
    """The table shows a batch when its transaction has been committed, and not earlier."""
    replaying.put(login("c", START))
    replaying.open()
    replaying.deliver_all()
    replaying.journal.gate.clear()
    working = asyncio.create_task(replaying.settle())
    await asyncio.wait_for(replaying.journal.busy.wait(), 5)
    assert {} == replaying.customers
    replaying.journal.gate.set()
    await working
    assert [b"c"] == list(replaying.customers)


@pytest.mark.parametrize("refusal", [Fenced("taken over"), BrokerUnreachable("gone")])
async def test_a_failed_commit_leaves_the_table_as_it_was(replaying: Stand, refusal: WinbackError) -> None:
    """What a refused transaction held is nowhere; a successor folds it again."""
    replaying.put(purchase("c", START), purchase("c", START + DAY), purchase("d", START + 2 * DAY))
    replaying.batch_records = 1
    replaying.open()
    replaying.deliver_all()
    await replaying.partition.step()
    before, stages = replaying.customers, replaying.shard.stages.copy()
    replaying.journal.refusal = refusal
    with pytest.raises(type(refusal)):
        await replaying.partition.step()
    assert before == replaying.customers
    assert stages == replaying.shard.stages
    replaying.journal.refusal = None
    await replaying.reopen()
    replaying.deliver_all()
    await replaying.settle()
    assert [2, 1] == [customer_days(replaying.customers[key]) for key in (b"c", b"d")]


async def test_one_transaction_holds_everything_a_batch_did(replaying: Stand) -> None:
    """State, trigger, health, dead letter and position stand in one batch."""
    replaying.put(ticket("c", START), ticket("c", START + 2 * HOUR, "replied"), purchase("d", START))
    replaying.put_bytes(LOGIN, b"e", b"{", START)
    replaying.open()
    replaying.deliver_all()
    await replaying.settle()
    first = replaying.journal.batches[0].topics
    specs = (CHANGELOG, CHURN_RISK, WIN_BACK, CUSTOMER_HEALTH, DEAD_LETTERS[LOGIN])
    assert {TOPICS.name(spec) for spec in specs} == set(first)


async def test_the_stages_are_counted_as_customers_move(replaying: Stand) -> None:
    """How many customers are in each stage is what a recovery would count."""
    replaying.put(purchase("c", START), purchase("d", START), purchase("d", START + DAY), login("e", START))
    replaying.open()
    replaying.deliver_all()
    await replaying.settle()
    counted = +replaying.partition.stages
    await replaying.reopen()
    assert counted == +replaying.partition.stages
    assert 3 == counted.total()


async def test_a_customer_on_the_wrong_partition_is_noticed(replaying: Stand) -> None:
    """Customers hashed in another way stop the partition before anything of them is committed."""
    replaying.partitions = 4
    strangers = [f"c{n}" for n in range(400) if partition_of(b"c%d" % n, 4) != 0]
    replaying.put(*[login(customer, START) for customer in strangers])
    replaying.open()
    replaying.deliver_all()
    with pytest.raises(TopicsError, match="murmur2"):
        await replaying.settle()
    assert [] == replaying.journal.batches


# ------------------------------------------------------------------------------------ another playbook


def refitted(**changes: object) -> Playbook:
    """The same playbook with an SLA of another length, say, and the fingerprint that goes with it."""
    return replace(PLAYBOOK, fingerprint_playbook=PLAYBOOK.fingerprint_playbook ^ 1, **changes)  # type: ignore[arg-type]


def within(milliseconds: int) -> Playbook:
    """A playbook that promises an answer to an urgent ticket in so long."""
    assert PLAYBOOK.sla_breach is not None
    low, normal, high, _ = PLAYBOOK.sla_breach.within
    return refitted(sla_breach=replace(PLAYBOOK.sla_breach, within=(low, normal, high, milliseconds)))


async def open_tickets(stand: Stand, *customers: str) -> None:
    """Each of them has opened an urgent ticket at START, and half an hour has passed since."""
    stand.put(*[ticket(customer, START) for customer in customers], login("z", START + HOUR // 2))
    stand.open()
    stand.deliver_all()
    stand.see_ends(START)
    await stand.settle()
    assert START + HOUR // 2 == stand.record.clock


@pytest.mark.parametrize("moved_by", ["playbook", "model"])
async def test_what_another_playbook_or_model_puts_into_the_past_is_marked(
    live: Stand, moved_by: str
) -> None:
    """A deadline that lies below the clock under new rules fires with moved_by."""
    await open_tickets(live, "c")
    playbook = within(HOUR // 4)
    if moved_by == "model":
        playbook = replace(
            playbook,
            fingerprint_playbook=PLAYBOOK.fingerprint_playbook,
            fingerprint_model=PLAYBOOK.fingerprint_model ^ 1,
        )
    live.ends.sights.clear()
    await live.reopen(playbook=playbook)
    await live.settle()
    (raised,) = live.journal.triggers()
    assert (moved_by, START + HOUR // 4) == (raised.moved_by, at(raised.due_at))


async def test_what_comes_due_later_under_new_rules_is_an_ordinary_trigger(live: Stand) -> None:
    """Only crossings already past are marked; the others fire at their new instants."""
    await open_tickets(live, "c")
    await live.reopen(playbook=within(2 * HOUR))
    live.see_ends(START + HOUR + 1)
    await live.settle()
    assert [] == live.journal.triggers()
    live.see_ends(START + 2 * HOUR + 1)
    await live.settle()
    (raised,) = live.journal.triggers()
    assert (None, START + 2 * HOUR) == (raised.moved_by, at(raised.due_at))


async def test_a_refit_larger_than_a_batch_goes_on_by_itself(live: Stand) -> None:
    """Many customers whom the new playbook leaves alone don't keep the last one from being moved."""
    live.put(*[login(f"a{number}", START) for number in range(20)])
    await open_tickets(live, "c")
    await live.reopen(playbook=within(HOUR // 4), batch_records=4)
    await live.settle()
    assert [("c", "sla_breach", "raised")] == said(live)


async def test_a_refit_is_made_once(live: Stand) -> None:
    """Each customer then stands under the new fingerprint, moved or not; the next start does nothing."""
    await open_tickets(live, "c")
    changed = within(2 * HOUR)
    await live.reopen(playbook=changed)
    await live.settle()
    fingerprints = {raw_head(value)[2:4] for value in live.shard.records.values()}
    assert {(changed.fingerprint_model, changed.fingerprint_playbook)} == fingerprints
    await live.reopen()
    assert [] == await live.settle()


# -------------------------------------------------------------------------------------- the wall clock


async def test_time_passes_up_to_the_oldest_of_three_sights(live: Stand) -> None:
    """Without any record the clock follows the fetches that showed all three topics at their ends."""
    now = wall_ms()
    opened = now - HOUR - 10 * SECOND
    live.put(ticket("c", opened), timestamp=now)
    live.deliver_all()
    live.see_ends(now)
    live.see_ends(opened + HOUR, LOGIN)
    await live.settle()
    assert [] == said(live)
    assert opened + HOUR == live.partition.clock
    live.see_ends(opened + HOUR + 1, LOGIN)
    assert live.partition.due
    await live.settle()
    (raised,) = live.journal.triggers()
    assert opened + HOUR + 1 == at(raised.detected_at)
    assert not live.partition.due


async def test_the_driver_is_told_which_instant_is_awaited(live: Stand) -> None:
    """The earliest deadline of all, for each topic; once it has fired, the next one."""
    half_past = wall_ms() // HOUR * HOUR - HOUR // 2
    for name, opened in (("first", half_past - HOUR + SECOND), ("second", half_past - HOUR + 2 * SECOND)):
        live.put(ticket(name, opened, of=name), timestamp=half_past)
    live.deliver_all()
    live.see_ends(half_past)
    await live.settle()
    due = half_past + SECOND
    assert {TP(topic, 0): due for topic in SOURCE_TOPICS} == live.ends.awaited
    live.see_ends(due + 1)
    await live.settle()
    assert ["first"] == [trigger.customer_id for trigger in live.journal.triggers()]
    assert {TP(topic, 0): due + SECOND for topic in SOURCE_TOPICS} == live.ends.awaited


@pytest.mark.parametrize("source", range(3))
async def test_no_time_passes_while_a_topic_has_not_shown_its_end(live: Stand, source: int) -> None:
    """Whoever cannot see what has been written grants nothing."""
    now = wall_ms()
    live.put(ticket("c", now - 2 * HOUR), timestamp=now)
    live.deliver_all()
    live.see_ends(now - 2 * HOUR)
    await live.settle()
    live.see_ends(now)
    del live.ends.sights[TP(SOURCE_TOPICS[source], 0)]
    await live.settle()
    assert [] == said(live)
    assert not live.partition.due


async def test_no_time_passes_while_something_is_buffered(live: Stand) -> None:
    """An answer that waits for another topic is what prevents the alarm."""
    now = wall_ms()
    live.put(ticket("c", now - 2 * HOUR), timestamp=now)
    live.deliver_all()
    live.see_ends(now - 2 * HOUR)
    await live.settle()
    live.ends.sights.clear()
    live.put(ticket("c", now - HOUR - 1, "replied"), timestamp=now)
    live.deliver_all()
    await live.settle()
    live.see_ends(now, PURCHASE, TICKET)
    await live.settle()
    assert [] == said(live)
    assert {("support-tickets", "folded"): 1} == live.outcomes()
    live.see_ends(now)
    await live.settle()
    assert {("support-tickets", "folded"): 2} == live.outcomes()
    assert [] == said(live)


async def test_an_end_that_lies_beyond_what_was_delivered_is_no_end(live: Stand) -> None:
    """Records that the driver has handed over and an agent still holds are neither overtaken nor outlived."""
    now = wall_ms()
    opened = now - HOUR - 10 * SECOND
    live.put(ticket("c", opened), timestamp=now)
    live.deliver_all()
    live.see_ends(opened)
    await live.settle()
    live.put(ticket("c", opened + HOUR - 1, "replied"), login("d", now - SECOND), timestamp=now)
    live.see_ends(now)  # on its way
    live.deliver(LOGIN)
    await live.settle()
    assert [] == said(live)
    assert {("support-tickets", "folded"): 1} == live.outcomes()
    live.deliver(TICKET)
    await live.settle()
    assert [] == said(live)
    assert {("support-tickets", "folded"): 2, ("logins", "folded"): 1} == live.outcomes()
    assert now == live.partition.clock


async def test_the_watermark_is_capped_by_the_wall(live: Stand) -> None:
    """An event dated ahead of our clock is folded, and lets no more time pass than has passed."""
    began = wall_ms()
    ahead = began + CLOCK_TOLERANCE_MS
    live.put(ticket("c", began - HOUR + 60_000), login("d", ahead), timestamp=began)
    live.see_ends(began)
    live.deliver_all()
    await live.settle()
    assert {("support-tickets", "folded"): 1, ("logins", "folded"): 1} == live.outcomes()
    assert began <= live.partition.clock <= wall_ms()
    assert ahead == live.record.sources[LOGIN].newest
    assert [] == said(live)


async def test_a_topic_at_its_end_does_not_hold_the_others(live: Stand) -> None:
    """Live, a quiet topic waits for nobody, and nobody for it."""
    now = wall_ms()
    live.put(login("c", now), timestamp=now)
    live.deliver_all()
    await live.settle()
    assert {} == live.outcomes()
    live.see_ends(now, PURCHASE, TICKET)
    await live.settle()
    assert {("logins", "folded"): 1} == live.outcomes()


async def test_a_clock_of_the_machine_that_goes_back_changes_nothing(live: Stand) -> None:
    """A sight older than the last one grants no time, and takes none away."""
    now = wall_ms()
    live.see_ends(now)
    live.put(login("c", now - 5), timestamp=now)
    live.deliver_all()
    await live.settle()
    live.see_ends(now - HOUR)
    await live.settle()
    assert now == live.partition.clock


# ------------------------------------------------------------------------------------ origin and stale


@pytest.mark.parametrize(
    ("late", "origin", "stale"),
    [(SECOND, "live", False), (PLAYBOOK.staleness_limit + DAY, "backfill", True)],
)
async def test_a_live_trigger_knows_how_old_it_is(live: Stand, late: int, origin: str, stale: bool) -> None:
    """After an outage what has become too old to act on is marked; for the record, not for delivery."""
    now = wall_ms()
    live.put(ticket("c", now - HOUR - late), timestamp=now)
    live.deliver_all()
    live.see_ends(now)
    await live.settle()
    (raised,) = live.journal.triggers()
    assert (origin, stale) == (raised.origin, raised.stale)


async def test_a_replayed_trigger_is_stale_by_the_partition_clock(replaying: Stand) -> None:
    """In a replay the partition's clock judges, so that every replay says the same."""
    prompt, slow = START, START + DAY + 2 * HOUR
    replaying.put(ticket("prompt", prompt), login("z", prompt + DAY), ticket("slow", slow))
    replaying.put(login("z", slow + PLAYBOOK.staleness_limit + HOUR + 1))
    replaying.open()
    replaying.deliver_all()
    await replaying.settle()
    assert {"prompt": ("replay", False), "slow": ("replay", True)} == {
        trigger.customer_id: (trigger.origin, trigger.stale) for trigger in replaying.journal.triggers()
    }


# ------------------------------------------------------------------------------------- flow and health


@pytest.mark.parametrize("buffer_bytes", [1, 2, 1000, 1 << 20])
async def test_a_topic_that_runs_ahead_is_held_and_let_go_again(buffer_bytes: int) -> None:
    """Beyond the bound a topic is held; when its buffer has emptied it flows again, whatever the bound."""
    stand = Stand(PLAYBOOK, end=END, buffer_bytes=buffer_bytes)
    stand.put(*[purchase("c", START + DAY + number * DAY) for number in range(5)], login("c", START))
    stand.open()
    stand.deliver(PURCHASE, 4)
    await stand.settle()
    tp = TP(SOURCE_TOPICS[PURCHASE], 0)
    held = tp in stand.ends.held
    stand.deliver(LOGIN)
    await stand.settle()
    assert (buffer_bytes < 2000, False) == (held, tp in stand.ends.held)
    stand.deliver(PURCHASE)
    await stand.settle()
    assert stand.partition.finished


async def test_a_topic_past_the_replays_end_stays_held(replaying: Stand) -> None:
    """While others catch up, nothing is fetched again and again from beyond the end."""
    replaying.put(purchase("c", START + DAY), login("c", START))
    replaying.open()
    replaying.put(purchase("c", START + 2 * DAY))
    replaying.deliver(PURCHASE)
    await replaying.settle()
    assert (1, 0) == (len(replaying.ends.held), replaying.ends.released)


async def test_the_heap_says_when_there_is_something_to_do(live: Stand) -> None:
    """Nothing is due before the deadline lies below the granted time."""
    now = wall_ms()
    live.see_ends(now)
    due = [live.partition.due]
    live.put(ticket("c", now - HOUR + SECOND), timestamp=now)
    live.deliver_all()
    due.append(live.partition.due)
    await live.settle()
    for granted in (now + SECOND, now + SECOND + 1):
        live.see_ends(granted)
        due.append(live.partition.due)
    assert [False, True, False, True] == due
    assert (True, False) == (live.partition.stuck(-1.0), live.partition.stuck(60.0))
    live.partition.drop_unmerged()
    assert not live.partition.due


async def test_run_works_whenever_it_is_poked(live: Stand) -> None:
    """A delivery wakes it, a grant of time that the agent of silence points out does too."""
    now = wall_ms()
    heard: asyncio.Queue[int] = asyncio.Queue()
    running = asyncio.create_task(
        live.partition.run(lambda _, done: heard.put_nowait(len(done.tally.triggers)))
    )
    live.see_ends(now)
    live.put(ticket("c", now - HOUR + SECOND), timestamp=now)
    live.deliver_all()
    assert 0 == await asyncio.wait_for(heard.get(), 5)
    live.see_ends(now + 2 * SECOND)
    live.partition.poke()
    assert 1 == await asyncio.wait_for(heard.get(), 5)
    running.cancel()
    await asyncio.wait([running])


async def test_where_a_replay_begins_is_written_before_its_first_record(replaying: Stand) -> None:
    """The ends of the topics are decided once, and survive a crash before anything was folded."""
    replaying.put(login("c", START))
    replaying.open()
    await replaying.partition.commit_start()
    replaying.put(login("c", START + 1))
    await replaying.reopen()
    replaying.deliver_all()
    await replaying.settle()
    assert {("logins", "folded"): 1} == replaying.outcomes()
    assert (END, 1) == (replaying.record.until, replaying.record.sources[LOGIN].end)


def at(moment: datetime | None) -> int:
    """An instant of the wire in ms since the epoch."""
    assert moment is not None
    return since_epoch(moment)


def customer_days(customer: Customer) -> int:
    """On how many days the customer has bought."""
    assert customer.purchases is not None
    return customer.purchases.days


# ------------------------------------------------------------------------------------------ lingering


async def lingering(live: Stand, seconds: float) -> asyncio.Task[Done | None]:
    """A step that has folded a login, and has nothing to say of it."""
    live.linger_seconds = seconds
    live.open()
    now = wall_ms()
    live.put(login("c", now), timestamp=now)
    live.see_ends(now)
    live.deliver_all()
    step = asyncio.create_task(live.partition.step())
    await asyncio.sleep(0)  # it has begun, and given way to us amid its work
    assert (1, now) == live.partition.positions[TP(SOURCE_TOPICS[LOGIN], 0)]
    return step


async def test_a_batch_without_a_trigger_takes_on_what_comes(live: Stand) -> None:
    """Both in one transaction, which goes at once when there is something to say."""
    step = await lingering(live, seconds=60.0)
    now = wall_ms()
    live.put(ticket("c", now - HOUR - SECOND), timestamp=now)
    live.see_ends(now)
    live.deliver(TICKET)
    done = await step
    assert done is not None
    assert {("logins", "folded"): 1, ("support-tickets", "folded"): 1} == done.tally.records
    assert ["sla_breach"] == [trigger.rule for trigger in live.journal.triggers()]
    assert 1 == len(live.journal.batches)


async def test_what_comes_and_says_nothing_waits_no_longer_for_it(live: Stand) -> None:
    """The time counts from the beginning of the batch."""
    step = await lingering(live, seconds=0.05)
    now = wall_ms()
    live.put(login("d", now), timestamp=now)
    live.see_ends(now)
    live.deliver(LOGIN)
    done = await step
    assert done is not None
    assert {("logins", "folded"): 2} == done.tally.records


async def test_a_full_batch_waits_for_nothing(live: Stand) -> None:
    """Its transaction has grown as large as it may."""
    live.batch_records = 1
    done = await (await lingering(live, seconds=60.0))
    assert done is not None
    assert 1 == live.record.sources[LOGIN].next_offset
