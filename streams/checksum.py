"""CRC-32C, the checksum of Kafka's record batches, by the processor's own instructions for it.

aiokafka works it out in software, which was half of what it costs to read a batch (streams.source_records)
and two thirds of what it costs to write one. google-crc32c takes a ninth of that where it has its
extension, as its wheels do. Where it had to be installed without (it warns of that when it is imported),
it is plain Python and far slower than aiokafka's, which serves then.
"""

from typing import Final

from aiokafka.record.util import calc_crc32c
from google_crc32c import extend, implementation

_EXTENSION: Final[bool] = implementation == "c"


def checksum(*parts: bytes) -> int:
    """The checksum of these bytes, one after another; in parts, so that nobody has to join them for it."""
    if not _EXTENSION:
        return int(calc_crc32c(b"".join(parts)))
    found = 0
    for part in parts:
        found = extend(found, part)
    return found
