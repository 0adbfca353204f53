"""The table's columns on spells counted by hand, and the published table itself."""

from datetime import date, timedelta

from agents.cdnow import FIRST_DAY, CdnowPurchase, cdnow_purchases, default_cache
from agents.detection import PUBLISHED, Row, Spell, cdnow_spells, detection_row, detection_table, midnight
from bench.detection import detect
from schemas.instants import DAY_MS

LAPSE_AGE = 100 * DAY_MS


def spell(customer: str, gap_days: int | None) -> Spell:
    """A first purchase at the epoch, and the next one so many days later."""
    return Spell(customer, 0, None if gap_days is None else gap_days * DAY_MS, 1, 0)


def date_of(day: int) -> date:
    """A day of CDNOW, 0 being 1 January 1997."""
    return FIRST_DAY + timedelta(days=day)


def day_of(instant: int) -> int:
    """The day of CDNOW that starts at an instant."""
    return (instant - midnight(FIRST_DAY)) // DAY_MS


def test_each_column_counts_what_it_says() -> None:
    """Two return (one alarmed too early), three lapse (one caught after 40 days, one late, one never)."""
    spells = [spell("a", 30), spell("b", 50), spell("c", None), spell("d", 101), spell("e", None)]
    alarms = {("a", 0): 20, ("b", 0): 50, ("c", 0): 40, ("d", 0): 101}
    expected = Row(2, 1 / 2, 1 / 3, (40 + 100 + 100) / 3, 1 / 2)
    assert expected == detection_row(spells, {key: day * DAY_MS for key, day in alarms.items()}, LAPSE_AGE)


def test_a_purchase_at_the_lapse_age_is_a_return() -> None:
    """A gap of exactly the lapse age returns; a millisecond more lapses."""
    on_time, late = spell("a", 100), Spell("b", 0, LAPSE_AGE + 1, 1, 0)
    alarms = {("a", 0): 0, ("b", 0): 0}
    assert Row(1, 1.0, 0.0, 0.0, 0.0) == detection_row([on_time], alarms, LAPSE_AGE)
    assert Row(1, 0.0, 1.0, 0.0, 1.0) == detection_row([late], alarms, LAPSE_AGE)


def test_an_alarm_at_the_instant_of_the_return_was_prevented_by_it() -> None:
    """At equal instants the event wins, so such an alarm is not counted; one millisecond before, it is."""
    returning = [spell("a", 30)]
    assert detection_row(returning, {("a", 0): 30 * DAY_MS}, LAPSE_AGE).alarms == 0
    assert detection_row(returning, {("a", 0): 30 * DAY_MS - 1}, LAPSE_AGE).alarms == 1


def test_alarms_about_other_spells_are_left_out() -> None:
    """An alarm about another spell of the customer, or another customer, changes nothing."""
    spells = [spell("a", 30), spell("b", None)]
    silent = detection_row(spells, {}, LAPSE_AGE)
    assert silent == detection_row(spells, {("a", 30 * DAY_MS): 31 * DAY_MS, ("z", 0): 5}, LAPSE_AGE)


def test_no_spells_and_no_alarms_give_zeros() -> None:
    """An empty topic is a table of zeros, not a division by zero."""
    assert Row(0, 0.0, 0.0, 0.0, 0.0) == detection_row([], {})


def test_purchases_of_one_day_start_one_spell() -> None:
    """Days 273 and 363 are inside, 272 and 364 outside; a day's second purchase starts nothing."""
    dates = {day: CdnowPurchase("a", date_of(day), 100, 1) for day in (0, 272, 273, 363, 364)}
    purchases = sorted([*dates.values(), CdnowPurchase("a", date_of(273), 900, 2)])
    spells = cdnow_spells(purchases)
    expected = [(273, 363, 3), (363, 364, 4)]
    assert expected == [(day_of(spell.start_at), day_of(spell.next_at or 0), spell.days) for spell in spells]
    assert {0} == {day_of(spell.first_at) for spell in spells}


def test_the_score_reaches_the_published_table() -> None:
    """On CDNOW's 7,364 spells each rule raises exactly the published alarms, to the last digit."""
    spells = cdnow_spells(cdnow_purchases(default_cache()))
    assert len(spells) == 7_364
    rows = detect(spells)
    assert list(PUBLISHED) == list(rows)
    for rule, published in PUBLISHED.items():
        row = rows[rule]
        assert published == Row(
            row.alarms,
            round(row.false_alarm_rate, 4),
            row.caught,
            round(row.mean_delay_days, 2),
            round(row.precision, 4),
        )


def test_the_terminal_shows_both_figures() -> None:
    """One line a rule, with the published figure below ours where there is one."""
    table = detection_table({"silent_for 60": Row(1, 0.5, 1.0, 60.0, 0.25), "another": Row(2, 0, 0, 0, 0)})
    expected = [["silent_for 60", "another"], ["1\n[dim]3,525[/dim]", "2"]]
    assert expected == [list(column.cells) for column in table.columns[:2]]
