"""Five ways to break exactness, each in a copy of the repository, and whether the harness catches it.

    python -m tests.kafka.faults.mutations            all of them, and the unbroken engine as a control
    python -m tests.kafka.faults.mutations NAME ...   some of them

A mutation is a few lines at the end of one module of the copy, which put another behaviour in the
place of one that exactness rests on. The copy is thrown away; the checkout is never touched. Each is
played with those faults under which it does harm, and counts as caught where the comparison with the pure
fold names a difference. The exit code is 0 where all are caught, and the control is clean.
"""

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tests.kafka.faults.crew import REPOSITORY

COPIED: Final = ("schemas", "streams", "agents", "tests", "pyproject.toml")
SEED: Final = 1
SECONDS: Final = 900.0


@dataclass(frozen=True, slots=True)
class Mutation:
    """module: path of the file that gets `lines`. kinds: the faults to play, so many of them."""

    name: str
    module: str
    lines: str
    kinds: tuple[str, ...]
    faults: int = 8


OUTSIDE_THE_TRANSACTION: Final = """

_commit_all = Committer.commit


async def _commit_state_alone(self, changes):
    from aiokafka import AIOKafkaProducer

    from schemas.topics import CHURN_RISK, WIN_BACK
    from streams.connection import client_arguments

    names = [self._settings.topics.name(spec) for spec in (CHURN_RISK, WIN_BACK)]
    if getattr(self, "_plain", None) is None:
        self._plain = await start(AIOKafkaProducer(**client_arguments(self._settings)), self._settings)
    for name in names:
        for record in changes.topics.pop(name, []):
            await self._plain.send_and_wait(
                name, record.value, key=record.key, headers=record.headers, partition=self._partition
            )
    await _commit_all(self, changes)


Committer.commit = _commit_state_alone
"""

POSITION_OF_THE_GROUP: Final = """

_points_of_the_records = Processor._starting_points


async def _points_of_the_group(self, partitions, lineage):
    from aiokafka.admin import AIOKafkaAdminClient

    points = await _points_of_the_records(self, partitions, lineage)
    client = AIOKafkaAdminClient(**client_arguments(self._settings))
    await client.start()
    try:
        committed = await client.list_consumer_group_offsets(self._settings.application_id)
    finally:
        await client.close()

    def position(topic, number, at):
        found = committed.get(TopicPartition(self._terms.topics.name(topic), number))
        return at if found is None else replace(at, next_offset=found.offset)

    return {
        number: replace(
            record,
            sources=tuple(
                position(topic, number, at) for topic, at in zip(SOURCES, record.sources, strict=True)
            ),
        )
        for number, record in points.items()
    }


Processor._starting_points = _points_of_the_group
"""

TABLE_BEFORE_THE_COMMIT: Final = """

_begin = Partition.__init__


class _Hasty:
    def __init__(self, writer, shard, changelog):
        self._writer, self._shard, self._changelog = writer, shard, changelog

    async def commit(self, changes):
        for record in changes.topics.get(self._changelog, []):
            if record.key != PARTITION_KEY:
                self._shard.records[record.key] = record.value
        await self._writer.commit(changes)


def _begin_hastily(self, number, terms, shard, record, *, sight, writer, **more):
    hasty = _Hasty(writer, shard, terms.topics.name(CHANGELOG))
    _begin(self, number, terms, shard, record, sight=sight, writer=hasty, **more)


Partition.__init__ = _begin_hastily
"""

RECOVERY_UNCOMMITTED: Final = """

_COMMITTED = _UNCOMMITTED
_those_committed = committed


def committed(found, aborted):
    return _those_committed(found, ())
"""

TRANSACTIONS_OF_THE_WORKER: Final = """

_begin = Committer.__init__


def _begin_for_this_worker(self, settings, partition, *more, **named):
    import os

    name = f"{settings.application_id}-{os.getpid()}"
    _begin(self, settings, partition, *more, **named)
    # Names the transactional id alone: the changelog's name has been taken already.
    self._settings = settings.model_copy(update={"application_id": name})


Committer.__init__ = _begin_for_this_worker
"""

