"""Brokers to run against: started here for a while, or given by an address.

    with first_of(for_demo(None), say=print) as bootstrap: ...
    with ApacheKafka().running() as bootstrap: ...

A broker of ours listens on loopback alone, keeps its data in a temporary directory, and ends with
the block, with an exception out of it, with Ctrl-C, and also where this process is killed outright.
"""

from agents.brokers.apache import ApacheKafka
from agents.brokers.broker import Broker
from agents.brokers.choice import first_of, for_demo, for_tests
from agents.brokers.docker import DockerKafka
from agents.brokers.embedded import EmbeddedBroker
from agents.brokers.given import GivenBroker

__all__ = [
    "ApacheKafka",
    "Broker",
    "DockerKafka",
    "EmbeddedBroker",
    "GivenBroker",
    "first_of",
    "for_demo",
    "for_tests",
]
