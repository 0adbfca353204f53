"""Dead letters: what one is made of, which are meant, and reading them.

A run sees what stands committed in the topics when it begins. A letter that comes meanwhile, such
as one that a replay brings back at once, is left for the next run: nothing goes round in circles.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition

from agents.clients import need_topics
from agents.produce import Progress, no_progress
from schemas.codec import Headers
from schemas.errors import BrokerUnreachable, ConfigurationError
from schemas.instants import since_epoch
from schemas.reasons import REASONS
from schemas.topics import SOURCES, TopicSpec, dead_letters
from streams.clock import monotonic
from streams.intake import CUT
from streams.settings import Settings

OWN_HEADERS: Final = ("kafka_dlt-", "winback-")
"""How the headers begin that a dead letter has and its original had not."""
PATIENCE: Final = 30.0
"""Seconds in which nothing at all arrives before the broker counts as gone."""
_POLL_MS: Final = 500


class Original(NamedTuple):
    """The record that was refused. timestamp: its own, ms since the epoch; -1 where it had none."""

    topic: str
    partition: int
    offset: int
    timestamp: int


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One dead letter, its headers taken apart.

    source: whose dead letters it stands among. refused_at: ms since the epoch. reason: empty, and
    original: None, where somebody else has put it there. headers: the original's. cut: which of
    key, value and headers are not whole.
    """

    source: TopicSpec
    topic: str
    partition: int
    offset: int
    refused_at: int
    reason: str
    detail: str
    key: bytes | None
    value: bytes | None
    headers: Headers
    original: Original | None
    cut: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Selection:
    """Which dead letters are meant. since, until: when they were refused, ms; until is excluded."""

    sources: tuple[TopicSpec, ...] = SOURCES
    reasons: frozenset[str] = frozenset()
    since: int | None = None
    until: int | None = None
    customer: bytes | None = None

    def takes(self, letter: DeadLetter) -> bool:
        """Whether this one is meant."""
        return (
            (not self.reasons or letter.reason in self.reasons)
            and (self.since is None or letter.refused_at >= self.since)
            and (self.until is None or letter.refused_at < self.until)
            and (self.customer is None or letter.key == self.customer)
        )


class Stretch(NamedTuple):
    """What is read of one partition: offsets from `begin` up to but without `end`."""

    source: TopicSpec
    place: TopicPartition
    begin: int
    end: int


def read_selection(
    topics: Iterable[str] | None,
    reasons: Iterable[str] | None,
    since: str | None,
    until: str | None,
    customer: str | None,
) -> Selection:
    """The selection that the options ask for; ConfigurationError where one makes no sense."""
    begin, end = option_instant("--since", since), option_instant("--until", until)
    if begin is not None and end is not None and begin >= end:
        raise ConfigurationError(f"nothing lies between --since {since} and --until {until}")
    for reason in reasons or ():
        if reason not in REASONS:
            raise ConfigurationError(f"--reason {reason}: choose {', '.join(REASONS)}")
    wanted = {_source(name) for name in topics or ()}
    return Selection(
        tuple(source for source in SOURCES if not wanted or source in wanted),
        frozenset(reasons or ()),
        begin,
        end,
        None if customer is None else customer.encode(),
    )


def parsed(source: TopicSpec, record: Any) -> DeadLetter:
    """The dead letter that a consumed record is; whatever its headers hold, it is read."""
    own: dict[str, str] = {}
    theirs: list[tuple[str, bytes | None]] = []
    for name, content in record.headers:
        if name.startswith(OWN_HEADERS):
            own[name] = (content or b"").decode(errors="replace")
        else:
            theirs.append((name, content))
    reason = own.get("winback-reason", "")
    return DeadLetter(
        source=source,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        refused_at=record.timestamp,
        reason=reason,
        detail=own.get("kafka_dlt-exception-message", "").removeprefix(f"{reason}: "),
        key=record.key,
        value=record.value,
        headers=tuple(theirs),
        original=_original(own),
        cut=tuple(filter(None, own.get(CUT, "").split(","))),
    )


