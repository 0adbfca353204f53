"""A shard, brought forward by the batches of a changelog."""

from collections import Counter

import pytest

from schemas.customer import LONG_AGO, NEVER, Customer
from schemas.errors import Gap, StateError
from schemas.positions import PartitionRecord, SourcePosition
from schemas.record import PARTITION_KEY, Fingerprint, pack, pack_partition
from streams.lineage import SOURCES_HEADER, Lineage, pack_lineage
from streams.run import RUN_HEADER, Run, pack_run
from streams.tables import Shard, ShardLoad, read_heads
from tests.streams.wire import Row, only, sealed, wire, with_codec

FINGERPRINT = Fingerprint(model=7, playbook=8)
POSITIONS = PartitionRecord(
    sources=(SourcePosition(1, 10), SourcePosition(2, 20), SourcePosition(3, 30)), clock=40
)
HERE = (PARTITION_KEY, pack_partition(POSITIONS))


def customer(wake_at: int, stage: int = 0, fingerprint: Fingerprint = FINGERPRINT) -> bytes:
    """A packed customer."""
    return pack(Customer(wake_spell=wake_at, stage=stage), fingerprint)


def loaded(*logs: bytes, shard: Shard | None = None) -> tuple[Shard, list[str]]:
    """A shard after these batches of partition 3, and what was quarantined, in words."""
    load = ShardLoad(Shard() if shard is None else shard, "log", 3)
    for log in logs:
        load.apply(only(log))
    return load.shard, [str(error) for error in load.finish()]


def batch(*rows: Row) -> bytes:
    """One batch from offset 100 on."""
    return wire(*rows, base=100)


def bit_flipped(data: bytes) -> bytes:
    """The same with one bit of its last value changed."""
    return data[:-2] + bytes((data[-2] ^ 1,)) + data[-1:]


def test_the_last_record_of_a_key_stays() -> None:
    """Later records replace earlier ones of their key, and nothing else."""
    shard, errors = loaded(batch((b"a", customer(1)), (b"b", customer(2)), (b"a", customer(3))))
    assert ({b"a": customer(3), b"b": customer(2)}, []) == (shard.records, errors)


def test_records_of_earlier_versions_are_read() -> None:
    """They stay as they are until their customer changes; an earlier partition record says where we stand."""
    older = b"\x01" + customer(1)[1:]
    here = b"\x01" + pack_partition(POSITIONS)[1:]
    shard, errors = loaded(batch((b"a", older), (PARTITION_KEY, here)))
    assert ({b"a": older}, POSITIONS, []) == (shard.records, shard.partition_record, errors)


def test_a_tombstone_takes_its_customer_out() -> None:
    """Also one whose customer is not there, and one that is quarantined."""
    log = batch((b"a", customer(1)), (b"a", None), (b"b", None), (b"c", b"!"), (b"c", None))
    shard, errors = loaded(log)
    assert ({}, {}, []) == (shard.records, shard.quarantined, errors)


@pytest.mark.parametrize("headers", [[], [(SOURCES_HEADER, b"[]")]])
def test_the_partition_record_is_no_customer(headers: list[tuple[str, bytes]]) -> None:
    """It stands apart, and the last one counts."""
    older = pack_partition(PartitionRecord(sources=POSITIONS.sources, clock=LONG_AGO))
    shard, _ = loaded(batch((PARTITION_KEY, older), (*HERE, headers)), batch())
    assert (POSITIONS, {}) == (shard.partition_record, shard.records)


def test_the_partition_record_says_what_it_was_made_from() -> None:
    """In a header; a later one without it says nothing."""
    lineage = Lineage(4, {"purchases": "1"})
    told = batch((*HERE, [(SOURCES_HEADER, pack_lineage(lineage))]))
    assert lineage == loaded(told)[0].lineage
    assert loaded(told, batch(HERE))[0].lineage is None


def test_the_partition_record_says_which_replay_made_it() -> None:
    """In another header; a live application's has none."""
    run = Run(begin=1, end=2, open_end=False, model=3, playbook=4)
    shard, _ = loaded(batch((*HERE, [(RUN_HEADER, pack_run(run))])))
    assert run == shard.run
    assert loaded(batch(HERE), shard=shard)[0].run is None


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", "damaged"),
        (b"\x01short", "damaged"),
        (customer(1)[:18], "damaged"),
        (bytes((99,)) + customer(1)[1:], "unknown_version"),
        (b"nonsense", "unknown_version"),
    ],
)
def test_what_cannot_be_read_is_quarantined_with_its_place(value: bytes, reason: str) -> None:
    """It takes out what it replaced, is named by its offset and never by its key, and stops nothing."""
    shard, errors = loaded(batch((b"a", customer(1)), (b"a", value), (b"c", customer(2))))
    assert ({b"c": customer(2)}, {b"a": reason}) == (shard.records, shard.quarantined)
    assert [f"log, partition 3, offset 101: {reason} (1)"] == errors


@pytest.mark.parametrize("together", [True, False])
def test_a_good_record_ends_a_quarantine(together: bool) -> None:
    """What counts is the newest record: an older one that is damaged harms nobody."""
    bad, good = (b"a", b"!"), (b"a", customer(3))
    shard, errors = loaded(*([batch(bad, good)] if together else [batch(bad), batch(good)]))
    assert ({b"a": customer(3)}, {}, []) == (shard.records, shard.quarantined, errors)


