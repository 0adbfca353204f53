"""What a batch is to write: records, topic by topic."""

from typing import Final

from mypy_extensions import mypyc_attr

from schemas.codec import Headers


# Bytes and text: no cycle that the garbage collector would have to look for.
@mypyc_attr(acyclic=True)
class Record:
    """One record to write. value None: a tombstone."""

    __slots__ = ("headers", "key", "value")

    def __init__(self, key: bytes | None, value: bytes | None, headers: Headers = ()) -> None:
        self.key: Final = key
        self.value: Final = value
        self.headers: Final = headers


class Changes:
    """What a batch did, by topic, each in the order in which it happened."""

    __slots__ = ("topics",)

    def __init__(self) -> None:
        self.topics: Final[dict[str, list[Record]]] = {}

    def add(self, topic: str, record: Record) -> None:
        """Append a record."""
        self.topics.setdefault(topic, []).append(record)
