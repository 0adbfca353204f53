"""A CloudEvent in structured mode, as far as it is read."""

from msgspec import Raw, Struct


class Envelope(Struct):
    """The attributes that matter, and the event: as JSON in `data`, or in base 64."""

    specversion: str
    type: str
    id: str | None = None
    time: str | None = None
    data: Raw = Raw()
    data_base64: str = ""
