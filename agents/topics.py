"""`winback topics create | check`: the topics a worker needs, and whether they are fit for it."""

import asyncio
from collections import Counter
from dataclasses import dataclass, replace
from typing import Final, Literal

import msgspec
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import for_code

from agents.clients import quiet_client_logs
from agents.console import ExitCode, output, print_error, print_line
from schemas.errors import ConfigurationError, Fatal
from schemas.instants import DAY_MS
from schemas.topics import TopicSpec
from streams.connection import admin, partition_counts
from streams.settings import Settings

CLEANUP_POLICY: Final = "cleanup.policy"
RETENTION: Final = "retention.ms"
_EXISTS: Final = 36
"""Kafka's error code TOPIC_ALREADY_EXISTS."""

Verdict = Literal[
    "ok", "created", "missing", "wrong partition count", "wrong cleanup policy", "short retention"
]


@dataclass(frozen=True, slots=True)
class Finding:
    """One topic as it was found. remedy: what to do where the verdict is neither ok nor created."""

    topic: str
    partitions: int
    cleanup_policy: str
    retention_ms: int | None
    verdict: Verdict
    remedy: str = ""

    @property
    def good(self) -> bool:
        """Whether a worker can work with it."""
        return self.verdict in {"ok", "created"}


def topic_configuration(spec: TopicSpec) -> dict[str, str]:
    """The topic-level settings Winback asks the broker for."""
    if not spec.compacted:
        retention = -1 if spec.retention_ms is None else spec.retention_ms
        return {CLEANUP_POLICY: "delete", RETENTION: str(retention)}
    configuration = {CLEANUP_POLICY: "compact"}
    if spec.replayed:
        # Recovery reads the changelog from end to end. The broker never compacts the segment it
        # writes to, so segments are small and rolled daily, and cleaned when a third is outdated.
        configuration |= {
            "segment.bytes": str(64 * 1024 * 1024),
            "segment.ms": str(DAY_MS),
            "min.cleanable.dirty.ratio": "0.3",
        }
    return configuration


def judge(spec: TopicSpec, partitions: int, configuration: dict[str, str], wanted: int) -> Finding:
    """What a topic with so many partitions (0: it is missing) and this configuration is worth.

    wanted: the partition count that all topics share.
    """
    policy = configuration.get(CLEANUP_POLICY, "")
    kept = configuration.get(RETENTION)
    retention = None if kept is None or int(kept) < 0 else int(kept)
    verdict: Verdict = "ok"
    remedy = ""
    right = "compact" if spec.compacted else "delete"
    if partitions == 0:
        verdict, remedy = "missing", "run `winback topics create`"
    elif partitions != wanted:
        verdict = "wrong partition count"
        remedy = (
            f"one customer must stand on one partition number in every topic: give it {wanted} partitions"
            if partitions < wanted
            else f"delete it, or create the other topics anew with {partitions} partitions"
        )
    elif set(policy.split(",")) != {right}:
        verdict, remedy = "wrong cleanup policy", f"set {CLEANUP_POLICY}={right}"
    elif (
        not spec.compacted
        and retention is not None
        and (spec.retention_ms is None or retention < spec.retention_ms)
    ):
        verdict = "short retention"
        remedy = f"set {RETENTION}={-1 if spec.retention_ms is None else spec.retention_ms}"
    return Finding(spec.name, partitions, policy, None if spec.compacted else retention, verdict, remedy)


async def check_topics(settings: Settings) -> list[Finding]:
    """Every topic the application needs, as the broker has it; changes nothing."""
    specs = list(settings.topics.all())
    counts = await partition_counts(settings, [spec.name for spec in specs])
    wanted = _common_count(counts, settings)
    async with admin(settings) as client:
        configurations = await _configurations(client, list(counts))
    return [
        judge(spec, counts.get(spec.name, 0), configurations.get(spec.name, {}), wanted) for spec in specs
    ]


