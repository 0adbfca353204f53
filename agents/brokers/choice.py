"""Which broker to take: the first of a list that this machine can run."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Final

from agents.brokers.apache import ApacheKafka
from agents.brokers.broker import Broker
from agents.brokers.docker import DockerKafka
from agents.brokers.embedded import EmbeddedBroker
from agents.brokers.given import GivenBroker
from schemas.errors import BrokerUnreachable

TEST_BOOTSTRAP: Final = "WINBACK_TEST_BOOTSTRAP"


def for_demo(given: str | None) -> list[Broker]:
    """The brokers a demo may run on, in order.

    A given address stands alone: who names a broker does not want another.
    """
    if given:
        return [GivenBroker(given)]
    return [EmbeddedBroker(), ApacheKafka(), DockerKafka()]


def for_tests(environment: Mapping[str, str] = os.environ) -> list[Broker]:
    """The brokers the tests may run on, in order: real Apache Kafka, never the embedded one."""
    given = environment.get(TEST_BOOTSTRAP)
    return [ApacheKafka(), DockerKafka(), *([GivenBroker(given)] if given else [])]


@contextmanager
def first_of(brokers: Sequence[Broker], say: Callable[[str], object]) -> Iterator[str]:
    """The address of the first of them that comes up, while it runs.

    say: is told in one line each which was passed over and why, and which was taken. Raises
    BrokerUnreachable, with the reason of each, where none came up.
    """
    reasons = []
    with ExitStack() as stack:
        for broker in brokers:
            if (reason := broker.obstacle()) is None:
                try:
                    bootstrap = stack.enter_context(broker.running())
                except BrokerUnreachable as error:
                    if len(brokers) == 1:
                        raise
                    reason = str(error)
                else:
                    say(f"broker: {broker.title} at {bootstrap}")
                    break
            reasons.append(f"{broker.title}: {reason}")
            say(f"not {reasons[-1]}")
        else:
            raise BrokerUnreachable("no Kafka broker can be had here: " + "; ".join(reasons))
        yield bootstrap
