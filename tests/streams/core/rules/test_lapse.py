"""The rules of silence: their dues to the ms, what ends them, levels, cool-downs, late orders."""

import dataclasses

import pytest
from hypothesis import given, settings

from streams.core.firings import History
from streams.core.playbook import DAY, HOUR, Playbook, Risk, SecondOrderDue, SilentFor
from streams.core.rules import SILENCE_RULES
from streams.core.rules.lapse import Spell, first_of_silence
from tests.streams.core.definitions import first_instant, p_lapse
from tests.streams.core.strategies import lives, playbooks
from tests.streams.core.world import MODEL, START, Event, World, login, order, refund, seen, ticket

HALF_YEAR = 182 * DAY
MEDIUM, HIGH = "risk_medium", "risk_high"
RISK = Playbook(
    model=MODEL,
    lapse_age=HALF_YEAR,
    risk_medium=Risk(probability=0.6),
    risk_high=Risk(probability=0.8),
)
TWO_ORDERS = [order(0), order(28 * DAY + HOUR)]
LAST = 28 * DAY + HOUR


def crossing(q: float, orders: tuple[int, ...] = (0, LAST), lapse_age: int = HALF_YEAR) -> int:
    """When P(lapse) reaches q after these orders (ms after START), by search in its definition."""
    return first_instant(
        max(orders), max(orders) + lapse_age, lambda at: p_lapse(MODEL, orders, lapse_age, at) >= q
    )


AT_60, AT_80 = crossing(0.6), crossing(0.8)


def only(**rules: object) -> Playbook:
    """The playbook of this module with these changes."""
    return dataclasses.replace(RISK, **rules)  # type: ignore[arg-type]


@given(playbooks(), lives())
@settings(max_examples=200)
def test_the_first_of_all_is_the_earliest_that_any_of_them_answers(
    playbook: Playbook, events: list[Event]
) -> None:
    """Or the lapse; though it asks each only whether it comes before the others."""
    customer = seen(playbook, events).customer
    assert customer is not None
    if customer.purchases is None or not customer.purchases.days:
        return
    history = History(customer.firings)
    spell = Spell(customer.purchases, playbook, customer.lapsed_day)
    if spell.lapsed:
        return
    dues = [rule(spell, history, playbook) for rule in SILENCE_RULES]
    expected = min([spell.lapse_at, *(due.at for due in dues if due is not None)])
    assert expected == first_of_silence(
        Spell(customer.purchases, playbook, customer.lapsed_day), history, playbook
    )


def test_the_published_crossing_is_reached() -> None:
    """One repeat, four weeks after the first order, q = .7 and 26 weeks: on the 69th day (SCIENCE.md)."""
    world = seen(only(risk_medium=Risk(probability=0.7), risk_high=None), [order(0), order(28 * DAY)])
    ((_, _, due),) = world.until(200 * DAY).said()
    assert 69 == round((due - 28 * DAY) / DAY)


def test_each_level_is_due_at_its_crossing_to_the_millisecond() -> None:
    """It fires when the clock has passed the instant: at it, an order could still prevent it."""
    world = seen(RISK, TWO_ORDERS)
    assert [] == world.until(AT_60).said()
    assert [("raised", MEDIUM, AT_60)] == world.until(AT_60 + 1).said()
    assert [("raised", MEDIUM, AT_60)] == world.until(AT_80).said()
    assert ("raised", HIGH, AT_80) == world.until(AT_80 + 1).said()[-1]


def test_an_order_on_a_later_day_clears_every_level_that_stands_open() -> None:
    """One cleared each, dated to the order; the due instant is that of what it ends."""
    world = seen(RISK, [*TWO_ORDERS, order(AT_80 + DAY)])
    expected = [
        ("raised", MEDIUM, AT_60),
        ("raised", HIGH, AT_80),
        ("cleared", MEDIUM, AT_60),
        ("cleared", HIGH, AT_80),
    ]
    assert expected == world.said()


def test_an_order_at_the_very_due_prevents_it() -> None:
    """At equal instants the event wins."""
    assert [] == seen(RISK, [*TWO_ORDERS, order(AT_60)]).said()


