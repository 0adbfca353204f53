"""How long a worker needs to have its customers back from a real Kafka, deadlines included.

    python -m bench.recovery [--customers N] [--bytes B] [--partitions P] [--batch R] [--runs N] [--json]

The changelog is written once, by the worker's own transactions of `--batch` customers; each state
record is padded to `--bytes`. Then a process of its own recovers it as a worker does: heads read,
deadlines placed, positions known. Timed is the recovery alone; the memory is that of the process, with
and without its customers.
"""

import argparse
import asyncio
import os
import random
import statistics
import sys
import time
from collections.abc import Iterator
from itertools import count

import orjson

from bench.children import child, run
from bench.command import enter, kafka, options, tell
from bench.installation import installation
from bench.usage import usage_of
from schemas.customer import LONG_AGO, Customer, Purchases, Recent
from schemas.entries import order_entry
from schemas.positions import PartitionRecord, SourcePosition
from schemas.record import PARTITION_KEY, Fingerprint, pack, pack_partition
from schemas.topics import CHANGELOG
from streams.changes import Changes, Record
from streams.commit import Committer
from streams.settings import Settings
from streams.tables import Shard, load

BAR = 4.0
"""Seconds for a million customers."""
START_MS = 1_767_225_600_000
"""2026-01-01."""


def state_record(size: int, wake_at: int, draw: random.Random) -> bytes:
    """A customer of about `size` bytes: event hashes are what fills a real one."""
    entries = b""
    for number in count():
        customer = Customer(
            purchases=Purchases(
                events=Recent(entries),
                first_at=START_MS,
                last_at=START_MS,
                days=1,
                spend=1999,
                first_day_spend=1999,
            ),
            wake_spell=wake_at,
        )
        packed = pack(customer, Fingerprint(1, 2))
        if len(packed) >= size:
            return packed
        entries += order_entry(START_MS + number, draw.getrandbits(63), draw.getrandbits(63))
    raise AssertionError


def customers(count: int, size: int, seed: int = 1) -> Iterator[Record]:
    """State records with deadlines of their own."""
    draw = random.Random(seed)
    body = state_record(size, START_MS, draw)
    for number in range(count):
        wake_at = (START_MS + draw.randrange(10**10)).to_bytes(8, "big")
        yield Record(b"customer-%07d" % number, body[:1] + wake_at + body[9:])


async def write(settings: Settings, count: int, size: int, batch: int) -> int:
    """Fill the changelog; bytes of the state records."""
    position = SourcePosition(0, LONG_AGO)
    here = Record(PARTITION_KEY, pack_partition(PartitionRecord((position,) * 3, START_MS)))
    changelog = settings.topics.name(CHANGELOG)
    written = 0
    for number in range(settings.partitions):
        committer = Committer(settings, number)
        await committer.fence()
        share = customers(count // settings.partitions, size, seed=number)
        while True:
            changes = Changes()
            for _, record in zip(range(batch), share, strict=False):
                changes.add(changelog, record)
                written += len(record.value or b"")
            changes.add(changelog, here)
            await committer.commit(changes)
            if len(changes.topics[changelog]) <= batch:
                break
        await committer.close()
    return written


async def recover(settings: Settings) -> dict[str, float]:
    """One recovery, in this process."""
    before = usage_of(os.getpid())
    shards: dict[int, Shard] = {}
    report = await load(settings, settings.topics.name(CHANGELOG), shards, range(settings.partitions))
    after = usage_of(os.getpid())
    assert all(shard.partition_record is not None for shard in shards.values())
    return {
        "seconds": report.seconds,
        "records_per_second": report.records / report.seconds,
        "cpu_seconds": after.cpu_seconds - before.cpu_seconds,
        "customers": sum(len(shard.records) for shard in shards.values()),
        "deadlines": sum(len(keys) for shard in shards.values() for keys in shard.deadlines.values()),
        "megabytes": after.peak_megabytes,
        "megabytes_before": before.peak_megabytes,
    }


async def restarted(settings: Settings) -> dict[str, float]:
    """A recovery in a process of its own, as after a restart."""
    words = [
        *(sys.executable, "-m", "bench.recovery", "--child"),
        *("--bootstrap", settings.bootstrap, "--application-id", settings.application_id),
        *("--partitions", str(settings.partitions)),
    ]
    async with child(words, os.environ, stdout=asyncio.subprocess.PIPE) as process:
        said, _ = await process.communicate()
    if process.returncode:
        raise SystemExit("a recovery failed")
    result: dict[str, float] = orjson.loads(said)
    return result


async def bench(bootstrap: str, arguments: argparse.Namespace) -> dict[str, float]:
    """Write once, recover several times; the median of each figure."""
    settings = await installation(bootstrap, partitions=arguments.partitions)
    began = time.perf_counter()
    written = await write(settings, arguments.customers, arguments.bytes, arguments.batch)
    tell(f"written in {time.perf_counter() - began:.1f} s")
    runs = [await restarted(settings) for _ in range(arguments.runs)]
    result = {figure: statistics.median(run[figure] for run in runs) for figure in runs[0]}
    result["slowest_seconds"] = max(run["seconds"] for run in runs)
    result["bytes"] = written / arguments.customers
    return result


def main() -> int:
    """The command; 1 where the bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.recovery", description=__doc__.partition("\n")[0])
    parser.add_argument("--customers", type=int, default=1_000_000)
    parser.add_argument("--bytes", type=int, default=228, help="of a state record, at least")
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--batch", type=int, default=4000, help="customers in one transaction")
    parser.add_argument("--runs", type=int, default=3)
    options(parser)
    parser.add_argument("--application-id", help=argparse.SUPPRESS)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        settings = Settings(
            bootstrap=arguments.bootstrap,
            application_id=arguments.application_id,
            topic_prefix=f"{arguments.application_id}-",
            partitions=arguments.partitions,
        )
        print(orjson.dumps(run(recover(settings))).decode())
        return 0
    with kafka(arguments.bootstrap) as broker:
        result = run(bench(broker.bootstrap, arguments))
    bar = BAR * arguments.customers / 1e6
    if arguments.json:
        print(orjson.dumps(result).decode())
    else:
        print(
            f"{result['customers']:,.0f} customers of {result['bytes']:.0f} bytes in {arguments.partitions} "
            f"partitions, {arguments.batch} in a transaction; the median of {arguments.runs} runs"
        )
        print(f"  {result['seconds']:>10.2f} s (bar: {bar:.2f}), the slowest {result['slowest_seconds']:.2f}")
        print(f"  {result['cpu_seconds']:>10.2f} CPU seconds")
        print(f"  {result['records_per_second']:>10,.0f} records/s")
        print(f"  {result['deadlines']:>10,.0f} deadlines pending")
        print(f"  {result['megabytes']:>10.0f} MB at most, {result['megabytes_before']:.0f} before")
    return int(result["seconds"] > bar)


if __name__ == "__main__":
    enter(main)
