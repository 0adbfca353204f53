"""Bad input on real Kafka: a dead letter with its reason, a count, and the next good record."""

import json
from collections.abc import AsyncIterator, Mapping
from random import Random
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from schemas.codec import encode_event
from schemas.errors import TopicsError
from schemas.instants import instant
from schemas.reasons import REASONS
from schemas.topics import DEAD_LETTERS, SOURCES
from streams.clock import wall_ms
from streams.core.playbook import DAY
from streams.partitioner import partition_of
from tests.flows.events import login, purchase, ticket
from tests.kafka.scene import Scene, Worker, scene_of, until, worker

NOW = wall_ms()
PURCHASE: Mapping[str, Any] = {
    "id": "p-1",
    "customer_id": "c",
    "occurred_at": instant(NOW).isoformat(),
    "order_id": "o-1",
    "amount_minor": 100,
    "currency": "USD",
}


def altered(**changes: object) -> bytes:
    """A purchase in which something is wrong; None takes a field away."""
    fields = {**PURCHASE, **changes}
    return json.dumps({name: value for name, value in fields.items() if value is not None}).encode()


NOISE = Random(1).randbytes(1_000_000)
TEXT_NOISE = ("n" * 1_000_000).encode()
LARGEST = ("n" * (1_048_588 - 100)).encode()
"""The largest that the broker takes by default: with our headers on top it would not go out again."""

BAD: Mapping[str, tuple[bytes | None, bytes | None, str]] = {
    "broken JSON": (b"c", b'{"id": "p-1", ', "not_json"),
    "not an object": (b"c", b"[1, 2]", "wrong_type"),
    "a number as text": (b"c", altered(amount_minor="100"), "wrong_type"),
    "a fraction of a cent": (b"c", altered(amount_minor=1.5), "wrong_type"),
    "a field too few": (b"c", altered(order_id=None), "missing_field"),
    "NaN": (b"c", altered(amount_minor=float("nan")), "bad_value"),
    "infinity": (b"c", altered(amount_minor=float("inf")), "bad_value"),
    "a negative amount": (b"c", altered(amount_minor=-1), "bad_value"),
    "an absurd amount": (b"c", altered(amount_minor=10**13), "bad_value"),
    "a number beyond 64 bits": (b"c", altered(amount_minor=10**30), "bad_value"),
    "a currency without a rate": (b"c", altered(currency="XTS"), "unknown_currency"),
    "no currency at all": (b"c", altered(currency="dollars"), "bad_value"),
    "an unknown version": (b"c", altered(schema_version=2), "unknown_version"),
    "the future": (b"c", altered(occurred_at=instant(NOW + 2 * DAY).isoformat()), "future"),
    "before 1970": (b"c", altered(occurred_at="1969-12-31T23:59:59Z"), "before_1970"),
    "no time zone": (b"c", altered(occurred_at="2026-01-05T12:00:00"), "bad_value"),
    "no time": (b"c", altered(occurred_at="yesterday"), "bad_value"),
    "no key": (None, altered(), "no_key"),
    "an empty key": (b"", altered(), "no_key"),
    "somebody else's key": (b"d", altered(), "key_mismatch"),
    "a key that is no text": (b"\xff\xfe", altered(), "key_mismatch"),
    "an empty value": (b"c", b"", "empty_value"),
    "a tombstone": (b"c", None, "empty_value"),
    "invalid UTF-8": (b"c", b'{"id": "\xff\xfe"}', "not_utf8"),
    "a megabyte of noise": (b"c", NOISE, "too_large"),
    "a megabyte of text": (b"c", TEXT_NOISE, "too_large"),
    "as much as the broker takes": (b"c", LARGEST, "too_large"),
    "ten thousand brackets": (b"c", b'{"more": ' + b"[" * 10_000, "not_json"),
    "a reserved character": (b"a\x00b", altered(customer_id="a\x00b"), "bad_value"),
    "too late": (b"c", altered(occurred_at=instant(NOW - 31 * DAY).isoformat()), "too_late"),
}


@pytest.fixture
async def scene(bootstrap: str, application_id: str) -> AsyncIterator[Scene]:
    """An installation on the wall clock, all of it on one partition."""
    async with scene_of(bootstrap, application_id, partitions=1) as scene:
        yield scene