def test_a_quarantine_outlives_the_load_and_is_told_once() -> None:
    """A rebalance that keeps the shard reads on from there."""
    shard, _ = loaded(batch((b"a", b"!")))
    assert [] == loaded(batch((b"b", customer(1))), shard=shard)[1]
    assert {b"a": "unknown_version"} == shard.quarantined


def test_a_batch_with_a_wrong_checksum_quarantines_whom_it_names() -> None:
    """Which of its values is wrong nobody can tell, so none is believed."""
    shard, errors = loaded(
        batch((b"a", customer(1)), (b"b", customer(2)), (b"z", customer(9))),
        bit_flipped(batch((b"a", customer(3)), (b"b", customer(4)))),
        batch(HERE),
    )
    assert ({b"z": customer(9)}, {b"a": "damaged", b"b": "damaged"}) == (shard.records, shard.quarantined)
    assert [
        "log, partition 3, offset 100: damaged (1)",
        "log, partition 3, offset 101: damaged (1)",
    ] == errors


def test_a_header_that_is_not_utf8_quarantines_its_record_alone() -> None:
    """The batch around it is read."""
    log = batch((b"a", customer(1)), (b"b", customer(2), [("a name", b"")]), HERE, (b"c", customer(3)))
    at = log.index(b"a name")
    shard, errors = loaded(sealed(log[:at] + b"\xe9" + log[at + 1 :]))
    assert {b"a": customer(1), b"c": customer(3)} == shard.records
    assert ({b"b": "bad_header"}, POSITIONS) == (shard.quarantined, shard.partition_record)
    assert ["log, partition 3, offset 101: bad_header (1)"] == errors


def test_a_header_that_nobody_asked_for_does_no_harm() -> None:
    """A tracing agent may add one."""
    shard, errors = loaded(batch((b"a", customer(1), [("traceparent", b"00")])))
    assert ({b"a": customer(1)}, []) == (shard.records, errors)


def test_an_unknown_compression_is_counted_and_the_rest_recovers() -> None:
    """Whom it was about cannot be told, but where the partition stands is said again later."""
    log = with_codec(batch((b"a", customer(1)), (b"b", customer(2)), HERE), 7)
    shard, errors = loaded(log, batch((b"c", customer(3)), HERE))
    assert ({b"c": customer(3)}, POSITIONS) == (shard.records, shard.partition_record)
    assert ["log, partition 3, offset 100: unknown_compression (3)"] == errors


@pytest.mark.parametrize(
    ("logs", "says"),
    [
        ([batch(HERE), batch((PARTITION_KEY, b"\x01!"))], "offset 100: damaged .* Restore the topic"),
        ([batch((PARTITION_KEY, b"\x09" + b"." * 20))], "unknown_version .* A newer Winback has been here"),
        ([batch(HERE), batch((PARTITION_KEY, None))], "damaged"),
        ([batch(HERE), bit_flipped(batch(HERE))], "damaged"),
        ([batch(HERE), with_codec(batch(HERE), 7)], r"unknown_compression .* aiokafka\[all\]"),
    ],
)
def test_a_position_that_cannot_be_read_is_a_failure_that_says_what_to_do(
    logs: list[bytes], says: str
) -> None:
    """Where a partition stands must not be guessed, not even from an older record."""
    with pytest.raises(StateError, match=f"{says}.*start anew"):
        loaded(*logs)
    assert POSITIONS == loaded(*logs, batch(HERE))[0].partition_record, "the next one says it again"


def test_a_log_that_begins_later_is_read_anew() -> None:
    """What the shard knows may have been removed; one that ends earlier is of another log."""
    load = ShardLoad(Shard({b"a": customer(1)}, POSITIONS, changelog_next=50), "log", 3)
    load.begin(first=50, end=60)
    assert {b"a": customer(1)} == load.shard.records
    with pytest.raises(Gap, match="partition 3, ends at offset 49, but was read up to 50 before"):
        load.begin(first=0, end=49)
    load.begin(first=51, end=60)
    assert Shard(changelog_next=51) == load.shard


async def test_heads_give_deadlines_stages_and_fingerprints() -> None:
    """The deadlines that will come, by hour, the customers in each stage, and what computed them."""
    other = Fingerprint(model=9, playbook=8)
    shard = Shard()
    shard.records = {
        b"late": customer(900, stage=2),
        b"never": customer(NEVER, stage=2),
        b"soon": customer(-5, stage=1, fingerprint=other),
    }
    shard.deadlines = {0: [b"gone"]}
    await read_heads(shard)
    assert {-1: [b"soon"], 0: [b"late"]} == shard.deadlines
    assert Counter({2: 2, 1: 1}) == shard.stages
    assert {FINGERPRINT, other} == shard.fingerprints


async def test_an_empty_shard_has_no_deadlines() -> None:
    """Nothing is left of what was there before."""
    shard = Shard(deadlines={0: [b"gone"]}, stages=Counter({1: 1}), fingerprints={FINGERPRINT})
    await read_heads(shard)
    assert Shard() == shard
