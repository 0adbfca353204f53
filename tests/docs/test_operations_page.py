"""docs/operations.md: every setting, topic, reason and exit code, as the code has them."""

from pathlib import Path
from typing import Final

from pydantic import SecretStr
from pydantic_core import PydanticUndefined

from agents.console import ExitCode
from schemas.instants import DAY_MS
from schemas.reasons import REASONS
from schemas.topics import Topics, TopicSpec
from streams.settings import Settings
from tests.docs.pages import named, read, rows, section

PAGE: Final = read("docs/operations.md")


def default_of(name: str) -> str:
    """A setting's default as the page writes it; nothing where there is none."""
    default = Settings.model_fields[name].default
    assert default is not PydanticUndefined
    assert not isinstance(default, (Path, SecretStr))
    return "" if default in {None, ""} else f"`{default}`"


def test_every_setting_stands_there_with_its_default() -> None:
    """No variable is left out, and none has another default."""
    table = {named(row[0])[0]: row[1] for row in rows(section(PAGE, "Settings"))}
    assert {f"WINBACK_{name.upper()}": default_of(name) for name in Settings.model_fields} == table


def test_every_reason_of_a_dead_letter_stands_there() -> None:
    """In the order of the list, each with what to do."""
    table = rows(section(PAGE, "Dead letters"))
    assert list(REASONS) == [named(row[0])[0] for row in table]
    assert all(row[1] and row[2] for row in table)


def test_every_exit_code_stands_there() -> None:
    """By number."""
    assert [str(code.value) for code in ExitCode] == [row[0] for row in rows(section(PAGE, "Exit codes"))]


def test_every_topic_stands_there_with_its_retention() -> None:
    """By its name without a prefix."""
    table = {name: row[2] for row in rows(section(PAGE, "Topics")) for name in named(row[0])}
    expected = {spec.name: kept(spec) for spec in Topics("<application id>").all()}
    assert expected == table


def kept(spec: TopicSpec) -> str:
    """How long a topic keeps what is in it, in the page's words."""
    if spec.compacted:
        return "the last of each key"
    return "for ever" if spec.retention_ms is None else f"{spec.retention_ms // DAY_MS} days"
