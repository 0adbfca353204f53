"""Which changes of a schema break somebody: made-up changes, one by one."""

import copy
from typing import Any

import pytest

from schemas.compatibility import Direction, breaks

Schema = dict[str, Any]

BASE: Schema = {
    "$ref": "#/$defs/Order",
    "$defs": {
        "Order": {
            "type": "object",
            "title": "Order",
            "properties": {
                "id": {"type": "string", "minLength": 1, "maxLength": 10},
                "amount": {"type": "integer", "minimum": 0, "maximum": 100},
                "share": {"type": "number"},
                "kind": {"enum": ["a", "b"], "default": "a"},
                "currency": {"type": "string", "pattern": "^[A-Z]{3}$"},
                "at": {"type": "string", "format": "date-time"},
                "note": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
                "items": {"type": "array", "items": {"$ref": "#/$defs/Item"}, "default": []},
                "best": {"anyOf": [{"$ref": "#/$defs/Item"}, {"type": "null"}], "default": None},
            },
            "required": ["id", "amount", "share"],
        },
        "Item": {
            "type": "object",
            "title": "Item",
            "properties": {"sku": {"type": "string"}, "colour": {"type": "string"}},
            "required": ["sku"],
        },
    },
}


def changed(definition: str = "Order", **properties: Any) -> Schema:
    """The base with properties of a definition replaced, or removed where None is given."""
    schema = copy.deepcopy(BASE)
    place = schema["$defs"][definition]["properties"]
    for name, new in properties.items():
        if new is None:
            del place[name]
        else:
            place[name] = new
    return schema


def requiring(*names: str) -> Schema:
    """The base with exactly these properties required, all of them there."""
    schema = changed(extra={"type": "string"})
    schema["$defs"]["Order"]["required"] = list(names)
    return schema


OPTIONAL_TEXT = {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None}
CHANGES: dict[str, tuple[Schema, bool, bool]] = {
    # what changes: (the new schema, does it break what is read, does it break what is written)
    "nothing": (BASE, False, False),
    "an optional property more": (changed(extra=OPTIONAL_TEXT), False, False),
    "a required property more": (requiring("id", "amount", "share", "extra"), True, False),
    "a property less": (changed(note=None), True, True),
    "a property renamed": (changed(note=None, remark=OPTIONAL_TEXT), True, True),
    "an item's property less": (changed("Item", colour=None), True, True),
    "an optional property required": (requiring("id", "amount", "share", "kind"), True, False),
    "a required property optional": (requiring("id", "amount"), False, True),
    "another type": (changed(currency={"type": "integer"}), True, True),
    "an item's other type": (changed("Item", sku={"type": "integer"}), True, True),
    "a fraction where whole numbers stood": (changed(amount={"type": "number"}), False, True),
    "a whole number where fractions stood": (changed(share={"type": "integer"}), True, False),
    "a value more": (changed(kind={"enum": ["a", "b", "c"], "default": "a"}), False, True),
    "a value less": (changed(kind={"enum": ["a"], "default": "a"}), True, False),
    "any text where values were listed": (changed(kind={"type": "string", "default": "a"}), False, True),
    "values listed where any text stood": (changed(at={"enum": ["now"]}), True, True),
    "values of another type": (changed(kind={"enum": [1, 2], "default": "a"}), True, True),
    "a tighter maximum": (changed(amount={"type": "integer", "minimum": 0, "maximum": 99}), True, False),
    "a wider maximum": (changed(amount={"type": "integer", "minimum": 0, "maximum": 101}), False, True),
    "no maximum": (changed(amount={"type": "integer", "minimum": 0}), False, True),
    "a tighter minimum": (changed(amount={"type": "integer", "minimum": 1, "maximum": 100}), True, False),
    "a shorter text": (changed(id={"type": "string", "minLength": 1, "maxLength": 9}), True, False),
    "an empty text": (changed(id={"type": "string", "maxLength": 10}), False, True),
    "no pattern": (changed(currency={"type": "string"}), False, True),
    "another pattern": (changed(currency={"type": "string", "pattern": "^[a-z]+$"}), True, True),
    "no format": (changed(at={"type": "string"}), False, True),
    "null where there was none": (
        changed(currency={"anyOf": [{"type": "string", "pattern": "^[A-Z]{3}$"}, {"type": "null"}]}),
        False,
        True,
    ),
    "no null where there was": (changed(note={"type": "string", "default": None}), True, False),
    "an alternative's property required": (
        changed(best={"anyOf": [{**BASE["$defs"]["Item"], "required": ["sku", "colour"]}, {"type": "null"}]}),
        True,
        False,
    ),
    "an alternative's property less": (
        changed(
            best={
                "anyOf": [
                    {**BASE["$defs"]["Item"], "properties": {"sku": {"type": "string"}}},
                    {"type": "null"},
                ]
            }
        ),
        True,
        True,
    ),
    "another default": (changed(kind={"enum": ["a", "b"], "default": "b"}), True, False),
    "a keyword nobody knows": (changed(amount={"type": "integer", "multipleOf": 2}), True, True),
    "words alone": ({**BASE, "title": "An order", "description": "of a shop"}, False, False),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("direction", ["read", "written"])
def test_change_breaks_those_who_rely_on_it(change: str, direction: Direction) -> None:
    """A change is a break exactly for those whose messages or expectations it betrays."""
    schema, for_read, for_written = CHANGES[change]
    expected = for_read if direction == "read" else for_written
    found = breaks(BASE, schema, direction)
    assert expected == bool(found), found


def test_break_names_its_place() -> None:
    """What is found says where, down into the items of a list."""
    schema = changed("Item", sku={"type": "integer"})
    schema["$defs"]["Order"]["properties"]["kind"]["enum"] = ["a"]
    assert [
        "$.kind: b against the values a",
        "$.items[].sku: type string against integer",
        "$.best.sku: type string against integer",
    ] == breaks(BASE, schema, "read")
