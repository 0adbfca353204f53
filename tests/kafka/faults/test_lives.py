"""The lives that requests cut a history into, against a partition in memory that obeys them as they come."""

from random import Random

import pytest

from schemas.codec import decode_output, encode_event
from schemas.erasures import Erasure
from schemas.events import Event
from schemas.instants import instant, since_epoch
from schemas.topics import CHANGELOG, ERASURE_RECEIPTS
from streams.checked import SourceRecord
from streams.core.playbook import DAY, HOUR
from tests.flows.events import START, login, purchase, ticket
from tests.kafka.faults.live_verdict import facets, standing
from tests.kafka.faults.lives import Cut, Lives, Placed, cuts_of, lives_of, receipts_of
from tests.kafka.faults.verdict import Verdict
from tests.streams.conftest import PLAYBOOK
from tests.streams.memory import TOPICS, Stand, source_of, triggers_of

END = START + 400 * DAY


@pytest.fixture
def live() -> Stand:
    """A partition with the wall clock, open, its topics empty and not seen at their ends."""
    stand = Stand(PLAYBOOK)
    stand.open()
    return stand


def happening(random: Random, customer: str, at: int) -> Event:
    """Something that a customer does."""
    name = f"{customer} {at}"
    return random.choice(
        (
            purchase(customer, at, f"order {name}"),
            login(customer, at, f"login {name}"),
            ticket(customer, at, of=f"ticket {name}"),
        )
    )


class Played:
    """What has been put into the topics of a partition, and asked of it."""

    def __init__(self, stand: Stand) -> None:
        self.stand = stand
        self.histories: dict[bytes, list[Placed]] = {}
        self.forgotten: dict[str, int] = {}
        """Up to when, by customer."""
        self.requests: list[SourceRecord] = []

    def put(self, event: Event) -> None:
        """Send an event; it is folded when the partition is next at work."""
        key, source = event.customer_id.encode(), source_of(event)
        self.histories.setdefault(key, []).append(Placed(source, len(self.stand.logs[source]), event))
        self.stand.put(event)

    def forget(self, customer: str, at: int) -> None:
        """Have somebody forgotten; it is obeyed when the partition is next at work."""
        self.forgotten[customer] = max(at, self.forgotten.get(customer, at))
        value, offset = encode_event(Erasure(instant(at))), len(self.requests)
        self.requests.append(SourceRecord("erasures", 0, offset, at, customer.encode(), value))
        self.stand.forget(customer, at)
        self.stand.hear()

    def past(self, customer: str) -> list[Event]:
        """What is dated at or before a request. What came after it would be folded as new, and rightly."""
        return [
            placed.event
            for placed in self.histories.get(customer.encode(), [])
            if since_epoch(placed.event.occurred_at) <= self.forgotten.get(customer, 0)
        ]

    async def work(self, until: int) -> None:
        """Let the partition do what there is, and let time pass."""
        self.stand.deliver_all()
        self.stand.see_ends(until)
        await self.stand.settle()

    def cuts(self) -> list[Cut]:
        """As the changelog tells them."""
        changelog = [
            SourceRecord("changelog", 0, offset, 0, key, value)
            for offset, (key, value, _) in enumerate(self.stand.journal.written(CHANGELOG))
        ]
        return cuts_of(self.requests, changelog)

    def lives(self, key: bytes) -> Lives:
        """Of one customer."""
        cuts = [cut for cut in self.cuts() if cut.key == key]
        return lives_of(key, self.histories.get(key, []), cuts, PLAYBOOK, END)


@pytest.mark.parametrize("seed", range(8))
async def test_whenever_it_is_obeyed_what_is_left_is_told_exactly(live: Stand, seed: int) -> None:
    """State, receipts, and what was raised less what was revoked: of a partition that has seen it all."""
    random, played, now = Random(seed), Played(live), START
    names = [f"c{number}" for number in range(6)]
    for _ in range(120):
        now += random.choice((HOUR, DAY, 3 * DAY))
        customer = random.choice(names)
        kind, past = random.random(), played.past(customer)
        if kind < 0.15:
            played.forget(customer, now - random.choice((0, 0, HOUR, 20 * DAY)))
        elif kind < 0.3 and past:
            played.put(random.choice(past))
        else:
            played.put(happening(random, customer, now))
        if random.random() < 0.6:
            await played.work(now)
    await played.work(END)

    lives, cuts, verdict = (
        {name.encode(): played.lives(name.encode()) for name in names},
        played.cuts(),
        Verdict(),
    )
    last = {key: each for life in lives.values() if life.last for key, each in life.last.customers.items()}
    assert {key: facets(each) for key, each in last.items()} == {
        key: facets(each) for key, each in live.customers.items()
    }
    raised = [trigger for each in lives.values() for life in each for trigger in life.triggers]
    assert standing(verdict, triggers_of(raised)) == standing(verdict, live.journal.triggers())
    receipts = live.journal.written(ERASURE_RECEIPTS)
    assert len(played.requests) == len(cuts)
    assert receipts_of(cuts, lives, TOPICS.application_id) == [
        decode_output(value or b"", headers) for _, value, headers in receipts
    ]


async def test_a_life_ends_where_the_partition_stood_and_not_where_the_request_did(live: Stand) -> None:
    """An alarm that was said before belongs to the first life; one that was still to come, to none."""
    played = Played(live)
    for name in "ab":
        played.put(ticket(name, START))
    await played.work(START + 30 * 60_000)
    played.forget("a", START)
    await played.work(START + 2 * HOUR)
    played.forget("b", START)
    await played.work(END)
    assert [START + 30 * 60_000, START + 2 * HOUR] == [cut.clock for cut in played.cuts()]
    said = {name: [len(life.triggers) for life in played.lives(name.encode())] for name in "ab"}
    assert {"a": [0, 0], "b": [1, 0]} == said
