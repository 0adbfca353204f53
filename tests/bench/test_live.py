"""The live load: each cause is followed by a trigger at once, and nothing else is."""

from random import Random

import pytest

from bench.live import CAUSE_EVERY, customer_of, event_of, past, silent_customer
from schemas.customer import Customer
from schemas.events import Event
from schemas.instants import since_epoch
from schemas.triggers import ChurnRisk, WinBack
from streams.checked import CheckedIn
from streams.clock import wall_ms
from streams.core.advance import advance
from streams.core.stimuli import Elapsed
from streams.intake import CHECK_IN
from streams.playbook_file import load_playbook
from tests.flows.events import logs_of
from tests.streams.memory import SOURCE_TOPICS

PLAYBOOK = load_playbook(None, None)
NOW = wall_ms()
CAUSES = 8


class Told:
    """Customers, and what is said of them."""

    def __init__(self) -> None:
        self.customers: dict[str, Customer] = {}

    def fold(self, event: Event) -> list[str]:
        """The rules and kinds that an event fires at once."""
        [record] = [record for log in logs_of([event]) for record in log]
        names = dict(zip(SOURCE_TOPICS, CHECK_IN.values(), strict=True))
        checked = names[record.topic](record, PLAYBOOK)
        assert isinstance(checked, CheckedIn)
        at = since_epoch(event.occurred_at)
        return self._step(event.customer_id, checked.stimulus, at)

    def wait(self, name: str, until: int) -> list[str]:
        """The rules and kinds that time fires."""
        return self._step(name, Elapsed(), until)

    def _step(self, name: str, stimulus: object, now: int) -> list[str]:
        step = advance(name, self.customers.get(name), stimulus, now=now, playbook=PLAYBOOK)  # type: ignore[arg-type]
        self.customers[name] = step.customer
        triggers: tuple[ChurnRisk | WinBack, ...] = step.triggers
        return [f"{trigger.rule} {trigger.kind}" for trigger in triggers]


@pytest.fixture
def told() -> Told:
    """After the history, all deadlines before the load settled."""
    told = Told()
    for event in past(CAUSES, [], 0, NOW):
        told.fold(event)
    for name in list(told.customers):
        told.wait(name, NOW)
    return told


def test_every_cause_fires_at_once(told: Told) -> None:
    """An order after a win-back step is its achievement, a third ticket within a week a spike."""
    for cause in range(CAUSES):
        _, event = event_of(cause * CAUSE_EVERY, NOW + cause, Random(1))
        assert customer_of(cause) == event.customer_id
        expected = "ticket_spike raised" if cause % 2 else "winback_1 achieved"
        assert expected in told.fold(event)


def test_everybody_else_is_silent(told: Told) -> None:
    """What is sent in between fires nothing."""
    draw = Random(1)
    others = [number for number in range(2000) if number % CAUSE_EVERY]
    assert [] == [said for number in others for said in told.fold(event_of(number, NOW + number, draw)[1])]


def test_no_cause_has_a_deadline_within_the_hour_of_the_load(told: Told) -> None:
    """So the first trigger of a customer is the one that its event has caused."""
    names = list(told.customers)
    assert [] == [said for name in names for said in told.wait(name, NOW + 3_600_000)]


def test_silence_comes_true_at_its_instant() -> None:
    """Not before the due instant has passed, and then at once."""
    rule = PLAYBOOK.second_order_due
    assert rule is not None
    told, due = Told(), NOW + 5000
    [event] = past(0, [due], rule.after, NOW)
    assert silent_customer(0) == event.customer_id
    told.fold(event)
    assert [] == told.wait(event.customer_id, due)
    assert ["second_order_due raised"] == told.wait(event.customer_id, due + 1)


def test_the_history_ascends() -> None:
    """It is loaded as it happened."""
    events = past(CAUSES, [NOW, NOW + 7], 60_000, NOW)
    assert sorted(events, key=lambda event: event.occurred_at) == events
    assert 3 * CAUSES + 2 == len(events)