def test_an_order_after_the_due_does_not_erase_the_alarm() -> None:
    """Even if nobody had looked in between: what was due before it fires before it."""
    world = seen(RISK, [*TWO_ORDERS, order(AT_60 + 1)])
    assert [("raised", MEDIUM, AT_60), ("cleared", MEDIUM, AT_60)] == world.said()


@pytest.mark.parametrize("event", [login(AT_60 + DAY), ticket(AT_60 + DAY), refund(AT_60 + DAY, 500)])
def test_only_orders_clear_risk(event: object) -> None:
    """Logins, tickets and refunds don't."""
    world = seen(RISK, [*TWO_ORDERS, event])  # type: ignore[list-item]
    assert [("raised", MEDIUM, AT_60)] == world.said(MEDIUM)


def test_no_risk_before_min_silence() -> None:
    """Due = max(crossing, last purchase + min_silence)."""
    playbook = only(risk_medium=Risk(probability=0.1), risk_high=None)
    world = seen(playbook, TWO_ORDERS).until(100 * DAY)
    assert [("raised", MEDIUM, LAST + 14 * DAY)] == world.said()


def test_without_min_silence_risk_may_be_due_at_the_order_itself() -> None:
    """Due at the stimulus's own instant, it does not wait for the clock to pass."""
    playbook = only(risk_medium=Risk(probability=0.1, min_silence=0), risk_high=None)
    assert [("raised", MEDIUM, LAST)] == seen(playbook, TWO_ORDERS).said()


@pytest.mark.parametrize(("expected", "min_silence"), [(1, HALF_YEAR - 1), (0, HALF_YEAR)])
def test_risk_is_void_at_the_lapse(expected: int, min_silence: int) -> None:
    """From the lapse age on there is nothing left to warn of."""
    playbook = only(risk_medium=Risk(probability=0.6, min_silence=min_silence), risk_high=None)
    assert expected == len(seen(playbook, TWO_ORDERS).until(400 * DAY).said())


def test_one_order_customers_belong_to_second_order_due() -> None:
    """They have no risk, and the second order is due 60 days after the first."""
    world = seen(only(second_order_due=SecondOrderDue()), [order(HOUR)])
    assert [] == world.until(60 * DAY + HOUR).said()
    assert [("raised", "second_order_due", 60 * DAY + HOUR)] == world.until(400 * DAY).said()


def test_two_orders_on_one_day_are_one_purchase_day() -> None:
    """The second order is still due, 60 days after the first of them."""
    world = seen(only(second_order_due=SecondOrderDue()), [order(HOUR), order(5 * HOUR)]).until(400 * DAY)
    assert [("raised", "second_order_due", 60 * DAY + HOUR)] == world.said()


def test_one_order_customers_have_risk_where_the_playbook_says_so() -> None:
    """`include_first_order`: P(lapse) of a first order is .626 at once, so min_silence decides."""
    playbook = only(include_first_order=True, risk_high=None)
    assert [("raised", MEDIUM, 14 * DAY)] == seen(playbook, [order(0)]).until(400 * DAY).said()


def test_a_second_order_clears_second_order_due() -> None:
    """And then the rule has nothing more to say for ever."""
    playbook = Playbook(model=MODEL, second_order_due=SecondOrderDue())
    world = seen(playbook, [order(0), order(70 * DAY)]).until(1000 * DAY)
    expected = [("raised", "second_order_due", 60 * DAY), ("cleared", "second_order_due", 60 * DAY)]
    assert expected == world.said()


def test_plain_silences_fire_each_on_its_day() -> None:
    """`silent_for` 60 and 90: its step says which, and each fires once in a spell."""
    playbook = Playbook(model=MODEL, silent_for=SilentFor(days=(90, 60)))
    world = seen(playbook, [order(0)]).until(60 * DAY + 1).until(500 * DAY)
    assert [60 * DAY, 90 * DAY] == [due for _, _, due in world.said()]
    assert [60, 90] == [trigger.step for trigger in world.triggers]
    world.see(order(501 * DAY))
    assert ["cleared", "cleared"] == [kind for kind, _, _ in world.said()[2:]]


