"""Which agent serves which topic, in the order that breaks ties between the topics."""

from agents.sources import agent_of
from schemas.topics import SOURCES, Topics
from streams.app import Agent
from streams.driver import Receiver


def roster(receiver: Receiver, topics: Topics) -> list[tuple[str, Agent]]:
    """(topic, agent) of every topic that is consumed."""
    return [(topics.name(source), agent_of(receiver)) for source in SOURCES]