async def stretches(consumer: AIOKafkaConsumer, settings: Settings, selection: Selection) -> list[Stretch]:
    """What there is to read for a selection now; TopicsError where a topic is missing.

    Partitions that hold nothing of it are left out.
    """
    sources = {settings.topics.name(dead_letters(source)): source for source in selection.sources}
    counts = await need_topics(settings, *sources)
    places = [TopicPartition(topic, number) for topic in sources for number in range(counts[topic])]
    # Reading committed, the end is the last stable offset: no open transaction is waited for.
    consumer.assign(places)
    async with asyncio.timeout(PATIENCE):  # aiokafka would wait for a partition's leader for ever
        begins = await consumer.beginning_offsets(places)
        ends = await consumer.end_offsets(places)
        if selection.since is not None:
            # All before the first that is as new are older, whatever the order of those after it.
            found = await consumer.offsets_for_times(dict.fromkeys(places, selection.since))
            begins = {
                place: ends[place] if (at := found[place]) is None else max(begins[place], at.offset)
                for place in places
            }
    return [
        Stretch(sources[place.topic], place, begins[place], ends[place])
        for place in places
        if begins[place] < ends[place]
    ]


async def letters(
    consumer: AIOKafkaConsumer,
    among: Iterable[Stretch],
    selection: Selection,
    progress: Progress = no_progress,
) -> AsyncGenerator[DeadLetter, None]:
    """The selected dead letters, those of a partition in order; partitions as they arrive.

    progress: is told how many offsets have been passed since it was told last. Raises
    BrokerUnreachable where nothing arrives for PATIENCE seconds.
    """
    unread = {stretch.place: stretch for stretch in among}
    consumer.assign(list(unread))
    for stretch in unread.values():
        consumer.seek(stretch.place, stretch.begin)
    reached = {stretch.place: stretch.begin for stretch in unread.values()}
    moved_at = monotonic()
    while unread:
        for place, records in (await consumer.getmany(timeout_ms=_POLL_MS)).items():
            if (among_these := unread.get(place)) is None:
                continue
            for record in records:
                if record.offset >= among_these.end:
                    break
                letter = parsed(among_these.source, record)
                if selection.takes(letter):
                    yield letter
        # The position counts, not the last record: markers and aborted records take up offsets too.
        for place, stretch in list(unread.items()):
            position = min(await consumer.position(place), stretch.end)
            if position > reached[place]:
                progress(position - reached[place])
                reached[place] = position
                moved_at = monotonic()
            if position == stretch.end:
                del unread[place]
                consumer.pause(place)
        if monotonic() - moved_at > PATIENCE:
            raise BrokerUnreachable(f"nothing has arrived for {PATIENCE:.0f} s: is the broker still there?")


def _source(name: str) -> TopicSpec:
    """The source topic that is named, by itself or by its dead letters."""
    for source in SOURCES:
        if name in {source.name, dead_letters(source).name}:
            return source
    raise ConfigurationError(f"--topic {name}: choose {', '.join(source.name for source in SOURCES)}")


def option_instant(option: str, text: str | None) -> int | None:
    """Milliseconds since the epoch of RFC 3339, or of a date: the start of that UTC day."""
    if text is None:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        instant = None
    if instant is not None and instant.tzinfo is None and len(text) == len("2026-01-31"):
        instant = instant.replace(tzinfo=UTC)
    if instant is None or instant.tzinfo is None or (at := since_epoch(instant)) < 0:
        raise ConfigurationError(
            f"{option} {text}: write a date (2026-01-31) or an instant with a zone (2026-01-31T12:00Z)"
        )
    return at


def _original(own: dict[str, str]) -> Original | None:
    """Whence it came, as the headers say; None where they don't, or not in numbers."""
    try:
        return Original(
            own["kafka_dlt-original-topic"],
            int(own["kafka_dlt-original-partition"]),
            int(own["kafka_dlt-original-offset"]),
            int(own["kafka_dlt-original-timestamp"]),
        )
    except (KeyError, ValueError):
        return None
