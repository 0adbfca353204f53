"""login_decay: due in closed form, ended by a login that lifts the ratio, judged anew by late ones."""

import pytest

from streams.core.playbook import DAY, HOUR, LoginDecay, Playbook, SlaBreach
from streams.core.step import Outcome
from tests.streams.core.definitions import first_instant, login_ratio
from tests.streams.core.world import MODEL, World, login, order, seen, ticket

PLAYBOOK = Playbook(model=MODEL, login_decay=LoginDecay())
DAILY = [login(day * DAY) for day in range(21)]
"""Three weeks of signing in each day, the last time on day 20."""


def falls_at(*days: float, ratio: float = 0.5) -> int:
    """When the ratio after logins on these days falls to `ratio`, by search in the plain definition."""
    logins = [round(day * DAY) for day in days]
    newest = max(logins)
    return first_instant(newest, newest + 60 * DAY, lambda at: login_ratio(logins, at) <= ratio)


DUE = falls_at(*range(21))


def test_a_habit_that_ends_is_told_at_the_instant_the_ratio_falls() -> None:
    """Due to the ms, 1 ms after it and not at it, since an event of that instant would still count."""
    world = seen(PLAYBOOK, DAILY)
    assert [] == world.until(DUE).said()
    assert [("raised", "login_decay", DUE)] == world.until(DUE + 1).said()


def test_the_closed_form_is_the_half_lives() -> None:
    """Five logins at once: 30/7 of the ratio's half-life (1/7 - 1/30 a day) takes it from 30/7 to 1/2."""
    world = seen(PLAYBOOK, [login(0, name=str(number)) for number in range(5)]).until(100 * DAY)
    ((_, _, due),) = world.said()
    assert pytest.approx(28.30, abs=0.01) == due / DAY
    assert falls_at(0, 0, 0, 0, 0) == due


def test_four_logins_are_no_habit() -> None:
    """At least five logins are needed."""
    logins = [login(0, name=str(number)) for number in range(4)]
    assert [] == seen(PLAYBOOK, logins).until(100 * DAY).said()


def test_the_login_that_makes_them_enough_may_be_due_at_once() -> None:
    """Where the ratio is low already, the rule speaks at the instant of the login that lets it."""
    playbook = Playbook(model=MODEL, login_decay=LoginDecay(ratio=0.5, min_logins=41))
    crowd = [login(0, name=str(number)) for number in range(40)]
    world = seen(playbook, [*crowd, login(60 * DAY)])
    assert [("raised", "login_decay", 60 * DAY)] == world.said()


def test_a_login_that_does_not_lift_the_ratio_ends_nothing() -> None:
    """After forty logins at once, a single one two months later leaves the ratio below a half."""
    playbook = Playbook(model=MODEL, login_decay=LoginDecay(ratio=0.5))
    crowd = [login(0, name=str(number)) for number in range(40)]
    world = seen(playbook, [*crowd, login(60 * DAY)]).until(200 * DAY)
    assert [("raised", "login_decay", falls_at(*[0] * 40))] == world.said()


def test_a_login_that_lifts_the_ratio_clears_and_begins_a_new_episode() -> None:
    """Cleared at the login; the next decay is another episode with another id."""
    back = DUE + DAY
    world = seen(PLAYBOOK, [*DAILY, login(back)]).until(back + 60 * DAY)
    again = falls_at(*range(21), back / DAY)
    expected = [
        ("raised", "login_decay", DUE),
        ("cleared", "login_decay", DUE),
        ("raised", "login_decay", again),
    ]
    assert expected == world.said()
    assert 2 == len({trigger.episode for trigger in world.triggers})


def test_a_login_at_the_very_due_prevents_it() -> None:
    """At equal instants the event wins."""
    assert [] == seen(PLAYBOOK, [*DAILY, login(DUE)]).until(DUE + HOUR).said()


def test_orders_and_tickets_clear_no_decay() -> None:
    """Only logins do."""
    world = seen(PLAYBOOK, DAILY).until(DUE + 1)
    world.see(order(DUE + DAY), ticket(DUE + DAY))
    assert [("raised", "login_decay", DUE)] == world.said()


def test_a_cool_down_defers_the_next_decay() -> None:
    """Due = max(crossing, last due + cool-down)."""
    playbook = Playbook(model=MODEL, login_decay=LoginDecay(cool_down=90 * DAY))
    world = seen(playbook, [*DAILY, login(DUE + DAY)]).until(DUE + 90 * DAY)
    assert [DUE, DUE] == [due for _, _, due in world.said()]
    assert ("raised", "login_decay", DUE + 90 * DAY) == world.until(DUE + 90 * DAY + 1).said()[-1]


@pytest.mark.parametrize("late", [DUE, DUE - 10 * DAY])
def test_a_late_login_dated_up_to_the_due_revokes(late: int) -> None:
    """The definition was false as of the due; later it comes true again, under another id."""
    world = seen(PLAYBOOK, DAILY).until(DUE + DAY)
    world.see(login(late, name="late"))
    again = falls_at(*range(21), late / DAY)
    world.until(again + 1)
    expected = [
        ("raised", "login_decay", DUE),
        ("revoked", "login_decay", DUE),
        ("raised", "login_decay", again),
    ]
    assert expected == world.said()
    assert 3 == len({trigger.id for trigger in world.triggers})