MUTATIONS: Final = (
    Mutation(
        "triggers-outside-the-transaction",
        "streams/commit.py",
        OUTSIDE_THE_TRANSACTION,
        ("kill_before_commit", "kill_while_writing", "zombie_in_commit"),
    ),
    Mutation(
        "position-of-the-group",
        "streams/processor.py",
        POSITION_OF_THE_GROUP,
        ("kill", "kill_all", "kill_after_commit"),
    ),
    Mutation(
        "table-before-the-commit",
        "streams/partition.py",
        TABLE_BEFORE_THE_COMMIT,
        ("overdue_commit", "zombie_in_commit"),
    ),
    Mutation(
        "recovery-reads-uncommitted",
        "streams/changelog.py",
        RECOVERY_UNCOMMITTED,
        ("kill_before_commit", "kill_while_writing"),
    ),
    Mutation(
        "transactions-of-the-worker",
        "streams/commit.py",
        TRANSACTIONS_OF_THE_WORKER,
        ("zombie_in_commit", "kill_before_commit", "zombie_while_writing"),
    ),
)
CONTROL: Final = Mutation(
    "control-unbroken",
    "streams/commit.py",
    "",
    ("kill_before_commit", "zombie_in_commit", "overdue_commit", "kill_after_commit"),
)


def soak_with(mutation: Mutation, folder: Path) -> tuple[list[str], int, str]:
    """What the soak on a mutated copy found different, its exit code, and what it printed."""
    for name in COPIED:
        source, target = REPOSITORY / name, folder / name
        if source.is_dir():
            # Compiled modules would be loaded instead of the mutated text.
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.so", "*.pyd"))
        else:
            shutil.copy(source, target)
    module = folder / mutation.module
    module.write_text(module.read_text(encoding="utf-8") + mutation.lines, encoding="utf-8")
    options = ["--faults", str(mutation.faults), "--seeds", str(SEED), "--kinds", ",".join(mutation.kinds)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.kafka.faults.soak", *options, "--output", str(folder / "soak")],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    results = folder / "soak" / f"seed-{SEED}.json"
    rounds = json.loads(results.read_text(encoding="utf-8"))["rounds"] if results.exists() else []
    found = [example for each in rounds for example in each["verdict"]["examples"]]
    if any("TypeError" in ending for each in rounds for ending in each["strange_endings"]):
        found = []  # the mutation no longer fits the engine: it says nothing about the comparison
    return found, done.returncode, done.stdout + done.stderr


def main(names: list[str]) -> int:
    """Play the mutations named, or all and the control; 0 where each is told from the unbroken engine."""
    known = {each.name: each for each in (*MUTATIONS, CONTROL)}
    if unknown := [name for name in names if name not in known]:
        sys.stderr.write(f"no such mutation: {', '.join(unknown)}; there are: {', '.join(known)}\n")
        return 2
    wrong = 0
    for mutation in [known[name] for name in names] or list(known.values()):
        with TemporaryDirectory(prefix="winback-mutation-") as folder:
            found, code, words = soak_with(mutation, Path(folder))
        # A worker that merely hangs or crashes is no proof that the comparison would have noticed.
        if mutation is CONTROL:
            wrong += code != 0
            verdict = "nothing found, as it should be" if code == 0 else f"NOT CLEAN, exit code {code}"
        else:
            wrong += not found
            verdict = "CAUGHT" if found else f"not caught, exit code {code}"
        sys.stdout.write(f"== {mutation.name}: {verdict}\n{_end_of(words)}\n")
        sys.stdout.flush()
    return int(wrong > 0)


def _end_of(words: str) -> str:
    return "\n".join(words.splitlines()[-40:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
