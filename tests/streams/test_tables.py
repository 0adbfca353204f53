"""A shard, brought forward by changelog records."""

from collections import Counter

from aiokafka.structs import ConsumerRecord

from schemas.customer import LONG_AGO, NEVER, Customer, PartitionRecord, SourcePosition
from schemas.record import PARTITION_KEY, Fingerprint, pack, pack_partition
from streams.tables import Shard, apply, read_heads

FINGERPRINT = Fingerprint(model=7, playbook=8)
POSITIONS = PartitionRecord(
    sources=(SourcePosition(1, 10), SourcePosition(2, 20), SourcePosition(3, 30)), clock=40
)


def changelog(*pairs: tuple[bytes, bytes | None]) -> list[ConsumerRecord]:
    """Consecutive changelog records of partition 3, from offset 100 on."""
    return [
        ConsumerRecord("log", 3, offset, 0, 0, key, value, None, len(key), len(value or b""), ())
        for offset, (key, value) in enumerate(pairs, start=100)
    ]


def customer(wake_at: int, stage: int = 0, fingerprint: Fingerprint = FINGERPRINT) -> bytes:
    """A packed customer."""
    return pack(Customer(wake_spell=wake_at, stage=stage), fingerprint)


def test_the_last_record_of_a_key_stays() -> None:
    """Later records replace earlier ones of their key, and nothing else."""
    shard = Shard()
    assert [] == apply(shard, changelog((b"a", customer(1)), (b"b", customer(2)), (b"a", customer(3))))
    assert {b"a": customer(3), b"b": customer(2)} == shard.records


def test_a_tombstone_takes_its_customer_out() -> None:
    """Also one whose customer is not there."""
    shard = Shard()
    assert [] == apply(shard, changelog((b"a", customer(1)), (b"a", None), (b"b", None)))
    assert {} == shard.records


def test_the_partition_record_is_no_customer() -> None:
    """It stands apart, and the last one counts."""
    shard = Shard()
    older = PartitionRecord(sources=POSITIONS.sources, clock=LONG_AGO)
    records = changelog((PARTITION_KEY, pack_partition(older)), (PARTITION_KEY, pack_partition(POSITIONS)))
    assert [] == apply(shard, records)
    assert POSITIONS == shard.partition_record
    assert {} == shard.records


def test_what_cannot_be_understood_is_reported_with_its_place() -> None:
    """A damaged record takes out what it replaced, is named by its offset, and stops nothing."""
    shard = Shard()
    future = bytes((99,)) + customer(1)[1:]
    errors = apply(
        shard,
        changelog(
            (b"a", customer(1)),
            (b"a", b"\x01short"),
            (b"b", future),
            (PARTITION_KEY, b"\x01!"),
            (b"c", customer(2)),
        ),
    )
    assert {b"c": customer(2)} == shard.records
    assert ["offset 101", "offset 102", "offset 103"] == [
        str(error).split(", ")[2].split(":")[0] for error in errors
    ]


async def test_heads_give_deadlines_stages_and_fingerprints() -> None:
    """A heap of the deadlines that will come, the customers in each stage, and what computed them."""
    other = Fingerprint(model=9, playbook=8)
    shard = Shard()
    shard.records = {
        b"late": customer(900, stage=2),
        b"never": customer(NEVER, stage=2),
        b"soon": customer(-5, stage=1, fingerprint=other),
    }
    shard.deadlines = [(1, b"gone")]
    await read_heads(shard)
    assert [(-5, b"soon"), (900, b"late")] == shard.deadlines
    assert Counter({2: 2, 1: 1}) == shard.stages
    assert {FINGERPRINT, other} == shard.fingerprints


async def test_an_empty_shard_has_no_deadlines() -> None:
    """Nothing is left of what was there before."""
    shard = Shard(deadlines=[(1, b"gone")], stages=Counter({1: 1}), fingerprints={FINGERPRINT})
    await read_heads(shard)
    assert Shard() == shard
