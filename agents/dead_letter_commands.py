"""The commands of `winback dlt`, and their options."""

from typing import Annotated

import typer

from agents.options import AsJson, Bootstrap, PlaybookFile, settings_of

dlt = typer.Typer(help="Dead letters, what could not be folded: count them, look at them, send them back.")

# Which dead letters are meant.
OfTopics = Annotated[
    list[str] | None,
    typer.Option(
        "--topic", metavar="TOPIC", help="Of purchases, logins or support-tickets; may be repeated."
    ),
]
ForReasons = Annotated[
    list[str] | None,
    typer.Option("--reason", metavar="REASON", help="Such as unknown_currency; may be repeated."),
]
Since = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="Refused then or later: 2026-01-31, or 2026-01-31T12:00Z."),
]
Until = Annotated[str | None, typer.Option(metavar="TIME", help="Refused before then.")]
WithKey = Annotated[str | None, typer.Option("--customer", metavar="CUSTOMER", help="With this key.")]


@dlt.command("list")
def dlt_list(
    context: typer.Context,
    *,
    topic: OfTopics = None,
    reason: ForReasons = None,
    since: Since = None,
    until: Until = None,
    customer: WithKey = None,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Count dead letters by topic and reason."""
    settings = settings_of(context, bootstrap=bootstrap)
    from agents.dead_letter_report import run_list
    from agents.dead_letters import read_selection

    selection = read_selection(topic, reason, since, until, customer)
    raise typer.Exit(run_list(settings, selection, as_json=as_json))


@dlt.command("show")
def dlt_show(
    context: typer.Context,
    *,
    topic: OfTopics = None,
    reason: ForReasons = None,
    since: Since = None,
    until: Until = None,
    customer: WithKey = None,
    count: Annotated[int, typer.Option(min=1, help="At most so many, the newest.")] = 20,
    value: Annotated[
        bool, typer.Option("--value", help="Show values too, which may hold personal data.")
    ] = False,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Show the newest dead letters one by one: where, why, and what they came with."""
    settings = settings_of(context, bootstrap=bootstrap)
    from agents.dead_letter_report import run_show
    from agents.dead_letters import read_selection

    selection = read_selection(topic, reason, since, until, customer)
    raise typer.Exit(run_show(settings, selection, count=count, with_value=value, as_json=as_json))


@dlt.command("replay")
def dlt_replay(
    context: typer.Context,
    *,
    topic: OfTopics = None,
    reason: ForReasons = None,
    since: Since = None,
    until: Until = None,
    customer: WithKey = None,
    accept_late: Annotated[
        bool,
        typer.Option("--accept-late", help="Mark them, so that what is too late is folded too."),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be sent; send nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Send without asking.")] = False,
    bootstrap: Bootstrap = None,
    playbook: PlaybookFile = None,
    as_json: AsJson = False,
) -> None:
    """Send dead letters back to their topics as they first came, once their cause is mended.

    An event keeps its id, so one that had been folded is not folded again. What would only be
    refused anew, by this command's playbook, is kept back; exit code 1 then.
    """
    settings = settings_of(context, bootstrap=bootstrap, playbook=playbook)
    from agents.dead_letter_replay import run_replay
    from agents.dead_letters import read_selection

    selection = read_selection(topic, reason, since, until, customer)
    raise typer.Exit(
        run_replay(settings, selection, dry_run=dry_run, yes=yes, accept_late=accept_late, as_json=as_json)
    )
