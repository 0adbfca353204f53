"""Ids made from content: the same for the same file, different for rows that both count."""

from msgspec import json

from agents.identify import identified
from agents.rows import COMPLETE, NO_ID, NO_ORDER, Row

ROW: Row = (5, b"c1", b'{"customer_id":"c1"}', 0, NO_ID | NO_ORDER)


def ids(*rows: Row, topic: str = "purchases") -> list[str]:
    """The ids the rows get."""
    return [json.decode(value)["id"] for _, value in identified(rows, topic)]


def test_the_same_rows_get_the_same_ids() -> None:
    """A file loaded twice is known by its ids."""
    assert ids(ROW, ROW) == ids(ROW, ROW)


def test_identical_rows_of_one_file_both_count() -> None:
    """Two equal lines are two events."""
    assert 2 == len(set(ids(ROW, ROW)))


def test_identical_rows_of_two_files_are_one_event() -> None:
    """A copy of a file, loaded with it, adds nothing."""
    assert 1 == len(set(ids(ROW, (*ROW[:3], 1, ROW[4]))))


def test_ids_do_not_depend_on_the_rows_around() -> None:
    """A row keeps its id when others, of its own instant or before it, join the file."""
    other: Row = (5, b"c2", b'{"customer_id":"c2"}', 0, NO_ID)
    before: Row = (4, b"c1", b'{"customer_id":"c1"}', 0, NO_ID)
    assert ids(ROW)[0] == ids(before, other, ROW)[2]


def test_a_topic_has_ids_of_its_own() -> None:
    """The same content in two topics is two things."""
    assert ids(ROW) != ids(ROW, topic="logins")


def test_a_missing_order_id_is_derived_likewise() -> None:
    """Each row without an order id is an order of its own, again the same each time."""
    values = [json.decode(value) for _, value in identified([ROW, ROW], "purchases")]
    assert [value["id"] for value in values] == [value["order_id"] for value in values]


def test_what_is_there_is_kept() -> None:
    """Complete rows keep their bytes; a given order id stays beside a derived id."""
    complete: Row = (5, b"c1", b'{ "id":"1" }', 0, COMPLETE)
    with_order: Row = (5, b"c1", b'{"order_id":"o"}', 0, NO_ID)
    with_id: Row = (5, b"c1", b'{"id":"i"}', 0, NO_ORDER)
    first, second, third = (value for _, value in identified([complete, with_order, with_id], "purchases"))
    assert b'{ "id":"1" }' == first
    assert "o" == json.decode(second)["order_id"]
    assert "i" == json.decode(third)["id"]