def test_of_levels_due_at_one_instant_only_the_highest_fires() -> None:
    """Both crossings lie before min_silence ends; the lower level counts as fired from then on."""
    playbook = only(risk_medium=Risk(probability=0.1), risk_high=Risk(probability=0.2))
    assert [("raised", HIGH, LAST + 14 * DAY)] == seen(playbook, TWO_ORDERS).until(400 * DAY).said()


def test_once_the_high_level_has_fired_the_lower_stays_silent() -> None:
    """Though its own min_silence ends later."""
    playbook = only(risk_medium=Risk(probability=0.6, min_silence=150 * DAY))
    assert [("raised", HIGH, AT_80)] == seen(playbook, TWO_ORDERS).until(400 * DAY).said()


def test_all_levels_fire_where_the_playbook_says_so() -> None:
    """`levels` = all: at one instant the higher first."""
    playbook = only(risk_medium=Risk(probability=0.1), risk_high=Risk(probability=0.2), levels="all")
    due = LAST + 14 * DAY
    assert [("raised", HIGH, due), ("raised", MEDIUM, due)] == seen(playbook, TWO_ORDERS).until(
        400 * DAY
    ).said()


def test_a_cool_down_defers_and_counts_from_the_due() -> None:
    """Due = max(crossing, last due + cool-down), whenever the last one was seen."""
    cool = 120 * DAY
    playbook = only(risk_medium=Risk(probability=0.6, cool_down=cool), risk_high=None)
    back = AT_60 + 20 * DAY
    own = crossing(0.6, (0, LAST, back))
    assert own < AT_60 + cool
    world = seen(playbook, [*TWO_ORDERS, order(back)]).until(AT_60 + cool)
    assert 2 == len(world.said())
    assert ("raised", MEDIUM, AT_60 + cool) == world.until(400 * DAY).said()[-1]


def test_a_crossing_after_the_cool_down_is_not_deferred() -> None:
    """The later of the two decides."""
    playbook = only(risk_medium=Risk(probability=0.6, cool_down=30 * DAY), risk_high=None)
    back = AT_60 + 20 * DAY
    world = seen(playbook, [*TWO_ORDERS, order(back)]).until(400 * DAY)
    assert ("raised", MEDIUM, crossing(0.6, (0, LAST, back))) == world.said()[-1]


def test_risk_deferred_past_the_lapse_is_void() -> None:
    """A cool-down that ends after the lapse leaves nothing to fire."""
    playbook = only(risk_medium=Risk(probability=0.6, cool_down=300 * DAY), risk_high=None)
    world = seen(playbook, [*TWO_ORDERS, order(AT_60 + DAY)]).until(AT_60 + DAY + HALF_YEAR + DAY)
    assert ["raised", "cleared"] == [kind for kind, _, _ in world.said()]


@pytest.mark.parametrize(
    ("kind", "back"), [("revoked", AT_60), ("revoked", AT_60 - DAY), ("cleared", AT_60 + 1)]
)
def test_a_late_order_revokes_up_to_the_due_and_clears_after_it(kind: str, back: int) -> None:
    """Dated at or before the due it was never true; the trigger says when the order was."""
    world = seen(only(risk_high=None), TWO_ORDERS).until(AT_60 + 10 * DAY)
    world.see(order(back))
    assert [("raised", MEDIUM, AT_60), (kind, MEDIUM, AT_60)] == world.said()


def test_a_revoked_firing_gives_its_cool_down_back() -> None:
    """The next one is due at its own crossing."""
    playbook = only(risk_medium=Risk(probability=0.6, cool_down=150 * DAY), risk_high=None)
    world = seen(playbook, TWO_ORDERS).until(AT_60 + 10 * DAY)
    world.see(order(AT_60))
    assert ("raised", MEDIUM, crossing(0.6, (0, LAST, AT_60))) == world.until(400 * DAY).said()[-1]