async def create_topics(settings: Settings) -> list[Finding]:
    """Create the topics that are missing, leave the others as they are, and check them all.

    The partition count is the one most of the existing topics have, else `settings.partitions`.
    """
    specs = list(settings.topics.all())
    counts = await partition_counts(settings, [spec.name for spec in specs])
    missing = [spec for spec in specs if spec.name not in counts]
    if missing:
        async with admin(settings) as client:
            await _create(client, missing, _common_count(counts, settings), settings)
        await _until_known(settings, missing)
    new = {spec.name for spec in missing}
    return [
        replace(finding, verdict="created") if finding.good and finding.topic in new else finding
        for finding in await check_topics(settings)
    ]


def run_create(settings: Settings, *, as_json: bool) -> int:
    """Create what is missing and show all; 1 where a topic that was there before is unfit."""
    quiet_client_logs()
    return _show(asyncio.run(create_topics(settings)), as_json=as_json)


def run_check(settings: Settings, *, as_json: bool) -> int:
    """Show every topic and its verdict; 1 where one is unfit."""
    quiet_client_logs()
    return _show(asyncio.run(check_topics(settings)), as_json=as_json)


def _common_count(counts: dict[str, int], settings: Settings) -> int:
    """The partition count that most of the existing topics have."""
    return Counter(counts.values()).most_common(1)[0][0] if counts else settings.partitions


async def _configurations(client: AIOKafkaAdminClient, names: list[str]) -> dict[str, dict[str, str]]:
    if not names:
        return {}
    wanted = {CLEANUP_POLICY: "", RETENTION: ""}
    resources = [ConfigResource(ConfigResourceType.TOPIC, name, configs=wanted) for name in names]
    found: dict[str, dict[str, str]] = {}
    for response in await client.describe_configs(resources):
        for code, message, _kind, name, entries in response.resources:
            if code:
                raise Fatal(f"the configuration of topic {name} cannot be read: {message or for_code(code)}")
            found[name] = {entry[0]: entry[1] for entry in entries}
    return found


async def _create(
    client: AIOKafkaAdminClient, specs: list[TopicSpec], count: int, settings: Settings
) -> None:
    response = await client.create_topics(
        [
            NewTopic(
                name=spec.name,
                num_partitions=count,
                replication_factor=settings.replication_factor,
                topic_configs=topic_configuration(spec),
            )
            for spec in specs
        ]
    )
    for name, code, message in response.topic_errors:
        # Somebody else may have created it since we looked; the check that follows judges it.
        if code not in {0, _EXISTS}:
            reason = message or for_code(code).description
            raise ConfigurationError(f"topic {name} cannot be created: {reason}")


async def _until_known(settings: Settings, specs: list[TopicSpec]) -> None:
    """Wait until the broker shows the new topics; Fatal after ten seconds."""
    names = [spec.name for spec in specs]
    for _ in range(100):
        if len(await partition_counts(settings, names)) == len(names):
            return
        await asyncio.sleep(0.1)
    raise Fatal("the broker accepted the new topics but does not show them: try `winback topics check`")


def _show(findings: list[Finding], *, as_json: bool) -> int:
    wrong = [finding for finding in findings if not finding.good]
    if as_json:
        print_line(msgspec.json.encode(findings))
    else:
        _print_table(findings)
        for finding in wrong:
            print_error(f"topic {finding.topic}: {finding.verdict}; {finding.remedy}")
    return ExitCode.PROBLEM if wrong else ExitCode.DONE


def _print_table(findings: list[Finding]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for title in ("topic", "partitions", "cleanup", "kept for", "verdict"):
        table.add_column(title, justify="right" if title == "partitions" else "left", overflow="fold")
    for finding in findings:
        there = finding.partitions > 0
        table.add_row(
            finding.topic,
            str(finding.partitions) if there else "-",
            finding.cleanup_policy or "-",
            _duration(finding) if there else "-",
            Text(finding.verdict, style="green" if finding.good else "bold red"),
        )
    output().print(table)


def _duration(finding: Finding) -> str:
    if finding.cleanup_policy == "compact":
        return "last of each key"
    if finding.retention_ms is None:
        return "ever"
    return f"{finding.retention_ms / DAY_MS:g} d"
