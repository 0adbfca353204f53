"""The records of the sources, out of the bytes that a fetch brought.

aiokafka makes an object of its own of each record first, and hands it on through a generator and
several calls. Here the bytes of a batch are walked once, and nothing but a SourceRecord is made of a
record. Compiled (streams.compiled), reading then costs half as much or less; a ninth of that is the
checksum.

Whatever is not as it should be is aiokafka's to judge: a batch that is not read here to its end is
read by aiokafka's reader, which either can or says what is wrong with it.
"""

from collections.abc import Iterable
from typing import Any, Final

from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.structs import TopicPartition
from mypy_extensions import i64

from schemas.codec import Headers
from schemas.layout import read_number
from streams.checked import SourceRecord
from streams.record_batches import Batch, Transactions, batches, headers, nullable_bytes

_NO_HEADERS: Final[Headers] = ()


class SourceRecords:
    """What one fetch brought of one partition, committed, from `position` on.

    message_set: one that `all_batches` is true of. aborted: see Transactions. next_fetch_offset: where
    the log goes on after what has been taken; the name is aiokafka's, which looks at it.
    """

    def __init__(
        self, tp: TopicPartition, message_set: bytes, aborted: Iterable[tuple[int, int]], position: int
    ) -> None:
        self.next_fetch_offset = position
        self.ended = False
        self._tp: Final = tp
        self._batches: Final = batches(message_set)
        self._transactions: Final = Transactions(aborted)
        self._opened: list[SourceRecord] = []
        self._place = 0
        self._after_opened = position

    def take(self, limit: int) -> list[SourceRecord]:
        """The next records, at most `limit`; fewer only at the end, which `ended` then tells.

        Where a batch is damaged it raises what aiokafka would, and is of no further use.
        """
        taken: list[SourceRecord] = []
        while len(taken) < limit:
            if self._place == len(self._opened) and not self._open():
                self.ended = True
                break
            stretch = self._opened[self._place : self._place + limit - len(taken)]
            self._place += len(stretch)
            taken += stretch
        if self._place < len(self._opened):
            self.next_fetch_offset = taken[-1].offset + 1
        else:
            self.next_fetch_offset = self._after_opened
        return taken

    def _open(self) -> bool:
        """Read the next batch, if there is one; a marker or an aborted one is empty."""
        batch = next(self._batches, None)
        if batch is None:
            return False
        if not batch.is_sound:
            raise CorruptRecordException(f"Invalid CRC - {self._tp}")
        self._opened = [] if self._transactions.hides(batch) else self._read(batch)
        self._place = 0
        self._after_opened = batch.next_offset
        return True

    def _read(self, batch: Batch) -> list[SourceRecord]:
        position = self._after_opened
        if not batch.codec_missing:
            try:
                return _records(self._tp, batch, position)
            except (ValueError, IndexError):
                pass
        found: list[SourceRecord] = []
        for record in DefaultRecordBatch(batch.data):
            if record.offset >= position:
                position = record.offset + 1
                found.append(source_record(self._tp, record))
        return found


def source_record(tp: TopicPartition, record: Any) -> SourceRecord:
    """Ours of one that aiokafka has read."""
    found = record.headers or ()  # one empty tuple for all, not a list each
    return SourceRecord(
        tp.topic, tp.partition, record.offset, record.timestamp, record.key, record.value, found
    )


def _records(tp: TopicPartition, batch: Batch, position: int) -> list[SourceRecord]:
    """Those of a batch from `position` on; ValueError or IndexError where it cannot be read to its end."""
    topic: str = tp.topic
    partition: int = tp.partition
    first_offset, first_timestamp, appended_at = batch.offset, batch.first_timestamp, batch.appended_at
    body, start = batch.unpacked()
    at: i64 = start
    size: i64 = len(body)
    found: list[SourceRecord] = []
    for _ in range(batch.count):
        length, at = read_number(body, at)
        end = at + length
        if end > size or body[at]:  # a record has no attributes yet
            raise ValueError
        timestamp_delta, at = read_number(body, at + 1)
        offset_delta, at = read_number(body, at)
        key, at = nullable_bytes(body, at, end)
        value, at = nullable_bytes(body, at, end)
        its_headers: Headers = _NO_HEADERS
        if at + 1 != end or body[at]:
            its_headers = headers(body, at, end)
        at = end
        offset = first_offset + int(offset_delta)
        if offset >= position:
            position = offset + 1
            timestamp = first_timestamp + int(timestamp_delta) if appended_at is None else appended_at
            found.append(SourceRecord(topic, partition, offset, timestamp, key, value, its_headers))
    if at != size:
        raise ValueError
    return found
