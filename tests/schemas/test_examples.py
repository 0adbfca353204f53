"""The golden messages: each file of schemas/examples is a record as it goes over the wire, for ever.

A file holds key, headers and value; the value is laid out for reading, and on the wire it is the
same JSON without white space. A file is never changed, only joined by others: old records stay
readable as long as their version is.
"""

import json
from datetime import datetime
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_kafka_event
from cloudevents.core.formats.json import JSONFormat
from jsonschema import Draft202012Validator

import schemas
from schemas.codec import (
    TRIGGER_TYPES,
    EventDecoder,
    decode_erasure,
    decode_login,
    decode_output,
    decode_purchase,
    decode_support_ticket,
    encode_event,
    headers_and_body,
)
from schemas.events import TicketPriority, TicketStatus
from schemas.publish import TOPICS, path_of
from schemas.topics import ERASURES, LOGINS, PURCHASES, SOURCES, SUPPORT_TICKETS, TopicSpec
from schemas.topics import READ as READ_TOPICS

EXAMPLES = Path(schemas.__file__).parent / "examples"
DECODERS: dict[str, EventDecoder[Any]] = {
    PURCHASES.name: decode_purchase,
    LOGINS.name: decode_login,
    SUPPORT_TICKETS.name: decode_support_ticket,
}
VALIDATORS = {
    topic.name: Draft202012Validator(json.loads(path_of(topic).read_text(encoding="utf-8")))
    for topic in TOPICS
}


class Example(msgspec.Struct):
    """One file."""

    key: str
    headers: dict[str, str]
    value: msgspec.Raw

    def wire(self) -> tuple[bytes, list[tuple[str, bytes]]]:
        """Value and headers as they go over the wire."""
        headers = [(name, text.encode()) for name, text in self.headers.items()]
        return msgspec.json.format(bytes(self.value), indent=-1), headers

    def event(self) -> Any:
        """The value as plain data, with the structured mode's envelope taken off."""
        value = json.loads(bytes(self.value))
        return value["data"] if "datacontenttype" in value else value


def examples(*topics: TopicSpec) -> list[Any]:
    """The files of these topics, as parameters named by their path."""
    paths = [path for topic in topics for path in sorted((EXAMPLES / topic.name / "v1").glob("*.json"))]
    return [
        pytest.param(
            path.parts[-3],
            msgspec.json.decode(path.read_bytes(), type=Example),
            id=f"{path.parts[-3]}/{path.stem}",
        )
        for path in paths
    ]


READ = examples(*SOURCES)
WRITTEN = examples(*(topic for topic in TOPICS if topic not in READ_TOPICS))


@pytest.mark.parametrize(("topic", "example"), READ)
def test_event_decodes(topic: str, example: Example) -> None:
    """Each example of what Winback reads decodes, and says of itself what its data say."""
    decoded = json.loads(encode_event(DECODERS[topic](*example.wire())))
    said = {name: value for name, value in example.event().items() if name in decoded and name != "items"}
    said.pop("occurred_at", None)  # the same instant may be written in another zone
    assert said == {name: decoded[name] for name in said}
    assert example.key == decoded["customer_id"]


@pytest.mark.parametrize(("topic", "example"), READ)
def test_event_is_valid_under_its_schema(topic: str, example: Example) -> None:
    """Each example is valid under the published schema, once the envelope has filled its gaps."""
    decoded = json.loads(encode_event(DECODERS[topic](*example.wire())))
    VALIDATORS[topic].validate({**decoded, **example.event()})


@pytest.mark.parametrize(
    ("topic", "example"), [case for case in READ if "cloudevent" in str(case.id).rpartition("/")[2]]
)
def test_cloud_event_of_a_producer_is_one(topic: str, example: Example) -> None:
    """Each CloudEvent that stands as an example is one to CloudEvents' own implementation too."""
    value, headers = example.wire()
    message = KafkaMessage(headers=dict(headers), key=example.key, value=value)
    event = from_kafka_event(message, JSONFormat())
    assert ("1.0", example.event()) == (event.get_specversion(), event.get_data())
    assert event.get_type().startswith(f"winback.{topic.removesuffix('s')}.")


@pytest.mark.parametrize(("topic", "example"), examples(ERASURES))
def test_erasure_decodes(topic: str, example: Example) -> None:
    """Each example of a request decodes to what it says, is written as it stands, and is valid."""
    value, _ = example.wire()
    erasure = decode_erasure(value)
    assert example.event() == {"at": instant_text(erasure.at)}
    assert value == encode_event(erasure)
    VALIDATORS[topic].validate(example.event())


def instant_text(at: datetime) -> str:
    """RFC 3339, as Winback writes it."""
    return json.loads(msgspec.json.encode(at))  # type: ignore[no-any-return]


@pytest.mark.parametrize(("topic", "example"), WRITTEN)
def test_output_is_written_as_ever(topic: str, example: Example) -> None:
    """Each example of what Winback writes decodes, and encodes to the same headers and bytes."""
    value, headers = example.wire()
    output = decode_output(value, headers)
    assert (headers, value) == headers_and_body(output)
    assert example.key == output.customer_id
    assert dict(headers)["ce_type"].decode().startswith(f"winback.{topic}.")


@pytest.mark.parametrize(("topic", "example"), WRITTEN)
def test_output_is_valid_under_its_schema(topic: str, example: Example) -> None:
    """Each example of what Winback writes is valid under the published schema."""
    VALIDATORS[topic].validate(example.event())


@pytest.mark.parametrize(("topic", "example"), WRITTEN)
def test_drivers_add_up(topic: str, example: Example) -> None:
    """In each example with a score, the drivers add up to its logit."""
    score = example.event().get("score")
    if score is not None:
        assert score["logit"] == pytest.approx(sum(part["logit"] for part in score["drivers"]), abs=1e-9)


def test_every_kind_has_an_example() -> None:
    """There is an example of each CloudEvents type of a trigger, of customer-health, and of a receipt."""
    types = {case.values[1].headers["ce_type"] for case in WRITTEN}
    others = {"winback.customer-health.changed.v1", "winback.erasure-receipts.issued.v1"}
    assert {*TRIGGER_TYPES.values(), *others} == types


def test_every_kind_of_event_has_an_example() -> None:
    """There is an example of a purchase, a refund, and each status and priority of a ticket."""
    events = [(case.values[0], case.values[1].event()) for case in READ]
    assert {"purchase", "refund"} == {
        event.get("kind", "purchase") for topic, event in events if topic == "purchases"
    }
    assert set(get_args(TicketStatus)) == {
        event["status"] for topic, event in events if topic == "support-tickets"
    }
    assert set(get_args(TicketPriority)) == {
        event.get("priority", "normal") for topic, event in events if topic == "support-tickets"
    }
