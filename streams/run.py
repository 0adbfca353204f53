"""Which replay a state was made by.

What a replay was asked for stands in a header of each of its partition records; the state format
knows nothing of it. So a run that was interrupted goes on only as it began, and no worker ever takes
its state, which knows nothing from before `begin`, for a live one.
"""

from typing import Final

import msgspec
from msgspec import Struct

RUN_HEADER: Final = "winback-replay"


class Run(Struct, frozen=True):
    """What a replay was asked for.

    begin, end: ms since the epoch, `end` excluded. open_end: nobody named the end, it is when the
    replay began. model, playbook: the fingerprints of what it decides by.
    """

    begin: int
    end: int
    open_end: bool
    model: int
    playbook: int


UNREADABLE: Final = Run(0, 0, open_end=False, model=0, playbook=0)
"""What a header says that is there and cannot be read: a replay, and never the one that is asked for."""

_encode = msgspec.json.Encoder(order="deterministic").encode
_decode = msgspec.json.Decoder(Run).decode


def pack_run(run: Run) -> bytes:
    """The header's value."""
    return _encode(run)


def unpack_run(value: bytes | None) -> Run | None:
    """What a header says; None where there is none."""
    if value is None:
        return None
    try:
        return _decode(value)
    except msgspec.DecodeError:
        return UNREADABLE
