"""Do producers put customers where Kafka's own partitioner would? Whoever does not splits them.

Java's and aiokafka's producers hash keys by murmur2, librdkafka's by CRC32 unless told otherwise.
With both at work one customer stands on two partitions, each with half of the truth.
"""

from aiokafka.partitioner import murmur2

from schemas.errors import TopicsError

SAMPLE = 1000
FEWEST = 50
SHARE = 0.1


def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a key as Kafka's default partitioner has it."""
    return int((murmur2(key) & 0x7FFFFFFF) % partitions)


class Placement:
    """Checks the first customers that a partition sees."""

    __slots__ = ("_astray", "_partition", "_partitions", "_seen")

    def __init__(self, partition: int, partitions: int) -> None:
        self._partition = partition
        self._partitions = partitions
        self._seen = 0
        self._astray = 0

    def check(self, key: bytes) -> None:
        """Note a customer seen for the first time.

        Raises TopicsError where too many of the first SAMPLE belong elsewhere.
        """
        if self._seen >= SAMPLE:
            return
        self._seen += 1
        self._astray += partition_of(key, self._partitions) != self._partition
        if self._astray >= FEWEST and self._astray > SHARE * self._seen:
            raise TopicsError(
                f"{self._astray} of the first {self._seen} customers of partition {self._partition} belong "
                "on another: a producer hashes keys in its own way; set partitioner=murmur2_random there"
            )
