"""The published schemas: current, valid, and never broken."""

import copy
from pathlib import Path
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator

from schemas.compatibility import breaks
from schemas.publish import TOPICS, direction_of, path_of, publish, rendered, schema_of
from schemas.topics import CHURN_RISK, PURCHASES, WIN_BACK, TopicSpec

by_topic = pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)


def published(topic: TopicSpec) -> dict[str, Any]:
    """The schema as it stands in the repository."""
    return msgspec.json.decode(path_of(topic).read_bytes(), type=dict[str, Any])


@by_topic
def test_published_schema_is_current(topic: TopicSpec) -> None:
    """The file is what `python -m schemas.publish` would write."""
    assert rendered(schema_of(topic)) == path_of(topic).read_bytes()


@by_topic
def test_published_schema_is_valid(topic: TopicSpec) -> None:
    """The file is a valid JSON Schema of draft 2020-12."""
    Draft202012Validator.check_schema(published(topic))
    assert "https://json-schema.org/draft/2020-12/schema" == published(topic)["$schema"]


@by_topic
def test_structs_keep_what_is_published(topic: TopicSpec) -> None:
    """The structs of today break nobody who relies on the published schema."""
    assert [] == breaks(published(topic), schema_of(topic), direction_of(topic))


def test_kinds_are_those_of_the_topic() -> None:
    """Each trigger topic publishes its own kinds alone."""
    kinds = {
        topic.name: published(topic)["$defs"][name]["properties"]["kind"]["enum"]
        for topic, name in ((CHURN_RISK, "ChurnRisk"), (WIN_BACK, "WinBack"))
    }
    assert {
        "churn-risk": ["cleared", "raised", "revoked"],
        "win-back": ["achieved", "due", "revoked"],
    } == kinds


def test_incompatible_change_is_not_published(tmp_path: Path) -> None:
    """A change that breaks a published schema is refused, and no file is touched."""
    schemas = {topic: schema_of(topic) for topic in TOPICS}
    assert [] == publish(schemas, tmp_path)
    before = {topic: path_of(topic, tmp_path).read_bytes() for topic in TOPICS}

    broken = copy.deepcopy(schemas)
    broken[PURCHASES]["$defs"]["Purchase"]["required"].append("channel")
    del broken[CHURN_RISK]["$defs"]["ChurnRisk"]["properties"]["holdout"]
    assert [
        "purchases: $.channel: required against optional",
        "churn-risk: $.holdout: is gone",
    ] == publish(broken, tmp_path)
    assert before == {topic: path_of(topic, tmp_path).read_bytes() for topic in TOPICS}


def test_compatible_change_is_published(tmp_path: Path) -> None:
    """A field more, which a producer may leave out, is published under the same version."""
    schemas = {topic: schema_of(topic) for topic in TOPICS}
    publish(schemas, tmp_path)
    schemas[PURCHASES]["$defs"]["Purchase"]["properties"]["coupon"] = {"type": "string"}
    assert [] == publish(schemas, tmp_path)
    assert b"coupon" in path_of(PURCHASES, tmp_path).read_bytes()
