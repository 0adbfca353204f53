"""How numbers and bytes stand in a customer's state record: what is written most often is shortest.

A number is written in groups of seven bits, the lowest first, with 128 added to each but the last; its
sign is the lowest bit of all (zigzag, as in Kafka's records). So a count takes one byte, money two to
four and an instant six. A float takes eight bytes, big-endian; bytes and text their length before them.

The reader never goes beyond what it was given, and what was written is read back to the last bit; what
was never written raises ValueError or IndexError, which schemas/record.py turns into a StateError.
"""

from typing import Final

from librt.strings import BytesWriter, read_f64_be, write_f64_be
from mypy_extensions import i64, mypyc_attr

from schemas.customer import NEVER

_NEVER_CODE: Final[i64] = -2
"""Stands for an instant that will not come; no instant is below -1, BEFORE_ALL."""


def write_number(out: BytesWriter, number: i64) -> None:
    """A whole number between -2**62 and 2**62, both excluded."""
    left = number << 1 if number >= 0 else (-number << 1) - 1
    while left >= 128:
        out.append(int(left & 127 | 128))
        left >>= 7
    out.append(int(left))


def write_instant(out: BytesWriter, at: i64) -> None:
    """An instant (ms), or BEFORE_ALL, or NEVER."""
    write_number(out, _NEVER_CODE if at == NEVER else at)


def write_float(out: BytesWriter, number: float) -> None:
    """A float."""
    write_f64_be(out, number)


def write_bytes(out: BytesWriter, content: bytes) -> None:
    """Bytes, with their length."""
    write_number(out, len(content))
    out.write(content)


def read_number(value: bytes, at: i64) -> tuple[i64, i64]:
    """The number that begins at `at`, and where it ends.

    Raises ValueError where the bytes end before it, or where it takes more than 63 bits: that is less
    than Kafka's own records allow, more than any clock or size needs, and what a native integer holds
    before the sign is told apart.
    """
    number: i64 = 0
    shift: i64 = 0
    while True:
        if at >= len(value) or shift > 56:
            raise ValueError
        byte: i64 = value[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (number >> 1) ^ -(number & 1), at
        shift += 7


@mypyc_attr(acyclic=True, free_list_len=1)
class Reader:
    """Reads what was written, in the same order, from `at` on."""

    __slots__ = ("_at", "_value")

    def __init__(self, value: bytes, at: i64) -> None:
        self._value: Final = value
        self._at: i64 = at

    def read_number(self) -> i64:
        """See write_number."""
        number, self._at = read_number(self._value, self._at)
        return number

    def read_count(self) -> i64:
        """How many of something follow, of which each takes a byte at least."""
        count = self.read_number()
        if not 0 <= count <= len(self._value) - self._at:
            raise ValueError("more than there is")
        return count

    def read_instant(self) -> i64:
        """See write_instant."""
        at = self.read_number()
        return NEVER if at == _NEVER_CODE else at

    def read_float(self) -> float:
        """See write_float."""
        at = self._at
        self._at = at + 8
        return read_f64_be(self._value, at)

    def read_bytes(self) -> bytes:
        """See write_bytes."""
        size = self.read_count()
        at = self._at
        self._at = at + size
        return self._value[at : at + size]

    @property
    def at_end(self) -> bool:
        """Whether all has been read."""
        return self._at == len(self._value)
