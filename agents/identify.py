"""Ids for rows that came without one: the same file gives the same ids, however often it is loaded.

An id is a hash of the topic, the row's content and its ordinal among identical rows of its file.
So the second load of a file changes nothing, while two identical rows in one file both count. The
rows must be sorted by instant: identical rows then stand at one instant, and the counts of no more
than one instant are kept.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from hashlib import blake2b

from agents.rows import COMPLETE, NO_ID, NO_ORDER, Row


def identified(rows: Iterable[Row], topic: str) -> Iterator[tuple[bytes, bytes]]:
    """Key and value of each row, in order, with the ids filled in.

    A missing order id is derived alike, so each such row is an order of its own.
    """
    seen: Counter[tuple[int, bytes]] = Counter()
    instant: int | None = None
    seed = blake2b(topic.encode() + b"\0", digest_size=12)
    for at, key, value, file, missing in rows:
        if missing == COMPLETE:
            yield key, value
            continue
        if at != instant:
            seen.clear()
            instant = at
        content = seed.copy()
        content.update(value)
        digest = content.digest()
        ordinal = seen[file, digest]
        seen[file, digest] += 1
        content.update(b"\0%d" % ordinal)
        name = b'"load-%s"' % content.hexdigest().encode()
        head = b'{"id":%s,' % name if missing & NO_ID else b"{"
        if missing & NO_ORDER:
            head += b'"order_id":%s,' % name
        yield key, head + value[1:]
