"""What a record of `erasures` asks for, and what is wrong with those that ask for nothing."""

import pytest

from schemas.codec import encode_event
from schemas.erasures import Erasure
from schemas.errors import Rejected
from schemas.instants import instant
from streams.checked import Asked
from streams.erasures import asked_by
from streams.intake import CLOCK_TOLERANCE_MS

NOW = 1_800_000_000_000


def up_to(at: int) -> bytes:
    """The value that asks for everything up to `at`."""
    return encode_event(Erasure(instant(at)))


@pytest.mark.parametrize(
    ("at", "counts_as"),
    [
        (0, 0),
        (NOW, NOW),
        (NOW + CLOCK_TOLERANCE_MS, NOW + CLOCK_TOLERANCE_MS),
        (NOW + CLOCK_TOLERANCE_MS + 1, NOW),
    ],
)
def test_it_asks_for_all_up_to_its_instant(at: int, counts_as: int) -> None:
    """An instant ahead of the record's own timestamp counts as that, but for the clocks' tolerance."""
    assert Asked(7, "ünö".encode(), counts_as) == asked_by("ünö".encode(), up_to(at), 7, NOW)


def test_a_tombstone_asks_for_nothing() -> None:
    """Whoever tidies the topic up takes nothing back, and forgets nobody."""
    assert asked_by(b"c", None, 7, NOW) is None


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        (None, up_to(5), "no_key"),
        (b"", up_to(5), "no_key"),
        (b"\x00winback.partition", up_to(5), "no_key"),
        (b"\xff", up_to(5), "not_utf8"),
        (b"c", b"", "not_json"),
        (b"c", b"{", "not_json"),
        (b"c", b"{}", "missing_field"),
        (b"c", b'{"at": 5}', "wrong_type"),
        (b"c", b'{"at": "2026-01-31T12:00:00"}', "bad_value"),
        (b"c", b'{"at": "1969-12-31T23:59:59Z"}', "before_1970"),
    ],
)
def test_what_makes_no_sense_is_told(key: bytes | None, value: bytes, reason: str) -> None:
    """By a reason, without a word out of the record."""
    with pytest.raises(Rejected) as told:
        asked_by(key, value, 7, NOW)
    assert reason == told.value.reason
