"""The options that several commands share, and the settings that come of them.

Imported by `winback --help`, so nothing heavy is imported here.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from streams.settings import Settings

# Each overrides its environment variable.
Bootstrap = Annotated[
    str | None,
    typer.Option(metavar="HOST:PORT", help="Kafka brokers, separated by commas. Else WINBACK_BOOTSTRAP."),
]
ApplicationId = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="Names the group, its changelog and its state. Else WINBACK_APPLICATION_ID."
    ),
]
PlaybookFile = Annotated[
    Path | None,
    typer.Option("--playbook", metavar="FILE", help="Rules and thresholds (TOML). Else WINBACK_PLAYBOOK."),
]
ModelFile = Annotated[
    Path | None,
    typer.Option("--model", metavar="FILE", help="What `winback fit` wrote. Else WINBACK_MODEL."),
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on stdout, for programs.")]


def settings_of(context: typer.Context, **options: object) -> "Settings":
    """Settings from the environment, then options before the command, then the command's own."""
    from agents.configuration import read_settings

    own = {name: value for name, value in options.items() if value is not None}
    return read_settings(**{**context.obj, **own})
