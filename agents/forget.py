"""`winback forget`: a request in `erasures`, and with --wait the receipt of whoever obeyed it.

The command only asks. Workers obey, those that run now and any that is ever started on the same
topics: so the request is never withdrawn, and never replaced by one that asks for less.
"""

import asyncio
import sys
from dataclasses import dataclass
from typing import Final

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from agents.clients import need_topics, producer, quiet_client_logs, reader
from agents.console import ExitCode, agreed, output, print_error, print_line, print_note
from agents.dead_letters import option_instant
from schemas.codec import decode_output, encode_event
from schemas.erasures import Erasure, ErasureReceipt
from schemas.errors import BrokerUnreachable, ConfigurationError, Rejected
from schemas.instants import instant, since_epoch
from schemas.topics import ERASURE_RECEIPTS, ERASURES
from streams.clock import monotonic, wall_ms
from streams.erasures import asked_by
from streams.partitioner import partition_of
from streams.settings import Settings

WAIT_SECONDS: Final = 60.0
"""How long --wait waits for the receipt."""
PATIENCE: Final = 30.0
"""Seconds without a word from the broker before it counts as gone."""
LONGEST_ID: Final = 256
"""Characters, as in schemas.events.Identifier."""
_POLL_MS: Final = 200


@dataclass(frozen=True, slots=True)
class Request:
    """Forget a customer up to `at`, ms since the epoch."""

    customer_id: str
    at: int


@dataclass(frozen=True, slots=True)
class Report:
    """What was asked for and where it stands; receipt: None where it was not waited for, or did not come."""

    customer_id: str
    at: str
    partition: int
    offset: int
    receipt: ErasureReceipt | None = None


def run_forget(
    settings: Settings, customer_id: str, *, at: str | None, yes: bool, wait: bool, as_json: bool
) -> int:
    """Have a customer forgotten; PROBLEM where nobody has confirmed it in time.

    Raises ConfigurationError where the options make no sense, or there is nobody to ask and `yes` has
    not been said; TopicsError; BrokerUnreachable.
    """
    quiet_client_logs()
    request = request_of(customer_id, at)
    until = _shown(request.at)
    if not yes:
        if not sys.stdin.isatty():
            raise ConfigurationError("no terminal to ask at: say --yes")
        if not agreed(f"Forget {customer_id}, and whatever is dated up to {until}, for good?"):
            print_note("nothing was asked for")
            return ExitCode.DONE
    report = asyncio.run(ask(settings, request, wait_seconds=WAIT_SECONDS if wait else 0.0))
    if as_json:
        print_line(msgspec.json.encode(report))
    else:
        _tell(settings, report)
    if wait and report.receipt is None:
        print_error(
            f"no worker of {settings.application_id} has confirmed it within {WAIT_SECONDS:.0f} s: is one "
            "running? The request stands, and will be obeyed"
        )
        return ExitCode.PROBLEM
    return ExitCode.DONE


def request_of(customer_id: str, at: str | None) -> Request:
    """The request that the arguments make; ConfigurationError where they make none."""
    if not 0 < len(customer_id) <= LONGEST_ID or "\x00" in customer_id:
        raise ConfigurationError(f"a customer's id has 1 to {LONGEST_ID} characters, and no NUL")
    now = wall_ms()
    until = option_instant("--at", at)
    if until is not None and until > now:
        raise ConfigurationError(f"--at {at} lies in the future: what is still to come cannot be forgotten")
    return Request(customer_id, now if until is None else until)


async def ask(settings: Settings, request: Request, *, wait_seconds: float = 0.0) -> Report:
    """Write the request; with `wait_seconds` also wait so long for the receipt of this application.

    Raises ConfigurationError where the customer is forgotten up to a later instant already.
    """
    erasures, receipts = (settings.topics.name(spec) for spec in (ERASURES, ERASURE_RECEIPTS))
    counts = await need_topics(settings, erasures, receipts)
    key = request.customer_id.encode()
    place = TopicPartition(erasures, partition_of(key, counts[erasures]))
    answers = TopicPartition(receipts, partition_of(key, counts[receipts]))
    async with reader(settings) as consumer:
        standing = await _standing(consumer, place, key)
        if standing is not None and standing > request.at:
            raise ConfigurationError(
                f"{request.customer_id} is forgotten up to {_shown(standing)} already: an earlier instant "
                "would take that back"
            )
        consumer.assign([answers])
        consumer.seek(answers, (await consumer.end_offsets([answers]))[answers])
        async with producer(settings) as client:
            written = await client.send_and_wait(
                erasures, encode_event(Erasure(instant(request.at))), key=key, partition=place.partition
            )
        receipt = await _receipt(consumer, settings, request, wait_seconds) if wait_seconds else None
    return Report(request.customer_id, _shown(request.at), place.partition, written.offset, receipt)


async def _standing(consumer: AIOKafkaConsumer, place: TopicPartition, key: bytes) -> int | None:
    """Up to when the customer is to be forgotten as it is."""
    consumer.assign([place])
    consumer.seek(place, (await consumer.beginning_offsets([place]))[place])
    end = (await consumer.end_offsets([place]))[place]
    found: int | None = None
    reached, moved_at = -1, monotonic()
    while (position := await consumer.position(place)) < end:
        if position > reached:
            reached, moved_at = position, monotonic()
        elif monotonic() - moved_at > PATIENCE:
            raise BrokerUnreachable(f"nothing has arrived for {PATIENCE:.0f} s: is the broker still there?")
        for record in (await consumer.getmany(place, timeout_ms=_POLL_MS)).get(place, ()):
            if record.key != key:
                continue
            try:
                asked = asked_by(record.key, record.value, record.offset, record.timestamp)
            except Rejected:
                continue
            found = None if asked is None else asked.at
    return found


async def _receipt(
    consumer: AIOKafkaConsumer, settings: Settings, request: Request, seconds: float
) -> ErasureReceipt | None:
    """The receipt that answers the request; None where none comes in time."""
    deadline = monotonic() + seconds
    while monotonic() < deadline:
        for records in (await consumer.getmany(timeout_ms=_POLL_MS)).values():
            for record in records:
                if record.key != request.customer_id.encode() or record.value is None:
                    continue
                try:
                    receipt = decode_output(record.value, record.headers)
                except Rejected:
                    continue
                if (
                    isinstance(receipt, ErasureReceipt)
                    and receipt.application_id == settings.application_id
                    and since_epoch(receipt.forgotten_at) == request.at
                ):
                    return receipt
    return None


def _tell(settings: Settings, report: Report) -> None:
    console, customer = output(), report.customer_id
    if report.receipt is None:
        console.print(
            f"Every worker on these topics will forget {customer}, up to {report.at}.", markup=False
        )
    elif report.receipt.was_known:
        console.print(f"{settings.application_id} has forgotten {customer}, up to {report.at}.", markup=False)
    else:
        console.print(
            f"{settings.application_id} knew nothing of {customer}, and will fold nothing up to {report.at}.",
            markup=False,
        )
    print_note(
        "The topics of events and triggers keep what stands in them, dead letters for 30 days: look with "
        f"`winback dlt list --customer {customer}`"
    )


def _shown(at: int) -> str:
    return f"{instant(at):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"
