"""What was applied to a customer, read back by a reader of its own out of schemas/entries.py's layout."""

from struct import iter_unpack

from schemas.customer import Recent


def events_of(recent: Recent) -> list[tuple[int, int]]:
    """Instant and hash of each event in a record of logins or tickets."""
    return [(high << 32 | low, event) for high, low, event in iter_unpack(">HIq", recent.entries)]


def late_events_of(recent: Recent) -> list[int]:
    """The hashes of those that were accepted late."""
    return [event for (event,) in iter_unpack(">q", recent.late)]


def orders_of(recent: Recent) -> list[tuple[int, int, int]]:
    """Instant, hash of the event and hash of the order for each entry in a record of purchases."""
    found = iter_unpack(">HIqq", recent.entries)
    return [(high << 32 | low, event, order) for high, low, event, order in found]


def late_orders_of(recent: Recent) -> list[tuple[int, int]]:
    """Hash of the event and hash of the order, of those that were accepted late."""
    return list(iter_unpack(">qq", recent.late))
