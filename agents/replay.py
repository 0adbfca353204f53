"""`winback replay`: what would have been said of a time, made anew, apart from the live application.

A worker in this process with the event clock, a beginning, and topics of its own to write to. The same
command may be given several times at once: its processes form a group and share the work, and each ends
when all partitions are done, whoever did them.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from agents.clients import has_live_workers, need_topics, quiet_client_logs
from agents.console import ExitCode, print_note, progress_bar
from agents.dead_letters import option_instant
from agents.replay_report import counted, show
from agents.topics import create_topics
from agents.worker import tune_process, work
from schemas.customer import LONG_AGO
from schemas.errors import ConfigurationError
from schemas.instants import instant
from schemas.topics import CHANGELOG, PURCHASES, READ
from streams.app import agreed_count
from streams.clock import monotonic, wall_ms
from streams.connection import admin, partition_counts
from streams.core.playbook import Playbook
from streams.logs import configure
from streams.playbook_file import load_playbook
from streams.processor import Processor
from streams.replay import ReplaySettings, refusal, run_of
from streams.run import Run
from streams.settings import Settings
from streams.tables import newest_position

_LOOK_SECONDS: Final = 0.25
_OTHERS_SECONDS: Final = 1.0
"""How often the partitions that other processes work on are looked at."""

Shown = Callable[[int, int, int], None]
"""Told the offsets passed, how many there are to pass, and the instant reached (ms, or LONG_AGO)."""


def run_replay(settings: Settings, since: str, until: str | None, *, named: bool, as_json: bool) -> int:
    """Replay what occurred from `since` on and before `until`, and show what was said.

    named: whether the application id was given as an option. INTERRUPTED where it was told to stop
    before it was done. Raises ConfigurationError where the application id is not free for it, or a time
    makes no sense, TopicsError, BrokerUnreachable, and what a worker fails of.
    """
    quiet_client_logs()
    if not named:
        raise ConfigurationError("name the replay: --application-id NEW, one that has no state yet")
    begin, end = span(since, until, wall_ms())
    playbook = load_playbook(settings.playbook, settings.model)
    # A bar stands where the worker's own log would be.
    configure(settings.log_level if "log_level" in settings.model_fields_set else "warning")
    tune_process()
    started = monotonic()
    wanted = asyncio.run(prepare(settings, begin, end, playbook))
    with progress_bar(disable=as_json) as bar:
        task = bar.add_task("replaying", total=None)

        def shown(passed: int, total: int, clock: int) -> None:
            reached = "" if clock == LONG_AGO else f", {instant(clock):%Y-%m-%d}"
            bar.update(task, completed=passed, total=total, description=f"replaying{reached}")

        ending = Ending(wanted, run_of(wanted, playbook), shown)
        asyncio.run(work(wanted, until=ending))
    if not ending.reached:
        print_note("interrupted: the same command goes on from here")
        return ExitCode.INTERRUPTED
    report = asyncio.run(counted(wanted))
    report.seconds = monotonic() - started
    show(report, as_json=as_json)
    return ExitCode.DONE


def span(since: str, until: str | None, now: int) -> tuple[int, int | None]:
    """Beginning and end (ms) that the options ask for; ConfigurationError where they make no sense."""
    begin, end = option_instant("--from", since), option_instant("--until", until)
    assert begin is not None
    if end is not None and end > now:
        raise ConfigurationError(
            f"--until {until} is still to come: nobody knows what will happen before then"
        )
    if begin >= (now if end is None else end):
        raise ConfigurationError(
            f"nothing lies between --from {since} and {f'--until {until}' if until else 'now'}"
        )
    return begin, end


async def prepare(settings: Settings, begin: int, end: int | None, playbook: Playbook) -> ReplaySettings:
    """The settings of a replay, its topics created; one that was begun is gone on with.

    begin, end: ms; without an end it ends when it began first. Raises ConfigurationError where the
    application id has live workers or another state, and TopicsError.
    """
    sources = [settings.topics.name(spec) for spec in READ]
    partitions = agreed_count(sources, await need_topics(settings, *sources))
    if await has_live_workers(settings):
        raise ConfigurationError(
            f"live workers of {settings.application_id} are running: give the replay another application id"
        )
    wanted = ReplaySettings(
        **{
            **settings.model_dump(exclude_unset=True),
            "clock": "event",
            "begin_instant": instant(begin),
            "end_instant": instant(wall_ms() if end is None else end),
            "open_end": end is None,
            "partitions": partitions,
            "http_port": 0,
        }
    )
    for recorded in await _recorded(wanted):
        if recorded is not None and recorded.open_end and wanted.open_end:
            wanted = wanted.model_copy(update={"end_instant": instant(recorded.end)})
        if wrong := refusal(recorded, run_of(wanted, playbook), wanted):
            raise ConfigurationError(wrong)
    if "replication_factor" not in settings.model_fields_set:
        wanted = wanted.model_copy(update={"replication_factor": await _copies(wanted)})
    await create_topics(wanted)
    return wanted


class Ending:
    """The end of a replay: all partitions are done, those of other processes too."""

    def __init__(self, settings: ReplaySettings, run: Run | None, shown: Shown) -> None:
        self.reached = False
        self._settings = settings
        self._run = run
        self._shown = shown
        self._first: dict[int, int] = {}
        """How many offsets each partition had to pass when it was first seen, and has now."""
        self._left: dict[int, int] = {}

    async def __call__(self, processor: Processor) -> None:
        """Until it is reached. ConfigurationError where others make another replay of it."""
        while not await self._all_done(processor):
            self._show(processor)
            await asyncio.sleep(_LOOK_SECONDS)
        self._show(processor)
        self.reached = True

    async def _all_done(self, processor: Processor) -> bool:
        """What is done stays done, so it need not be so for all at one instant."""
        if not processor.ready or not all(each.finished for each in processor.partitions.values()):
            return False
        others = set(range(self._settings.partitions)) - processor.partitions.keys()
        for number in sorted(others):
            if not await self._done_elsewhere(number):
                await asyncio.sleep(_OTHERS_SECONDS)
                return False
        return True

    async def _done_elsewhere(self, number: int) -> bool:
        settings = self._settings
        shard = await newest_position(settings, settings.topics.name(CHANGELOG), number)
        record = shard.partition_record
        if record is None or self._run is None:
            return False
        if wrong := refusal(shard.run, self._run, settings):
            raise ConfigurationError(wrong)
        return record.clock >= self._run.end

    def _show(self, processor: Processor) -> None:
        clocks = []
        for number, partition in processor.partitions.items():
            self._left[number] = partition.left
            self._first.setdefault(number, partition.left)
            clocks.append(partition.clock)
        total = sum(self._first.values())
        self._shown(total - sum(self._left.values()), total, min(clocks, default=LONG_AGO))


async def _recorded(settings: ReplaySettings) -> list[Run | None]:
    """Of each partition that has a state: which replay made it, None for none."""
    changelog = settings.topics.name(CHANGELOG)
    partitions = (await partition_counts(settings, [changelog])).get(changelog, 0)
    shards = [await newest_position(settings, changelog, number) for number in range(partitions)]
    return [shard.run for shard in shards if shard.partition_record is not None or shard.records]


async def _copies(settings: Settings) -> int:
    """The replication factor of the first source topic: its own topics get the same."""
    name = settings.topics.name(PURCHASES)
    async with admin(settings) as client:
        [topic] = await client.describe_topics([name])
    return min(len(partition["replicas"]) for partition in topic["partitions"])