def test_a_late_order_that_is_older_moves_what_has_not_fired() -> None:
    """One more repeat day: the crossing moves."""
    world = seen(only(risk_high=None), TWO_ORDERS).until(LAST + DAY)
    world.see(order(10 * DAY))
    assert crossing(0.6, (0, 10 * DAY, LAST)) != AT_60
    assert [("raised", MEDIUM, crossing(0.6, (0, 10 * DAY, LAST)))] == world.until(400 * DAY).said()


def test_a_late_order_that_puts_a_due_into_the_past_fires_at_once() -> None:
    """The second purchase day becomes known late: by then the risk is overdue."""
    world = seen(only(risk_medium=Risk(probability=0.1), risk_high=None), [order(10 * DAY)]).until(31 * DAY)
    world.see(order(DAY))
    assert [("raised", MEDIUM, 24 * DAY)] == world.said()


def test_what_has_fired_is_neither_moved_nor_taken_back_by_an_older_order() -> None:
    """Only an order on a later day ends a spell."""
    world = seen(only(risk_high=None), TWO_ORDERS).until(AT_60 + 1)
    world.see(order(10 * DAY, late=True))
    assert crossing(0.6, (0, 10 * DAY, LAST)) != AT_60
    assert [("raised", MEDIUM, AT_60)] == world.until(AT_60 + 100 * DAY).said()


def test_an_order_later_on_the_spells_own_day_begins_the_silence_anew() -> None:
    """The spell keeps its name, and silence counts from the newest order."""
    playbook = Playbook(model=MODEL, silent_for=SilentFor(days=(60,)))
    world = seen(playbook, [order(0), order(DAY - 1)]).until(100 * DAY)
    assert [("raised", "silent_for", 61 * DAY - 1)] == world.said()
    assert ["spell:1997-05-19"] == [trigger.episode for trigger in world.triggers]


def test_closed_spells_are_not_reopened() -> None:
    """A late order inside a spell that is over revokes nothing of it and raises nothing in it."""
    playbook = Playbook(model=MODEL, silent_for=SilentFor(days=(10,)))
    world = seen(playbook, [order(0), order(20 * DAY)])
    assert ["raised", "cleared"] == [kind for kind, _, _ in world.said()]
    world.see(order(5 * DAY))
    assert 2 == len(world.said())


def test_a_spell_is_named_by_the_day_of_its_purchase() -> None:
    """The trigger's id carries the start of that day."""
    (trigger,) = seen(only(risk_high=None), TWO_ORDERS).until(AT_60 + 1).triggers
    assert "spell:1997-06-16" == trigger.episode
    assert START + 28 * DAY == ulid_time(trigger.id)


def ulid_time(identifier: str) -> int:
    """The instant in the first ten characters of a ULID."""
    number = 0
    for letter in identifier[:10]:
        number = number * 32 + "0123456789ABCDEFGHJKMNPQRSTVWXYZ".index(letter)
    return number


def test_a_raised_version_lets_a_rule_fire_anew() -> None:
    """The version is part of what happens at most once."""
    world = seen(only(risk_high=None), TWO_ORDERS).until(AT_60 + 1)
    world.under(only(risk_high=None, risk_medium=Risk(version=2)), "playbook")
    assert [1, 2] == [trigger.rule_version for trigger in world.triggers]
    assert 2 == len({trigger.id for trigger in world.triggers})


def test_nothing_fires_twice_in_a_spell() -> None:
    """However long it lasts and however often one looks."""
    world = World(RISK)
    world.see(*TWO_ORDERS)
    for day in range(29, 500):
        world.until(day * DAY)
    assert [MEDIUM, HIGH] == [rule for _, rule, _ in world.said()]


def test_risk_that_a_cool_down_made_void_stays_void() -> None:
    """Though the firing that held it back is forgotten when the next one is looked at."""
    playbook = only(
        risk_medium=Risk(probability=0.6, cool_down=200 * DAY),
        risk_high=None,
        silent_for=SilentFor(days=(300, 400)),
    )
    world = seen(playbook, [*TWO_ORDERS, order(AT_60 + DAY)])
    for day in range(world.clock // DAY + 1, 700):
        world.until(day * DAY)
    assert ["raised", "cleared"] == [kind for kind, _, _ in world.said(MEDIUM)]
    assert 2 == len(world.said("silent_for"))