@pytest.fixture
async def producer(bootstrap: str) -> AsyncIterator[AIOKafkaProducer]:
    """A producer that sends what it is given."""
    client = AIOKafkaProducer(bootstrap_servers=bootstrap, max_request_size=2_000_000)
    await client.start()
    yield client
    await client.stop()


async def settled(worker: Worker, count: int) -> None:
    """Until so many records have been settled."""

    async def enough() -> bool:
        return await worker.metric("winback_records_total") >= count

    await until(enough)


async def test_whatever_comes_is_a_dead_letter_with_its_reason(
    scene: Scene, producer: AIOKafkaProducer
) -> None:
    """Each bad record arrives in purchases-dlt as it came, in order, says why, and is counted."""
    topic = scene.settings.topics.name(SOURCES[0])
    async with worker(scene.settings) as running:
        await producer.send_and_wait(topic, encode_event(purchase("first", NOW)), b"first", 0)
        await settled(running, 1)  # the clock stands at NOW: that is what the last one is too late for
        for key, value, _ in BAD.values():
            await producer.send_and_wait(topic, value, key, 0)
        await producer.send_and_wait(topic, encode_event(purchase("last", NOW)), b"last", 0)
        await settled(running, len(BAD) + 2)
        counted = {
            reason: await running.metric("winback_dead_letters_total", topic="purchases", reason=reason)
            for reason in REASONS
        }
    (letters,) = await scene.records(DEAD_LETTERS[0])
    reasons = [dict(letter.headers)["winback-reason"].decode() for letter in letters]
    assert {name: reason for name, (_, _, reason) in BAD.items()} == dict(zip(BAD, reasons, strict=True))
    assert counted == {reason: reasons.count(reason) for reason in REASONS}
    for (name, (key, value, _)), letter in zip(BAD.items(), letters, strict=True):
        headers = dict(letter.headers)
        assert key == letter.key, name
        assert topic.encode() == headers["kafka_dlt-original-topic"]
        if len(value or b"") < 900_000:
            assert value == letter.value, name
        else:  # as much of it as goes out again with our headers on top
            assert b"value" == headers["winback-dead-letter-cut"]
            assert value is not None
            assert letter.value is not None
            assert value.startswith(letter.value)
            assert len(letter.value) > 900_000
    assert {b"first", b"last"} == set(await scene.customers())


async def test_bad_records_of_the_other_topics_go_to_theirs(scene: Scene, producer: AIOKafkaProducer) -> None:
    """Logins and support tickets have dead letters of their own, and the good ones after them count."""
    async with worker(scene.settings) as running:
        for source, good in ((1, login("c", NOW)), (2, ticket("c", NOW))):
            topic = scene.settings.topics.name(SOURCES[source])
            await producer.send_and_wait(topic, b"{", b"c", 0)
            await producer.send_and_wait(topic, encode_event(good), b"c", 0)
        await settled(running, 4)
    assert [0, 1, 1] == [len((await scene.records(spec))[0]) for spec in DEAD_LETTERS]
    customer = (await scene.customers())[b"c"]
    assert customer.logins is not None
    assert customer.support is not None


async def test_a_producer_that_hashes_otherwise_stops_the_worker(bootstrap: str, application_id: str) -> None:
    """Customers on partitions that are not theirs: one line that names the remedy, nothing committed."""
    async with scene_of(bootstrap, application_id, partitions=2) as scene:
        client = AIOKafkaProducer(bootstrap_servers=bootstrap)
        await client.start()
        strangers = [f"c{n}" for n in range(400) if partition_of(b"c%d" % n, 2) == 1]
        for customer in strangers:
            event = encode_event(login(customer, NOW))
            await client.send(scene.settings.topics.name(SOURCES[1]), event, customer.encode(), 0)
        await client.stop()
        with pytest.raises(TopicsError, match="murmur2_random"):
            async with worker(scene.settings) as running:
                await until(lambda: over(running))
        assert {} == await scene.customers()


async def over(worker: Worker) -> bool:
    """Whether the worker has ended."""
    return worker.task.done()
