"""Reading a TOML file table by table, with errors that name file, line, key and what is allowed.

tomllib does not say where a key stood, so the lines are found by a second, shallow look at the
text. A key inside an inline table has no line of its own and takes that of the table.
"""

import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn

from schemas.errors import PlaybookError

MINUTE_MS = 60_000
_UNITS = {"day": 1440 * MINUTE_MS, "hour": 60 * MINUTE_MS, "minute": MINUTE_MS}
_DURATION = re.compile(r"([0-9]{1,6}) *(day|hour|minute)s?")
_DECIMAL = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?")
_PART = r"""(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')"""
_DOTTED = rf"{_PART}(?:\s*\.\s*{_PART})*"
_HEADER = re.compile(rf"\s*\[\s*({_DOTTED})\s*\]\s*(?:#.*)?")
_KEY = re.compile(rf"\s*({_DOTTED})\s*=")

KeyPath = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """One TOML file: its values, and the line of each key that has one."""

    name: str
    tree: Mapping[str, Any]
    lines: Mapping[KeyPath, int]

    @classmethod
    def read(cls, path: Path) -> "Document":
        """The file at `path`; PlaybookError where it cannot be read or is not TOML."""
        try:
            text = path.read_bytes().decode()
            tree = tomllib.loads(text, parse_float=Decimal)
        except OSError as error:
            raise PlaybookError(f"{path}: cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise PlaybookError(f"{path}: is not UTF-8 text") from error
        except tomllib.TOMLDecodeError as error:
            raise PlaybookError(f"{path}: is not valid TOML: {error}") from error
        except (ValueError, ArithmeticError, RecursionError) as error:
            # What int(), Decimal() and deep nesting raise past tomllib's own check of the syntax.
            raise PlaybookError(f"{path}: holds a number or a nesting beyond all bounds") from error
        return cls(str(path), tree, dict(_lines(text)))

    def place(self, path: KeyPath) -> str:
        """file:line of a key, or of the innermost table around it that has a line."""
        while path and path not in self.lines:
            path = path[:-1]
        return f"{self.name}:{self.lines[path]}" if path else self.name

    def table(self, path: KeyPath) -> Mapping[str, Any]:
        """The table at `path`, empty where there is none; PlaybookError where it is something else."""
        table = self.tree
        for depth, part in enumerate(path, start=1):
            inner = table.get(part, {})
            if not isinstance(inner, Mapping):
                raise PlaybookError(f"{self.place(path)}: {'.'.join(path[:depth])} must be a table")
            table = inner
        return table


def _lines(text: str) -> Iterator[tuple[KeyPath, int]]:
    """(key path, line) of each header and each `key =`; a later sight of a path wins nothing."""
    header: KeyPath = ()
    seen: set[KeyPath] = set()
    for number, line in enumerate(text.splitlines(), start=1):
        if found := _HEADER.fullmatch(line):
            path = header = _parts(found[1])
        elif found := _KEY.match(line):
            path = header + _parts(found[1])
        else:
            continue
        for depth in range(1, len(path) + 1):
            if path[:depth] not in seen:
                seen.add(path[:depth])
                yield path[:depth], number


def _parts(dotted: str) -> KeyPath:
    return tuple(part.strip("\"'") for part in re.findall(_PART, dotted))


class Section:
    """One table, looked up in the user's file first and in the packaged one after it.

    Each reader returns the value of a key in the program's own units or raises PlaybookError.
    `finish` then refuses every key that nobody asked for.
    """

    def __init__(self, documents: tuple[Document, ...], *path: str) -> None:
        self.documents = documents
        self.path = path
        self._tables = [document.table(path) for document in documents]
        self._asked: set[str] = set()

    def section(self, name: str) -> "Section":
        """The table `name` inside this one."""
        self._asked.add(name)
        return Section(self.documents, *self.path, name)

    def names(self) -> Iterable[str]:
        """The keys that stand in any of the files, each once."""
        return dict.fromkeys(key for table in self._tables for key in table)

    def refuse(self, key: str, problem: str) -> NoReturn:
        """Raise PlaybookError with the place and the full name of `key` before the problem.

        The place is in the user's file even where the key is not: the packaged one is sound.
        """
        path = (*self.path, key)
        raise PlaybookError(f"{self.documents[0].place(path)}: {'.'.join(path)} {problem}")

    def whole(self, key: str, least: int, most: int) -> int:
        """A whole number, `least` to `most`."""
        value = self._take(key)
        if not _is_whole(value) or not least <= value <= most:
            self._mismatch(key, f"a whole number from {least} to {most}", value)
        return int(value)

    def number(self, key: str, allowed: str, fits: Callable[[Decimal], bool]) -> Decimal:
        """An exact decimal, bare or in quotes, for which `fits` holds; `allowed` says so in words."""
        value = self._take(key)
        number = _decimal(value)
        if number is None or not fits(number):
            self._mismatch(key, allowed, value)
        return number

    def duration(self, key: str, least: str, most: str) -> int:
        """Milliseconds of a text such as "30 days"; the bounds are such texts too."""
        value = self._take(key)
        length = _milliseconds(value)
        if length is None or not _bound(least) <= length <= _bound(most):
            allowed = f'a duration from "{least}" to "{most}", in days, hours or minutes'
            self._mismatch(key, allowed, value)
        return length

    def flag(self, key: str) -> bool:
        """true or false."""
        value = self._take(key)
        if not isinstance(value, bool):
            self._mismatch(key, "true or false", value)
        return value

    def word(self, key: str, allowed: tuple[str, ...]) -> str:
        """One of a few words."""
        value = self._take(key)
        if value not in allowed:
            self._mismatch(key, " or ".join(f'"{word}"' for word in allowed), value)
        return str(value)

    def text(self, key: str, pattern: str, allowed: str) -> str:
        """A text that `pattern` matches from end to end; `allowed` says so in words."""
        value = self._take(key)
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            self._mismatch(key, allowed, value)
        return value

    def wholes(self, key: str, least: int, most: int) -> tuple[int, ...]:
        """At least one whole number, ascending, none twice."""
        value = self._take(key)
        if (
            not isinstance(value, list)
            or not value
            or not all(_is_whole(item) and least <= item <= most for item in value)
            or sorted(set(value)) != value
        ):
            self._mismatch(key, f"a list of whole numbers from {least} to {most}, ascending", value)
        return tuple(value)

    def finish(self) -> None:
        """Refuse what was not asked for, with the nearest names it could have been."""
        for key in self.names():
            if key not in self._asked:
                near = get_close_matches(key, self._asked, n=3)
                names = " or ".join(near) if near else ", ".join(sorted(self._asked))
                hint = f"did you mean {names}?" if near else f"here stand {names}"
                self.refuse(key, f"is not a key of the playbook; {hint}")

    def _take(self, key: str) -> Any:
        self._asked.add(key)
        for table in self._tables:
            if key in table:
                return table[key]
        self.refuse(key, "is missing")

    def _mismatch(self, key: str, allowed: str, value: object) -> NoReturn:
        self.refuse(key, f"must be {allowed}, not {_shown(value)}")


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _decimal(value: object) -> Decimal | None:
    """The value as an exact number; None for what is none, or has an exponent nobody means."""
    if isinstance(value, str) and not _DECIMAL.fullmatch(value):
        return None
    if not isinstance(value, (str, int, Decimal)) or isinstance(value, bool):
        return None
    number = Decimal(value)
    return number if number.is_finite() and abs(number.adjusted()) <= 18 else None


def _milliseconds(value: object) -> int | None:
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    return int(found[1]) * _UNITS[found[2]] if found else None


def duration_in_words(milliseconds: int) -> str:
    """The duration as the file would say it, in the largest unit that divides it."""
    for unit, length in _UNITS.items():
        if milliseconds % length == 0:
            count = milliseconds // length
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return f"{milliseconds / MINUTE_MS} minutes"


def _bound(text: str) -> int:
    length = _milliseconds(text)
    assert length is not None, text
    return length


def _shown(value: object) -> str:
    """The value in one line, as it would stand in TOML where that is easy."""
    match value:
        case bool():
            shown = str(value).lower()
        case str():
            shown = '"' + "".join(letter if letter.isprintable() else "?" for letter in value) + '"'
        case int() if abs(value) > 10**20:
            shown = "a number of very many digits"
        case int() | Decimal():
            shown = str(value)
        case list():
            shown = "[" + ", ".join(_shown(item) for item in value[:8]) + "]"
        case Mapping():
            shown = "a table"
        case _:
            shown = f"{value}"
    return shown if len(shown) <= 60 else shown[:57] + "..."
