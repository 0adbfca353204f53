"""Name, schema, key and retention of each topic: data. `winback topics` creates and checks them."""

from dataclasses import dataclass
from typing import Final

from schemas.events import Login, Purchase, SupportTicket
from schemas.triggers import ChurnRisk, CustomerHealth, WinBack

DAY_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """One topic. retention_ms: None keeps for ever; a compacted topic keeps the last of each key."""

    name: str
    body: type | None
    compacted: bool
    retention_ms: int | None


PURCHASES: Final = TopicSpec("purchases", Purchase, compacted=False, retention_ms=None)
LOGINS: Final = TopicSpec("logins", Login, compacted=False, retention_ms=None)
SUPPORT_TICKETS: Final = TopicSpec("support-tickets", SupportTicket, compacted=False, retention_ms=None)
SOURCES: Final = (PURCHASES, LOGINS, SUPPORT_TICKETS)
"""In the order that breaks ties between them."""

CHURN_RISK: Final = TopicSpec("churn-risk", ChurnRisk, compacted=False, retention_ms=None)
WIN_BACK: Final = TopicSpec("win-back", WinBack, compacted=False, retention_ms=None)
CUSTOMER_HEALTH: Final = TopicSpec("customer-health", CustomerHealth, compacted=True, retention_ms=None)


def dead_letters(source: TopicSpec) -> TopicSpec:
    """Where what cannot be folded from `source` goes, with its reason in the headers."""
    return TopicSpec(f"{source.name}-dlt", None, compacted=False, retention_ms=30 * DAY_MS)


DEAD_LETTERS: Final = tuple(dead_letters(source) for source in SOURCES)


def changelog(application_id: str) -> TopicSpec:
    """The customers' state; belongs to one application id alone."""
    return TopicSpec(f"{application_id}-customers-changelog", None, compacted=True, retention_ms=None)


def all_topics(application_id: str) -> tuple[TopicSpec, ...]:
    """Every topic a worker needs, all with one and the same partition count."""
    outputs = (CHURN_RISK, WIN_BACK, CUSTOMER_HEALTH)
    return (*SOURCES, *outputs, *DEAD_LETTERS, changelog(application_id))
