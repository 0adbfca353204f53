"""What the pages name is there: files, headings, commands, options, settings, metrics."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from agents.cli import app, main
from docs.draw import ROOT
from streams.compiled import VARIABLE
from streams.metrics import Metrics
from streams.settings import Settings
from tests.docs.pages import PAGES, anchors, blocks, prose

_LINK = re.compile(r"\]\(([^)\s]+)\)")
_VARIABLE = re.compile(r"\bWINBACK_([A-Z_]+)\b")
_METRIC = re.compile(r"\bwinback_[a-z_]+\b")
_NO_SETTINGS = {"TEST_BOOTSTRAP", "REQUIRE_KAFKA", VARIABLE.removeprefix("WINBACK_")}
"""Read by the tests, and before there are settings."""

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


@each_page
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    """To a file of the project and, where it names one, to a heading of it."""
    astray = []
    for link in _LINK.findall(prose(page)):
        if re.match("[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            astray.append(link)
    assert [] == astray


@each_page
def test_every_command_can_be_given(page: Path) -> None:
    """Each `winback ...` is a command of the program, with options that it has."""
    assert [] == [words for words in _commands(page) if _unknown(words)]


def test_every_command_of_the_program_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    """--help works for each, and some page shows it at work."""
    root = get_command(app)
    assert isinstance(root, TyperGroup)
    shown = {words[0] for page in PAGES for words in _commands(page) if words}
    # A hidden one is called by the program alone.
    assert {name for name, each in root.commands.items() if not each.hidden} == shown - {"--help"}
    for name in root.commands:
        assert 0 == main([name, "--help"])
        assert f"winback {name}" in capsys.readouterr().out


@each_page
def test_every_make_target_is_there(page: Path) -> None:
    """Whatever a page says to `make`."""
    text = page.read_text(encoding="utf-8")
    targets = set(re.findall(r"(?:`|^|\d )make ([a-z]+)\b", text, re.MULTILINE))
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert set() == targets - set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))


@each_page
def test_every_variable_is_a_setting(page: Path) -> None:
    """No page names a WINBACK_ variable that nobody reads."""
    names = {name.lower() for name in _VARIABLE.findall(page.read_text(encoding="utf-8"))}
    assert set() == names - {name.lower() for name in _NO_SETTINGS} - Settings.model_fields.keys()


@each_page
def test_every_metric_is_one_of_the_code(page: Path) -> None:
    """No page names a metric that is not exposed, also not inside of an expression."""
    registry = CollectorRegistry()
    Metrics(registry)
    exposed = {
        f"{family.name}{suffix}"
        for family in registry.collect()
        for suffix in {"counter": ["_total"], "histogram": ["", "_bucket", "_sum", "_count"]}.get(
            family.type, [""]
        )
    }
    named = {
        name for name in _METRIC.findall(page.read_text(encoding="utf-8")) if not re.match(r"\w+_\d", name)
    }
    assert set() == named - exposed - {"winback_"}


def _commands(page: Path) -> Iterator[list[str]]:
    """The words after `winback` in shell blocks and in code within a line."""
    lines = [line for block in blocks(page, "sh") for line in block.splitlines()]
    lines += re.findall(r"`(winback [^`]+)`", prose(page))
    for line in lines:
        words = shlex.split(line, comments=True)
        if words[:1] == ["winback"]:
            yield words[1:]


def _unknown(words: list[str]) -> list[str]:
    """What of a command line the program does not know."""
    command: object = get_command(app)
    options = {"--help"}
    while isinstance(command, TyperGroup):
        options |= {option for parameter in command.params for option in parameter.opts}
        if not words or words[0].startswith("-"):
            break
        name, *words = words
        command = command.commands.get(name)
        if command is None:
            return [name]
    if isinstance(command, TyperCommand):
        options |= {option for parameter in command.params for option in parameter.opts}
    return [word for word in words if word.startswith("-") and word not in options]
