"""Which broker is taken."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from agents.brokers import (
    ApacheKafka,
    Broker,
    DockerKafka,
    EmbeddedBroker,
    GivenBroker,
    first_of,
    for_demo,
    for_tests,
)
from schemas.errors import BrokerUnreachable


@dataclass
class FakeBroker:
    """A broker with an address and nothing behind it. fails: says so when it is started."""

    title: str
    missing: str | None = None
    fails: str | None = None
    running_now: bool = False

    def obstacle(self) -> str | None:
        """What the test says is missing."""
        return self.missing

    @contextmanager
    def running(self) -> Iterator[str]:
        """Its title as the address."""
        if self.fails:
            raise BrokerUnreachable(self.fails)
        self.running_now = True
        try:
            yield self.title
        finally:
            self.running_now = False


def test_a_demo_takes_the_embedded_broker_first() -> None:
    """Without an address: embedded, then Maven and Java, then Docker."""
    assert [EmbeddedBroker(), ApacheKafka(), DockerKafka()] == for_demo(None)


def test_a_given_address_stands_alone() -> None:
    """Who names a broker gets that one or an error, never another."""
    assert [GivenBroker("kafka:9092")] == for_demo("kafka:9092")


def test_tests_run_on_real_kafka_alone() -> None:
    """Maven and Java, then Docker, then an address; the embedded broker never."""
    assert [ApacheKafka(), DockerKafka()] == for_tests({})
    environment = {"WINBACK_TEST_BOOTSTRAP": "kafka:9092"}
    assert [ApacheKafka(), DockerKafka(), GivenBroker("kafka:9092")] == for_tests(environment)


def test_the_first_without_an_obstacle_is_taken() -> None:
    """What was passed over is said with its reason, and so is what was taken."""
    said: list[str] = []
    second, third = FakeBroker("b"), FakeBroker("c")
    with first_of([FakeBroker("a", missing="not installed"), second, third], said.append) as bootstrap:
        assert "b" == bootstrap
        assert (True, False) == (second.running_now, third.running_now)
    assert ["not a: not installed", "broker: b at b"] == said
    assert not second.running_now


def test_one_that_does_not_start_is_passed_over() -> None:
    """An installed broker may still not run on this machine: the next one is tried."""
    said: list[str] = []
    with first_of([FakeBroker("a", fails="glibc is too old"), FakeBroker("b")], said.append) as bootstrap:
        assert "b" == bootstrap
    assert ["not a: glibc is too old", "broker: b at b"] == said


def test_where_none_can_be_had_each_reason_is_named() -> None:
    """The error is a to-do list."""
    brokers: list[Broker] = [FakeBroker("a", missing="no Java"), FakeBroker("b", missing="no Docker")]
    with pytest.raises(BrokerUnreachable, match="a: no Java; b: no Docker"), first_of(brokers, print):
        pass


def test_an_error_inside_the_block_tries_no_other_broker() -> None:
    """BrokerUnreachable out of the block is the caller's, not a reason to start over."""
    second = FakeBroker("b")
    with pytest.raises(BrokerUnreachable, match="later"), first_of([FakeBroker("a"), second], print):
        raise BrokerUnreachable("later")
    assert not second.running_now
