"""CRC-32C: the same number whoever works it out."""

import subprocess
import sys

from aiokafka.record.util import calc_crc32c
from hypothesis import given
from hypothesis import strategies as st

from streams.checksum import checksum

CHECK = (b"123456789", 0xE306_9283)
"""The value by which catalogues of checksums tell this one from others."""


def test_it_is_the_checksum_that_kafka_means() -> None:
    """By the text on which checksums are compared."""
    text, expected = CHECK
    assert expected == checksum(text)


@given(st.lists(st.binary(max_size=200), max_size=4))
def test_parts_count_as_one(parts: list[bytes]) -> None:
    """However the bytes are cut, and with nothing at all: as aiokafka has it."""
    whole = b"".join(parts)
    assert calc_crc32c(whole) == checksum(*parts) == checksum(whole)


def test_without_the_extension_aiokafka_works_it_out() -> None:
    """Never the plain Python of google-crc32c, which is far slower than either."""
    text, expected = CHECK
    program = f"""
import sys, warnings
sys.modules["google_crc32c._crc32c"] = None  # it cannot be imported
warnings.simplefilter("ignore")
import google_crc32c
assert google_crc32c.implementation == "python"
google_crc32c.extend = None  # so it cannot be called
from streams.checksum import checksum
print(checksum({text[:4]!r}, {text[4:]!r}))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert f"{expected}\n" == done.stdout
