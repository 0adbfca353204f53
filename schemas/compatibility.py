"""What would break if a published schema were replaced by another of the same version.

For what Winback reads, every message that was valid must stay valid, since producers rely on it.
For what Winback writes it is the other way round: every new message must be valid under the old
schema, since consumers rely on that. Both are one question: does schema A accept whatever B
accepts? It is answered for the part of JSON Schema that msgspec emits; a keyword beyond it counts
as a difference that cannot be judged, and so as a break.

Two things go further than validity. A property that disappears is a break, although an open object
may hold or lack anything. And a changed default of what is read means another thing by the same
message.
"""

from collections.abc import Iterator
from typing import Any, Literal

Schema = dict[str, Any]
Direction = Literal["read", "written"]

_LOWER_BOUNDS = ("minimum", "exclusiveMinimum", "minLength", "minItems")
_UPPER_BOUNDS = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")
_TEXTUAL = ("pattern", "format")
_ANNOTATIONS = ("$schema", "$id", "$defs", "title", "description")
_STRUCTURE = ("type", "enum", "anyOf", "properties", "required", "items", "default")
_KNOWN = frozenset((*_LOWER_BOUNDS, *_UPPER_BOUNDS, *_TEXTUAL, *_ANNOTATIONS, *_STRUCTURE))


def breaks(published: Schema, current: Schema, direction: Direction) -> list[str]:
    """One line for each way in which `current` breaks what `published` promised; empty if none."""
    old, new = _resolved(published, published), _resolved(current, current)
    found = list(_lost(old, new, "$", direction))
    wide, narrow = (new, old) if direction == "read" else (old, new)
    found += _refused(wide, narrow, "$")
    return found


def _resolved(node: Any, root: Schema) -> Any:
    """The schema with each reference replaced by what it refers to (msgspec's own are not circular)."""
    if isinstance(node, list):
        return [_resolved(item, root) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        target = _resolved(root["$defs"][node["$ref"].removeprefix("#/$defs/")], root)
        return {**target, **{key: value for key, value in node.items() if key != "$ref"}}
    return {key: _resolved(value, root) for key, value in node.items() if key != "$defs"}


def _lost(old: Schema, new: Schema, place: str, direction: Direction) -> Iterator[str]:
    """Properties that are gone, and defaults that have changed under those who leave them out."""
    properties = new.get("properties", {})
    for name, before in old.get("properties", {}).items():
        if name not in properties:
            yield f"{place}.{name}: is gone"
            continue
        after = properties[name]
        if direction == "read" and "default" in before and before["default"] != after.get("default", ...):
            yield f"{place}.{name}: has another default"
        yield from _lost(before, after, f"{place}.{name}", direction)
    if "items" in old and "items" in new:
        yield from _lost(old["items"], new["items"], f"{place}[]", direction)
    for before in old.get("anyOf", []):
        for after in new.get("anyOf", [new]):
            if before.get("title") == after.get("title") and "properties" in before:
                yield from _lost(before, after, place, direction)


def _refused(wide: Schema, narrow: Schema, place: str) -> Iterator[str]:
    """Why `wide` refuses something that `narrow` accepts."""
    for keyword in sorted((wide.keys() | narrow.keys()) - _KNOWN):
        if wide.get(keyword, ...) != narrow.get(keyword, ...):
            yield f"{place}: {keyword} differs, and cannot be judged"
    if "anyOf" in narrow:
        for alternative in narrow["anyOf"]:
            yield from _refused(wide, alternative, place)
    elif "anyOf" in wide:
        reasons = [list(_refused(alternative, narrow, place)) for alternative in wide["anyOf"]]
        yield from min(reasons, key=len)  # none, where one alternative takes it
    elif "enum" in wide:
        yield from _refused_by_enum(wide["enum"], narrow, place)
    elif "enum" in narrow:
        # Whether each value keeps to bounds, pattern and format is not worth code: it counts as no.
        limits = [keyword for keyword in (*_LOWER_BOUNDS, *_UPPER_BOUNDS, *_TEXTUAL) if keyword in wide]
        foreign = [value for value in narrow["enum"] if limits or not _is_of(wide.get("type"), value)]
        if foreign:
            yield f"{place}: {_listed(foreign)} against type {wide.get('type')} {_listed(limits)}".rstrip()
    else:
        yield from _refused_by_type(wide, narrow, place)


def _refused_by_enum(allowed: list[Any], narrow: Schema, place: str) -> Iterator[str]:
    if "enum" not in narrow:
        yield f"{place}: anything of type {narrow.get('type')} against a list of values"
        return
    foreign = [value for value in narrow["enum"] if value not in allowed]
    if foreign:
        yield f"{place}: {_listed(foreign)} against the values {_listed(allowed)}"


def _refused_by_type(wide: Schema, narrow: Schema, place: str) -> Iterator[str]:
    types = wide.get("type"), narrow.get("type")
    if types[0] is not None and types[0] != types[1] and types != ("number", "integer"):
        yield f"{place}: type {types[1]} against {types[0]}"
        return
    yield from _refused_by_bounds(wide, narrow, place)
    for name in wide.get("required", []):
        if name not in narrow.get("required", []):
            yield f"{place}.{name}: required against optional"
    for name, inner in narrow.get("properties", {}).items():
        if name in wide.get("properties", {}):
            yield from _refused(wide["properties"][name], inner, f"{place}.{name}")
    if "items" in wide:
        yield from _refused(wide["items"], narrow.get("items", {}), f"{place}[]")


def _refused_by_bounds(wide: Schema, narrow: Schema, place: str) -> Iterator[str]:
    for keyword in _LOWER_BOUNDS:
        if keyword in wide and not narrow.get(keyword, float("-inf")) >= wide[keyword]:
            yield f"{place}: {keyword} {narrow.get(keyword)} against {wide[keyword]}"
    for keyword in _UPPER_BOUNDS:
        if keyword in wide and not narrow.get(keyword, float("inf")) <= wide[keyword]:
            yield f"{place}: {keyword} {narrow.get(keyword)} against {wide[keyword]}"
    for keyword in _TEXTUAL:
        if keyword in wide and narrow.get(keyword) != wide[keyword]:
            yield f"{place}: {keyword} {narrow.get(keyword)} against {wide[keyword]}"


def _is_of(name: str | None, value: Any) -> bool:
    match name:
        case None:
            return True
        case "string":
            return isinstance(value, str)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "number":
            return isinstance(value, (int, float)) and not isinstance(value, bool)
        case _:
            return False


def _listed(values: list[Any]) -> str:
    return ", ".join(str(value) for value in values)
