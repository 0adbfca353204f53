"""What a bounded replay means: one loop over `advance`, by SEMANTICS, without a batch in sight.

No merge of heads, no heap, no budget, no transaction: the records of a partition are sorted, the
clock steps with each, and whoever is due below it is looked at first.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from schemas.codec import Output, headers_and_body
from schemas.customer import LONG_AGO, Customer, is_stub
from schemas.erasures import ErasureReceipt
from schemas.errors import Rejected
from schemas.instants import instant, since_epoch
from schemas.topics import CHURN_RISK, CUSTOMER_HEALTH, DEAD_LETTERS, ERASURE_RECEIPTS, SOURCES, WIN_BACK
from schemas.triggers import ChurnRisk
from streams.checked import CheckedIn, Refused, SourceRecord
from streams.core.advance import advance
from streams.core.playbook import Playbook
from streams.core.step import Outcome, Step
from streams.core.stimuli import Elapsed, Forget, Stimulus
from streams.intake import CHECK_IN, dead_letter
from tests.streams.memory import Written

TOO_LATE = Rejected("too_late", "older than the playbook's max_lateness behind the partition's clock")


@dataclass
class Folded:
    """customers: the state. written: key, value and headers in order, by the name of the topic."""

    playbook: Playbook
    end: int
    clock: int = LONG_AGO
    customers: dict[bytes, Customer] = field(default_factory=dict)
    written: dict[str, list[Written]] = field(default_factory=dict)
    after_end: int = 0

    @property
    def triggers(self) -> list[Written]:
        """Those of churn-risk, then those of win-back."""
        return [*self.written.get(CHURN_RISK.name, []), *self.written.get(WIN_BACK.name, [])]

    def fold(self, logs: Sequence[Sequence[SourceRecord]]) -> None:
        """Fold the three logs of one partition."""
        for newest, source, _, item in in_order(logs, self.playbook, self.end):
            if newest > self.clock:
                self.reach(newest)
            if isinstance(item, Refused):
                self.refuse(source, item.record, item.rejected)
            elif item.stimulus.at >= self.end:
                self.after_end += 1
            elif self.advance(item.key, item.stimulus, self.clock).outcome is Outcome.TOO_LATE:
                self.refuse(source, item.record, TOO_LATE)

    def reach(self, clock: int) -> None:
        """Settle every deadline below `clock`, the earliest first."""
        clock = max(clock, self.clock)
        while True:
            due = min([(wake_of(customer), key) for key, customer in self.customers.items()], default=None)
            if due is None or due[0] >= clock:
                break
            self.advance(due[1], Elapsed(), clock)
        self.clock = clock

    def advance(self, key: bytes, stimulus: Stimulus, now: int) -> Step:
        """One decision, and what it says."""
        before = self.customers.get(key)
        step = self.decide(key, stimulus, now)
        if before is not None or step.outcome is Outcome.FOLDED:
            self.customers[key] = step.customer
            for trigger in step.triggers:
                about = since_epoch(trigger.ended_at or trigger.due_at)
                stale = since_epoch(trigger.detected_at) - about > self.playbook.staleness_limit
                topic = CHURN_RISK if isinstance(trigger, ChurnRisk) else WIN_BACK
                self.say(topic.name, key, replace(trigger, origin="replay", stale=stale))
            if step.health is not None:
                self.say(CUSTOMER_HEALTH.name, key, step.health)
        return step

    def forget(self, key: bytes, at: int, application_id: str) -> None:
        """Obey an erasure."""
        known = self.knows(key)
        self.customers[key] = self.decide(key, Forget(at), self.clock).customer
        self.written.setdefault(CUSTOMER_HEALTH.name, []).append((key, None, ()))
        self.say(ERASURE_RECEIPTS.name, key, ErasureReceipt(key.decode(), instant(at), known, application_id))

    def knows(self, key: bytes) -> bool:
        """Whether there is anything to forget."""
        return key in self.customers and not is_stub(self.customers[key])

    def decide(self, key: bytes, stimulus: Stimulus, now: int) -> Step:
        """What the core says."""
        return advance(key.decode(), self.customers.get(key), stimulus, now=now, playbook=self.playbook)

    def say(self, topic: str, key: bytes, message: Output) -> None:
        """Write a message."""
        headers, body = headers_and_body(message)
        self.written.setdefault(topic, []).append((key, body, tuple(headers)))

    def refuse(self, source: int, record: SourceRecord, rejected: Rejected) -> None:
        """Write a dead letter."""
        key, value, headers = dead_letter(record, rejected)
        topic = DEAD_LETTERS[source].name
        self.written.setdefault(topic, []).append((key, value, tuple(headers)))


def pure_fold(
    logs: Sequence[Sequence[SourceRecord]],
    playbook: Playbook,
    end: int,
    erasures: Sequence[tuple[bytes, int]] = (),
    application_id: str = "",
) -> Folded:
    """Fold the three logs of one partition up to the instant `end`, ms since the epoch.

    erasures: (key, instant in ms), obeyed first by this application.
    """
    folded = Folded(playbook, end)
    for key, at in erasures:
        folded.forget(key, at, application_id)
    folded.fold(logs)
    folded.reach(end)
    return folded


def in_order(
    logs: Sequence[Sequence[SourceRecord]], playbook: Playbook, end: int
) -> list[tuple[int, int, int, CheckedIn | Refused]]:
    """(running maximum, topic, offset, item) of all records, as they are to be folded."""
    items: list[tuple[int, int, int, CheckedIn | Refused]] = []
    for source, log in enumerate(logs):
        newest = LONG_AGO
        for record in log:
            item = CHECK_IN[SOURCES[source].name](record, playbook)
            if isinstance(item, CheckedIn) and item.stimulus.at < end:
                newest = max(newest, item.stimulus.at)
            items.append((newest, source, record.offset, item))
    return sorted(items, key=lambda placed: placed[:3])


def wake_of(customer: Customer) -> int:
    """When the customer is to be looked at."""
    return min(customer.wake_spell, customer.wake_support, customer.wake_logins)