def test_a_late_login_dated_after_the_due_clears() -> None:
    """It was true as of its due."""
    world = seen(PLAYBOOK, DAILY).until(DUE + 2 * DAY)
    world.see(login(DUE + DAY))
    assert [("raised", "login_decay", DUE), ("cleared", "login_decay", DUE)] == world.said()


def test_a_late_login_that_leaves_it_true_changes_nothing_said() -> None:
    """An old login weighs on the slow rate more: the ratio was at the threshold even earlier."""
    world = seen(PLAYBOOK, DAILY).until(DUE + 1)
    world.see(login(11 * DAY + HOUR, name="late"))
    assert [("raised", "login_decay", DUE)] == world.until(DUE + 30 * DAY).said()


def test_what_had_been_cleared_is_revoked_when_it_turns_out_never_to_have_been_true() -> None:
    """And the episode that goes on may come true again."""
    world = seen(PLAYBOOK, [*DAILY, login(DUE + DAY)])
    world.see(login(DUE - DAY, name="late"))
    assert ["raised", "cleared", "revoked"] == [kind for kind, _, _ in world.said()]
    again = falls_at(*range(21), DUE / DAY - 1, DUE / DAY + 1)
    assert ("raised", "login_decay", again) == world.until(again + 1).said()[-1]
    assert 4 == len({(trigger.id, trigger.kind) for trigger in world.triggers})


def test_a_revocation_is_remembered_as_long_as_its_episode_lasts() -> None:
    """A habit kept up for a year after a revocation: its decay has an id of its own."""
    playbook = Playbook(model=MODEL, login_decay=LoginDecay(), sla_breach=SlaBreach())
    world = seen(playbook, DAILY).until(DUE + 1)
    world.see(login(DUE - DAY, name="late"))
    start = DUE // DAY + 1
    for day in range(start, start + 365):
        world.see(login(day * DAY))
    # A breach in between tidies up the firings.
    world.see(ticket((start + 365) * DAY))
    world.until((start + 366) * DAY).until((start + 500) * DAY)
    raised = [
        trigger for trigger in world.triggers if trigger.rule == "login_decay" and trigger.kind == "raised"
    ]
    assert 2 == len(raised) == len({trigger.id for trigger in raised})
    assert 1 == len({trigger.episode for trigger in raised})


def test_a_revoked_decay_gives_its_cool_down_back() -> None:
    """The next one is not deferred by what was taken back."""
    playbook = Playbook(model=MODEL, login_decay=LoginDecay(cool_down=90 * DAY))
    world = seen(playbook, DAILY).until(DUE + DAY)
    world.see(login(DUE, name="late"))
    again = falls_at(*range(21), DUE / DAY)
    assert ("raised", "login_decay", again) == world.until(again + 1).said()[-1]


def test_a_login_too_late_is_refused_even_by_hand() -> None:
    """The rates up to there are folded for good."""
    world = seen(PLAYBOOK, DAILY).until(100 * DAY)
    before = world.customer
    assert Outcome.TOO_LATE is world.see(login(5 * DAY, name="late", late=True)).outcome
    assert before is world.customer


def test_a_customer_who_only_signs_in_has_no_score() -> None:
    """Without an order there is no silence to judge: no score and no value."""
    world = World(PLAYBOOK)
    world.see(*DAILY)
    (trigger,) = world.until(DUE + 1).triggers
    assert (None, None) == (trigger.score, trigger.value)


def test_a_lower_ratio_takes_back_that_it_had_fallen() -> None:
    """Under a new playbook the old one's fall is none: due when the ratio falls to the new threshold."""
    crowd = [login(0, name=str(number)) for number in range(20)]
    strict = Playbook(model=MODEL, login_decay=LoginDecay(ratio=0.99, min_logins=50))
    world = seen(strict, [*crowd, login(30 * DAY)])
    loose = Playbook(model=MODEL, login_decay=LoginDecay(ratio=0.3))
    step = world.under(loose, "playbook")
    due = falls_at(*[0] * 20, 30, ratio=0.3)
    assert () == step.triggers
    assert [("raised", "login_decay", due)] == world.until(due + 1).said()


def test_a_playbook_with_the_same_ratio_moves_no_decay() -> None:
    """However often it is changed elsewhere."""
    world = seen(PLAYBOOK, [*DAILY, login(DUE + DAY), login(DUE + 50 * DAY)])
    before = world.customer
    assert before is world.under(PLAYBOOK, "model").customer


def test_a_decay_of_another_playbook_is_cleared_by_the_next_login() -> None:
    """Under the new ratio its episode is none; the ending is never dated before the due."""
    strict = Playbook(model=MODEL, login_decay=LoginDecay(ratio=0.9))
    world = seen(strict, DAILY[:10]).until(40 * DAY)
    ((_, _, due),) = world.said()
    world.see(login(41 * DAY))
    world.until(70 * DAY)
    before = len(world.said())
    world.under(Playbook(model=MODEL, login_decay=LoginDecay(ratio=0.1)), "playbook")
    world.see(login(71 * DAY))
    assert ["cleared"] == [kind for kind, _, _ in world.said()[before:]]
    assert all(trigger.ended_at is None or trigger.ended_at > trigger.due_at for trigger in world.triggers)
    assert due < 41 * DAY
