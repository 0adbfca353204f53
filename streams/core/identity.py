"""Deterministic ids: the same decision has the same id, whoever makes it and however often.

A trigger's id is a ULID (26 characters of Crockford's base 32): 48 bits of time, then 80 bits of a
hash. The model's version is not in it: a refit that moves a due instant by a day must not send
twice.
"""

from functools import lru_cache
from hashlib import blake2b
from typing import Final

from schemas.customer import Firing

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS: Final = tuple(high + low for high in _ALPHABET for low in _ALPHABET)


def trigger_id(customer_id: str, firing: Firing, kind: str) -> str:
    """The id of the trigger of this kind about this firing."""
    name = (
        f"{customer_id}\0{firing.rule}\0{firing.version}\0{firing.episode_at}\0{firing.episode_key}"
        f"\0{firing.step}\0{kind}"
    )
    if firing.revision:
        # It had been taken back and came true again: the same id would be dropped as a repeat.
        name += f"\0{firing.revision}"
    return ulid(firing.episode_at, blake2b(name.encode(), digest_size=10).digest())


def ulid(instant_ms: int, randomness: bytes) -> str:
    """The ULID of an instant (ms since the epoch, from 1970 on) and 10 bytes."""
    high, low = int.from_bytes(randomness[:5]), int.from_bytes(randomness[5:])
    return f"{_time_part(instant_ms)}{_eight(high)}{_eight(low)}"


@lru_cache(maxsize=4096)
def _time_part(instant_ms: int) -> str:
    return "".join([_PAIRS[(instant_ms >> shift) & 1023] for shift in (40, 30, 20, 10, 0)])


def _eight(bits: int) -> str:
    """40 bits as 8 characters."""
    pairs = _PAIRS
    return f"{pairs[bits >> 30]}{pairs[bits >> 20 & 1023]}{pairs[bits >> 10 & 1023]}{pairs[bits & 1023]}"


def in_holdout(customer_id: str, share: float) -> bool:
    """Whether this customer belongs to the holdout of `share` (0 to 1): a hash, never a draw."""
    if share <= 0.0:
        return False
    digest = blake2b(customer_id.encode(), digest_size=8, person=b"winback-holdout").digest()
    return int.from_bytes(digest) < share * 2**64
