"""docs/playbook.md: every rule and key of the packaged playbook, with its default and what is allowed."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from docs.draw import ROOT
from schemas.errors import PlaybookError
from streams.playbook_file import RULES, load_playbook
from tests.docs.pages import blocks, named, read, rows, section

PAGE: Final = ROOT / "docs" / "playbook.md"
PACKAGED: Final[dict[str, Any]] = tomllib.loads(read("streams/playbook.toml"))
COMMON: Final = ("enabled", "version", "cool_down", "action")


def keys(table: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted key, default) of a table and of the tables in it."""
    for key, value in table.items():
        if isinstance(value, dict):
            yield from keys(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def as_toml(value: object) -> str:
    """A value as the page writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)


def allowed(path: str, folder: Path) -> str:
    """What the program itself says is allowed: asked by giving it a list, which suits no key."""
    table, _, key = path.rpartition(".")
    file = folder / "wrong.toml"
    file.write_text(f"[{table}]\n{key} = []\n" if table else f"{key} = []\n", encoding="utf-8")
    with pytest.raises(PlaybookError) as refused:
        load_playbook(file, None)
    found = re.fullmatch(r"\S+ \S+ must be (.*), not \[\]", str(refused.value))
    assert found is not None, refused.value
    return re.sub(r'a duration from ("[^"]*") to ("[^"]*"), in days, hours or minutes', r"\1 to \2", found[1])


def test_every_rule_has_a_section() -> None:
    """In the order of the file."""
    titles = re.findall(r"^### (\w+)$", read("docs/playbook.md"), re.MULTILINE)
    assert list(RULES) == titles
    assert list(PACKAGED["rules"]) == titles


@pytest.mark.parametrize("rule", RULES)
def test_every_key_of_a_rule_stands_there_with_its_default(rule: str) -> None:
    """The table of the rule's section is its table in the packaged playbook."""
    table = rows(section(read("docs/playbook.md"), rule))
    expected = {key: as_toml(value) for key, value in keys(PACKAGED["rules"][rule])}
    assert expected == {named(row[0])[0]: named(row[1])[0] for row in table}


@pytest.mark.parametrize("rule", RULES)
def test_what_is_allowed_is_what_the_program_allows(rule: str, tmp_path: Path) -> None:
    """Each key of a rule has the bounds that its error message names."""
    for row in rows(section(read("docs/playbook.md"), rule)):
        key = named(row[0])[0]
        if key not in COMMON:
            assert allowed(f"rules.{rule}.{key}", tmp_path) == row[2].replace("`", "")


def test_the_keys_of_all_rules_have_the_bounds_that_the_program_allows(tmp_path: Path) -> None:
    """The four keys that every rule shares are described once, for all."""
    table = [row for row in rows(section(read("docs/playbook.md"), "For all rules")) if len(row) == 3]
    assert list(COMMON) == [named(row[0])[0] for row in table]
    for row in table:
        for rule in RULES:
            assert allowed(f"rules.{rule}.{named(row[0])[0]}", tmp_path) == row[1].replace("`", "")


def test_every_key_beside_the_rules_stands_there(tmp_path: Path) -> None:
    """With its default and its bounds; those of [value] under what concerns money."""
    page = read("docs/playbook.md")
    table = [row for row in rows(section(page, "For all rules")) if len(row) == 4]
    table += [row for row in rows(section(page, "Rates and money")) if "rates" not in row[0]]
    expected = {
        key: as_toml(value) for key, value in keys(PACKAGED) if not key.startswith(("rules.", "rates."))
    }
    assert expected == {named(row[0])[0]: named(row[1])[0] for row in table}
    for row in table:
        assert allowed(named(row[0])[0], tmp_path) == row[2].replace("`", "")


def test_a_rate_has_the_bounds_that_the_program_allows(tmp_path: Path) -> None:
    """A rate is no key of the packaged playbook, yet it stands on the page."""
    [row] = [row for row in rows(section(read("docs/playbook.md"), "Rates and money")) if "rates" in row[0]]
    assert allowed(named(row[0])[0], tmp_path) == row[2]


def test_the_examples_are_playbooks(tmp_path: Path) -> None:
    """Each TOML block of the page can be loaded as it is."""
    for number, block in enumerate(blocks(PAGE, "toml")):
        file = tmp_path / f"{number}.toml"
        file.write_text(block, encoding="utf-8")
        load_playbook(file, None)
    assert 2 == number + 1


def test_the_mistake_is_told_as_the_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A threshold of 75 instead of .75, on the fourth line of a file."""
    monkeypatch.chdir(tmp_path)
    example = next(blocks(PAGE, "toml")).replace("0.75", "75")
    Path("my.toml").write_text(example, encoding="utf-8")
    with pytest.raises(PlaybookError) as refused:
        load_playbook(Path("my.toml"), None)
    assert f"error: {refused.value}" == next(blocks(PAGE, "text")).strip()
