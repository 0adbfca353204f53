"""Which topics a state was made from, so that it is never carried on with others of the same name.

A topic that is deleted and made anew keeps its name and gets another id. Offsets mean nothing in it,
though it may well hold them all. So each partition record carries, in a header of its Kafka record,
the ids of the topics and how many partitions they had; the state format knows nothing of it.
"""

from typing import Final

import msgspec
from msgspec import Struct

from schemas.errors import Gap, TopicsError

SOURCES_HEADER: Final = "winback-sources"


class Lineage(Struct, frozen=True):
    """topics: the id of each source topic and of the changelog by name, "" where the broker gives none.

    erasures: that of `erasures`. Another one there is no contradiction: it is read from its beginning.
    """

    partitions: int
    topics: dict[str, str]
    erasures: str = ""


_encode = msgspec.json.Encoder(order="deterministic").encode
_decode = msgspec.json.Decoder(Lineage).decode


def pack_lineage(lineage: Lineage) -> bytes:
    """The header's value."""
    return _encode(lineage)


def unpack_lineage(value: bytes | None) -> Lineage | None:
    """What a header says; None where there is none, or none that can be read."""
    try:
        return None if value is None else _decode(value)
    except msgspec.DecodeError:
        return None


def contradiction(recorded: Lineage, found: Lineage) -> TopicsError | Gap | None:
    """What to raise where a state of `recorded` must not be carried on with what was `found`, else None."""
    if recorded.partitions != found.partitions:
        return TopicsError(
            f"the topics have {found.partitions} partitions now, not {recorded.partitions}: customers would "
            "change their partition, away from their state. See docs/operations.md"
        )
    if other := sorted(found.topics.keys() - recorded.topics.keys()):
        return TopicsError(
            f"this application's state was made from {', '.join(sorted(recorded.topics))}, not from "
            f"{', '.join(other)}: choose another WINBACK_APPLICATION_ID for them"
        )
    for name, identity in sorted(found.topics.items()):
        if identity and recorded.topics[name] and identity != recorded.topics[name]:
            return Gap(
                f"{name} was deleted and made anew: its offsets mean something else now, and the state "
                "belongs to the old one. See docs/operations.md"
            )
    return None
