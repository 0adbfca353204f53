"""Silence is scheduled, never scanned: here it is scanned after all, to see that nothing differs.

A random life passes through `advance` as the processor would drive it, and then each rule's plain
definition (tests/streams/core/definitions.py) is asked at every instant that might matter.
"""

from collections import Counter
from collections.abc import Sequence
from random import Random

from hypothesis import event as note
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.core.playbook import DAY, Playbook
from tests.streams.core.definitions import Dues, ended_at, spikes, true_at
from tests.streams.core.reading import claim_of, net_of
from tests.streams.core.strategies import lives, playbooks
from tests.streams.core.world import START, Event, World, after_start, seen

LONG = 700 * DAY
"""Longer after the last event than any playbook's last due."""


@given(playbooks(), lives(), st.integers(0, 2**32))
@settings(max_examples=150)
def test_a_trigger_stands_exactly_where_its_definition_comes_true(
    playbook: Playbook, events: list[Event], seed: int
) -> None:
    """Each trigger's definition is false 1 ms before its due and true at it, and never true without it."""
    end = events[-1].at - START + LONG
    world = walked(playbook, events, end, Random(seed))
    dues = net_of(world.triggers)
    for claim in dues:
        note(claim.rule)

    assert playbook.ticket_spike is not None
    assert spikes(events, playbook.ticket_spike) == sorted(
        (claim for claim in dues if claim.rule == "ticket_spike"), key=lambda claim: dues[claim]
    )
    scheduled = {claim: due for claim, due in dues.items() if claim.rule != "ticket_spike"}
    early = [c for c, due in scheduled.items() if c in true_at(events, playbook, dues, due - 1)]
    assert [] == early
    wrong = [c for c, due in scheduled.items() if c not in true_at(events, playbook, dues, due)]
    assert [] == wrong
    for at in instants_that_might_matter(events, dues, START + end, Random(seed)):
        missing = [c for c in true_at(events, playbook, dues, at) if scheduled.get(c, at + 1) > at]
        assert [] == missing


@given(playbooks(), lives())
@settings(max_examples=100)
def test_a_trigger_is_ended_by_the_first_event_that_ends_its_definition(
    playbook: Playbook, events: list[Event]
) -> None:
    """Each is cleared once, at that event; of a spell's win-back steps the last one is achieved."""
    world = seen(playbook, events).until(events[-1].at - START + LONG)
    dues = net_of(world.triggers)
    ends = {claim: ended_at(events, playbook, claim, due) for claim, due in dues.items()}
    last_steps = {
        max((c for c in dues if c.rule.startswith("winback") and c.episode_at == day), key=lambda c: c.step)
        for day in {claim.episode_at for claim in dues if claim.rule.startswith("winback")}
    }
    expected = {
        ("achieved" if claim in last_steps else "cleared", claim, at)
        for claim, at in ends.items()
        if at is not None and (claim in last_steps or not claim.rule.startswith("winback"))
    }
    actual = [
        (trigger.kind, claim_of(trigger), START + after_start(trigger.ended_at))
        for trigger in world.triggers
        if trigger.kind in {"cleared", "achieved"}
    ]
    assert sorted(expected) == sorted(actual)


def test_the_random_lives_reach_every_rule_and_every_ending() -> None:
    """What the properties above are drawn from hits spikes, breaches, decays, all levels and endings."""
    counts: Counter[tuple[str, str]] = Counter()

    @given(playbooks(), lives())
    @settings(max_examples=300, derandomize=True, database=None)
    def collect(playbook: Playbook, events: list[Event]) -> None:
        world = seen(playbook, events).until(events[-1].at - START + LONG)
        counts.update({(trigger.rule, trigger.kind) for trigger in world.triggers})

    collect()
    cleared = ["risk_medium", "risk_high", "silent_for", "second_order_due", "sla_breach", "login_decay"]
    wanted = [(rule, kind) for rule in cleared for kind in ("raised", "cleared")]
    wanted += [("ticket_spike", "raised")]
    wanted += [(f"winback_{step}", kind) for step in (1, 2, 3) for kind in ("due", "achieved")]
    assert [] == [pair for pair in wanted if not counts[pair]]


def walked(playbook: Playbook, events: Sequence[Event], end: int, random: Random) -> World:
    """The world at `end`, its clock having gone there in strides of all sizes."""
    world = World(playbook)
    for event in events:
        stride(world, event.at - START, random)
        world.see(event)
    stride(world, end, random)
    return world


def stride(world: World, end: int, random: Random) -> None:
    """The clock goes on to `end` with a few halts on the way, or none."""
    for at in sorted(random.randrange(world.clock, end + 1) for _ in range(random.choice([0, 0, 3, 20]))):
        world.until(at)
    world.until(end)


def instants_that_might_matter(events: Sequence[Event], dues: Dues, end: int, random: Random) -> list[int]:
    """Events and dues with their neighbours, and a grid over the rest."""
    marks = [*(event.at for event in events), *dues.values()]
    grid = [random.randrange(events[0].at, end) for _ in range(40)]
    return sorted({mark + by for mark in marks for by in (-1, 0, 1)} | set(grid))
