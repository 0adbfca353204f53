"""What people see: colours on a terminal, plain text in a pipe, one line for every mistake.

Results go to stdout, everything else (errors, notes, progress) to stderr, so that a program can
read the one without the other.
"""

import sys
from enum import IntEnum
from typing import TYPE_CHECKING

from schemas.errors import BrokerUnreachable, ConfigurationError, WinbackError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress


class ExitCode(IntEnum):
    """What a command's exit code means; `winback --help` prints the same list."""

    DONE = 0
    PROBLEM = 1
    """The command ran and found something wrong: a check that failed, rows that cannot be loaded."""
    MISTAKE = 2
    """An option, a setting, a file or a topic that the user can mend."""
    UNREACHABLE = 3
    """No broker answered."""
    FATAL = 4
    """The worker stopped rather than lose or double anything."""
    INTERRUPTED = 130
    """Ctrl-C."""


def exit_code(error: WinbackError) -> ExitCode:
    """The exit code that stands for `error`."""
    if isinstance(error, ConfigurationError):
        return ExitCode.MISTAKE
    if isinstance(error, BrokerUnreachable):
        return ExitCode.UNREACHABLE
    return ExitCode.FATAL


# rich takes a quarter of a second to import, which a program that reads JSON need not wait for.
def output() -> "Console":
    """The console of results."""
    from rich.console import Console

    return Console(highlight=False)


def notes() -> "Console":
    """The console of errors, notes and progress."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def print_error(message: str) -> None:
    """One line in red on stderr, whatever line breaks or markup the message holds."""
    from rich.text import Text

    line = " ".join(message.split())
    notes().print(Text("error: ", style="bold red") + Text(line, style="red"), soft_wrap=True)


def print_note(message: str) -> None:
    """One quiet line on stderr."""
    from rich.text import Text

    notes().print(Text(message, style="dim"), soft_wrap=True)


def print_line(line: bytes) -> None:
    """One line for programs on stdout, there as soon as it is written."""
    sys.stdout.buffer.write(line + b"\n")
    sys.stdout.buffer.flush()


def agreed(question: str) -> bool:
    """Whether the answer is yes; nothing, or the end of the input, is a no."""
    try:
        answer = notes().input(f"{question} [y/N] ", markup=False)
    except EOFError:
        return False
    return answer.strip().lower() in {"y", "yes"}


def progress_bar(*, disable: bool = False) -> "Progress":
    """A progress bar of records on stderr: how many, how fast, how long to go."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=notes(),
        disable=disable,
    )
