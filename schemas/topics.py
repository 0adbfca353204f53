"""Name, schema, key and retention of each topic: data. `winback topics` creates and checks them."""

from dataclasses import dataclass, replace
from typing import Final

from schemas.erasures import Erasure, ErasureReceipt
from schemas.events import Login, Purchase, SupportTicket
from schemas.instants import DAY_MS
from schemas.triggers import ChurnRisk, CustomerHealth, WinBack


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """One topic. retention_ms: None keeps for ever; a compacted topic keeps the last of each key.

    replayed: read from end to end at every recovery, so it is to be kept short.
    """

    name: str
    body: type | None
    compacted: bool
    retention_ms: int | None
    replayed: bool = False


PURCHASES: Final = TopicSpec("purchases", Purchase, compacted=False, retention_ms=None)
LOGINS: Final = TopicSpec("logins", Login, compacted=False, retention_ms=None)
SUPPORT_TICKETS: Final = TopicSpec("support-tickets", SupportTicket, compacted=False, retention_ms=None)
SOURCES: Final = (PURCHASES, LOGINS, SUPPORT_TICKETS)
"""In the order that breaks ties between them."""

CHURN_RISK: Final = TopicSpec("churn-risk", ChurnRisk, compacted=False, retention_ms=None)
WIN_BACK: Final = TopicSpec("win-back", WinBack, compacted=False, retention_ms=None)
CUSTOMER_HEALTH: Final = TopicSpec("customer-health", CustomerHealth, compacted=True, retention_ms=None)

ERASURES: Final = TopicSpec("erasures", Erasure, compacted=True, retention_ms=None, replayed=True)
READ: Final = (*SOURCES, ERASURES)
"""What others write and every application reads."""
ERASURE_RECEIPTS: Final = TopicSpec("erasure-receipts", ErasureReceipt, compacted=True, retention_ms=None)


def dead_letters(source: TopicSpec) -> TopicSpec:
    """Where what cannot be folded from `source` goes, with its reason in the headers."""
    return TopicSpec(f"{source.name}-dlt", None, compacted=False, retention_ms=30 * DAY_MS)


DEAD_LETTERS: Final = tuple(dead_letters(source) for source in SOURCES)


CHANGELOG: Final = TopicSpec("customers-changelog", None, compacted=True, retention_ms=None, replayed=True)
"""The customers' state; each application id has one of its own."""


@dataclass(frozen=True, slots=True)
class Topics:
    """What the topics of an application are called on its cluster.

    prefix: before every name, so that several installations share a cluster without sharing topics.
    apart: everything it writes is its own, as the changelog always is.
    """

    application_id: str
    prefix: str = ""
    apart: bool = False

    def name(self, spec: TopicSpec) -> str:
        """The topic's name."""
        own = spec is CHANGELOG or (self.apart and spec not in READ)
        return f"{self.prefix}{self.application_id}-{spec.name}" if own else f"{self.prefix}{spec.name}"

    def all(self) -> tuple[TopicSpec, ...]:
        """Every topic a worker needs under its full name, all with one and the same partition count."""
        said = (CHURN_RISK, WIN_BACK, CUSTOMER_HEALTH)
        specs = (*SOURCES, ERASURES, *said, ERASURE_RECEIPTS, *DEAD_LETTERS, CHANGELOG)
        return tuple(replace(spec, name=self.name(spec)) for spec in specs)
