"""`winback replay`: a bounded replay apart from the live application.

It is about what occurred from `begin` on and before `end`: instants of events, not of the records that
bring them. All it writes goes to topics of its own, since its triggers have the ids of the live ones,
and its customer-health would replace theirs.
"""

from collections.abc import Mapping
from datetime import datetime

from aiokafka import AIOKafkaConsumer
from faust.types import TP

from schemas.instants import instant, since_epoch
from schemas.topics import CHANGELOG, Topics
from streams.core.playbook import Playbook
from streams.intake import CLOCK_TOLERANCE_MS
from streams.run import Run
from streams.settings import Settings


class ReplaySettings(Settings):
    """The settings of a replay: the event clock's, with a beginning, and topics of its own to write to."""

    begin_instant: datetime
    open_end: bool = False

    @property
    def topics(self) -> Topics:
        """What the topics are called: its own, but for those it reads."""
        return Topics(self.application_id, self.topic_prefix, apart=True)


def run_of(settings: Settings, playbook: Playbook) -> Run | None:
    """The replay that these settings ask for, or None."""
    if not isinstance(settings, ReplaySettings) or settings.end_instant is None:
        return None
    return Run(
        since_epoch(settings.begin_instant),
        since_epoch(settings.end_instant),
        settings.open_end,
        playbook.fingerprint_model,
        playbook.fingerprint_playbook,
    )


def refusal(recorded: Run | None, wanted: Run | None, settings: Settings) -> str | None:
    """Why a state of `recorded` must not be carried on as `wanted`, for people; None where it may be."""
    if recorded == wanted:
        return None
    changelog = settings.topics.name(CHANGELOG)
    if recorded is None:
        return f"{settings.application_id} has a state already, in {changelog}: choose another application id"
    if wanted is None:
        return (
            f"the state in {changelog} is that of a replay, which knows nothing from before it began: "
            "choose another WINBACK_APPLICATION_ID"
        )
    return (
        f"{settings.application_id} holds the replay {_described(recorded)}, in {changelog}: "
        f"{_difference(recorded, wanted)}. Go on as it was begun, or choose another application id"
    )


async def first_dated(
    consumer: AIOKafkaConsumer, begin: int, first: Mapping[TP, int], ends: Mapping[TP, int]
) -> dict[TP, int]:
    """For each partition an offset before which nothing is dated at or after `begin` (ms).

    first, ends: where the partitions begin and end. An event is dated at most CLOCK_TOLERANCE_MS after
    the record that brings it, or refused; and the broker finds the first record that is as new as that.
    """
    written = max(0, begin - CLOCK_TOLERANCE_MS)
    found = await consumer.offsets_for_times(dict.fromkeys(first, written))
    return {
        tp: ends[tp] if (at := found[tp]) is None else min(max(first[tp], at.offset), ends[tp])
        for tp in first
    }


def _described(run: Run) -> str:
    until = "" if run.open_end else f" --until {_written(run.end)}"
    return f"--from {_written(run.begin)}{until}"


def _difference(recorded: Run, wanted: Run) -> str:
    if (recorded.begin, recorded.end, recorded.open_end) != (wanted.begin, wanted.end, wanted.open_end):
        return f"not {_described(wanted)}"
    return f"made with another {'playbook' if recorded.playbook != wanted.playbook else 'model'}"


def _written(at: int) -> str:
    precision = "milliseconds" if at % 60_000 else "minutes"
    return instant(at).isoformat(timespec=precision).replace("+00:00", "Z")
