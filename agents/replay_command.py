"""The command `winback replay`, and its options."""

from typing import Annotated

import typer

from agents.options import AsJson, Bootstrap, ModelFile, PlaybookFile, settings_of

NewApplicationId = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Names the replay and its topics: one that has no state. Needed."),
]


def replay(
    context: typer.Context,
    *,
    since: Annotated[
        str,
        typer.Option(
            "--from", metavar="TIME", help="What occurred then or later: 2026-01-31, or 2026-01-31T12:00Z."
        ),
    ],
    until: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="What occurred before then, and silence up to then. Else now."),
    ] = None,
    bootstrap: Bootstrap = None,
    application_id: NewApplicationId = None,
    playbook: PlaybookFile = None,
    model: ModelFile = None,
    as_json: AsJson = False,
) -> None:
    """Replay a time again, apart from the live application: what would have been said?

    State and triggers are made anew of the events from --from on, by this command's playbook and
    model, under an --application-id that has no state yet. All of it goes to topics of that id's own,
    which are created: nothing of the live application changes, and every trigger says origin replay.
    A replay that broke off goes on when the same command is given again.
    """
    settings = settings_of(
        context,
        bootstrap=bootstrap,
        application_id=application_id,
        playbook=playbook,
        model=model,
    )
    from agents.replay import run_replay

    named = application_id is not None or "application_id" in context.obj
    raise typer.Exit(run_replay(settings, since, until, named=named, as_json=as_json))
