"""The JSON Schemas (2020-12) of what Winback reads and writes, generated from the structs.

    python -m schemas.publish

writes `schemas/json/<topic>/v1.json`, and refuses to where a schema would break those who rely on
the one that stands there (schemas/compatibility.py says what breaks). Such a change is a version 2:
a new struct, a new type name, a new file, and the old one stays.
"""

import sys
from inspect import cleandoc
from pathlib import Path
from typing import Any, Final

import msgspec

from schemas.codec import TRIGGER_TYPES
from schemas.compatibility import Direction, breaks
from schemas.topics import (
    CHURN_RISK,
    CUSTOMER_HEALTH,
    ERASURE_RECEIPTS,
    READ,
    WIN_BACK,
    TopicSpec,
)

PUBLISHED: Final = Path(__file__).parent / "json"
VERSION: Final = 1
TOPICS: Final = (*READ, CHURN_RISK, WIN_BACK, CUSTOMER_HEALTH, ERASURE_RECEIPTS)


def schema_of(topic: TopicSpec) -> dict[str, Any]:
    """The schema of the topic's values (in CloudEvents' structured mode: of `data`)."""
    assert topic.body is not None, topic
    generated = msgspec.json.schema(topic.body)
    definitions = generated["$defs"]
    for definition in definitions.values():
        if "description" in definition:
            definition["description"] = cleandoc(definition["description"])
    kinds = sorted(kind for body, kind in TRIGGER_TYPES if body is topic.body)
    if kinds:
        # The struct shares one list of kinds with its sibling; a topic sees its own alone.
        definitions[topic.body.__name__]["properties"]["kind"]["enum"] = kinds
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:winback:{topic.name}:v{VERSION}",
        **generated,
    }
    # As it reads back from its file: a default of () is [] there.
    return msgspec.json.decode(msgspec.json.encode(schema), type=dict[str, Any])


def direction_of(topic: TopicSpec) -> Direction:
    """Whether Winback reads the topic's values or writes them."""
    return "read" if topic in READ else "written"


def path_of(topic: TopicSpec, directory: Path = PUBLISHED) -> Path:
    """Where the topic's schema stands."""
    return directory / topic.name / f"v{VERSION}.json"


def rendered(schema: dict[str, Any]) -> bytes:
    """The content of the file."""
    return msgspec.json.format(msgspec.json.encode(schema), indent=2) + b"\n"


def publish(schemas: dict[TopicSpec, dict[str, Any]], directory: Path) -> list[str]:
    """Write the schemas into `directory`, or nothing at all and return what they would break."""
    broken: list[str] = []
    for topic, schema in schemas.items():
        path = path_of(topic, directory)
        if path.exists():
            before = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
            broken += [f"{topic.name}: {line}" for line in breaks(before, schema, direction_of(topic))]
    if not broken:
        for topic, schema in schemas.items():
            path = path_of(topic, directory)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(rendered(schema))
    return broken


def main() -> int:
    """Publish; exit code 1 where a version 2 is due."""
    broken = publish({topic: schema_of(topic) for topic in TOPICS}, PUBLISHED)
    for line in broken:
        sys.stderr.write(f"{line}\n")
    if broken:
        sys.stderr.write("Nothing was written: this change needs a version 2 beside the published one.\n")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
