"""Kafka's default partitioner, and those who hash otherwise."""

from binascii import crc32
from collections.abc import Iterable

import pytest

from schemas.errors import TopicsError
from streams.partitioner import FEWEST, SAMPLE, Placement, partition_of

CUSTOMERS = [b"customer-%d" % number for number in range(20_000)]


def by_crc32(key: bytes, partitions: int) -> int:
    """librdkafka's default, `consistent_random`."""
    return crc32(key) % partitions


def check_all(placement: Placement, keys: Iterable[bytes]) -> None:
    """These customers are seen for the first time."""
    for key in keys:
        placement.check(key)


@pytest.mark.parametrize(
    ("key", "hashed"),
    # org.apache.kafka.common.utils.UtilsTest.testMurmur2
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_keys_are_hashed_as_kafka_does(key: bytes, hashed: int) -> None:
    """The partition is murmur2 without its sign, modulo the partitions: Kafka's own test vectors."""
    assert (hashed & 0x7FFFFFFF) % 1000 == partition_of(key, 1000)


def test_customers_in_their_places_are_no_reason_to_stop() -> None:
    """However many customers Java's partitioner put here, nothing is found."""
    check_all(Placement(2, 4), [key for key in CUSTOMERS if partition_of(key, 4) == 2])


@pytest.mark.parametrize("partitions", [2, 4, 50])
def test_a_producer_that_hashes_by_crc32_is_found_out(partitions: int) -> None:
    """One librdkafka producer with its default partitioner stops the worker, and is told the remedy."""
    placement = Placement(1, partitions)
    with pytest.raises(TopicsError, match="partitioner=murmur2_random"):
        check_all(placement, [key for key in CUSTOMERS if by_crc32(key, partitions) == 1])


def test_one_such_producer_among_others_is_found_out() -> None:
    """A fifth of the customers come from librdkafka, and that is enough."""
    arrived = [
        key
        for number, key in enumerate(CUSTOMERS)
        if (by_crc32 if number % 5 == 0 else partition_of)(key, 4) == 1
    ]
    with pytest.raises(TopicsError, match="customers of partition 1 belong on another"):
        check_all(Placement(1, 4), arrived)


def test_a_few_strays_are_forgiven() -> None:
    """Below FEWEST, or below one in ten, nobody is stopped: somebody tried something by hand."""
    strays = [key for key in CUSTOMERS if partition_of(key, 4) != 0]
    at_home = [key for key in CUSTOMERS if partition_of(key, 4) == 0]
    check_all(Placement(0, 4), strays[: FEWEST - 1])
    mixed = [strays[number] if number % 11 == 5 else at_home[number] for number in range(SAMPLE)]
    check_all(Placement(0, 4), mixed)


def test_only_the_first_customers_are_looked_at() -> None:
    """After the sample no more is asked: the check costs nothing from then on."""
    placement = Placement(0, 4)
    check_all(placement, [key for key in CUSTOMERS if partition_of(key, 4) == 0][:SAMPLE])
    check_all(placement, CUSTOMERS)


def test_a_single_partition_holds_everybody() -> None:
    """With one partition every hash is right."""
    check_all(Placement(0, 1), CUSTOMERS)
