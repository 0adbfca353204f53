"""The command line: every command, its options, and where its work is done.

Those of `winback dlt` stand in agents/dead_letter_commands.py, `winback replay` in
agents/replay_command.py. Each body is one call into the command's module, imported only then:
`winback --help` needs neither Kafka clients nor scipy. `main` is where errors become one line and an
exit code.
"""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

from agents.console import ExitCode, exit_code, print_error
from agents.dead_letter_commands import dlt
from agents.options import ApplicationId, AsJson, Bootstrap, ModelFile, PlaybookFile, settings_of
from agents.replay_command import replay
from schemas.errors import WinbackError

EXIT_CODES = (
    "Exit codes: 0 done; 1 something is wrong with what was checked or read; 2 a mistake in an option, "
    "a setting, a file or a topic; 3 no broker answers; 4 stopped rather than lose or double anything; "
    "130 interrupted."
)

app = typer.Typer(
    name="winback",
    help="Real-time retention: churn-risk and win-back triggers from purchases, logins and support tickets.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
topics = typer.Typer(help="The topics a worker needs: create what is missing, check what is there.")
app.add_typer(topics, name="topics", no_args_is_help=True)
app.add_typer(dlt, name="dlt", no_args_is_help=True)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import PackageNotFoundError, version

        try:
            typer.echo(f"winback {version('winback')}")
        except PackageNotFoundError:
            typer.echo("winback, from a source tree that is not installed")
        raise typer.Exit


@app.callback()
def before_each_command(
    context: typer.Context,
    *,
    bootstrap: Bootstrap = None,
    application_id: ApplicationId = None,
    playbook: PlaybookFile = None,
    model: ModelFile = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Keep the options that stand before the command."""
    del version
    given = {
        "bootstrap": bootstrap,
        "application_id": application_id,
        "playbook": playbook,
        "model": model,
    }
    context.obj = {name: value for name, value in given.items() if value is not None}


@app.command()
def worker(
    context: typer.Context,
    *,
    clock: Annotated[
        Literal["wall", "event"] | None,
        typer.Option(help="wall: live. event: replay what the topics hold now, up to --end-instant."),
    ] = None,
    end_instant: Annotated[
        str | None,
        typer.Option(metavar="RFC3339", help="Where an event-clock replay ends, e.g. 2026-07-01T00:00Z."),
    ] = None,
    until_done: Annotated[
        bool, typer.Option("--until-done", help="Exit when an event-clock replay has finished.")
    ] = False,
    processes: Annotated[
        int | None,
        typer.Option(metavar="N", help="Share the partitions among N processes, a core each. Else 1."),
    ] = None,
    http_port: Annotated[
        int | None, typer.Option(metavar="PORT", help="Of /metrics, /livez and /readyz; 0 takes a free one.")
    ] = None,
    bootstrap: Bootstrap = None,
    application_id: ApplicationId = None,
    playbook: PlaybookFile = None,
    model: ModelFile = None,
) -> None:
    """Run a worker: events in, churn-risk and win-back triggers out."""
    settings = settings_of(
        context,
        clock=clock,
        end_instant=end_instant,
        processes=processes,
        http_port=http_port,
        bootstrap=bootstrap,
        application_id=application_id,
        playbook=playbook,
        model=model,
    )
    if settings.processes > 1:
        from agents.processes import run_processes

        raise typer.Exit(run_processes(settings, until_done=until_done))
    from agents.worker import run_worker

    raise typer.Exit(run_worker(settings, until_done=until_done))


@app.command(hidden=True)
def member(context: typer.Context, *, number: Annotated[int, typer.Argument(min=1)]) -> None:
    """Run one of the processes of a worker that has several; the worker itself calls this."""
    from agents.member import run_member

    raise typer.Exit(run_member(settings_of(context), number))


app.command()(replay)


@topics.command("create")
def topics_create(
    context: typer.Context,
    *,
    partitions: Annotated[
        int | None, typer.Option(metavar="N", help="Of each topic; the same for all.")
    ] = None,
    replication_factor: Annotated[
        int | None, typer.Option(metavar="N", help="Copies of each partition.")
    ] = None,
    bootstrap: Bootstrap = None,
    application_id: ApplicationId = None,
    as_json: AsJson = False,
) -> None:
    """Create the topics that are missing; leave and check those that are there."""
    settings = settings_of(
        context,
        partitions=partitions,
        replication_factor=replication_factor,
        bootstrap=bootstrap,
        application_id=application_id,
    )
    from agents.topics import run_create

    raise typer.Exit(run_create(settings, as_json=as_json))


@topics.command("check")
def topics_check(
    context: typer.Context,
    *,
    bootstrap: Bootstrap = None,
    application_id: ApplicationId = None,
    as_json: AsJson = False,
) -> None:
    """Check the topics; exit code 1 where one is missing or unfit, with a line saying what to do."""
    settings = settings_of(context, bootstrap=bootstrap, application_id=application_id)
    from agents.topics import run_check

    raise typer.Exit(run_check(settings, as_json=as_json))


@app.command()
def load(
    context: typer.Context,
    *,
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE", help="CSV with a header, or JSON lines; - reads standard input."),
    ],
    topic: Annotated[str, typer.Option(metavar="TOPIC", help="purchases, logins or support-tickets.")],
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave bad lines out, and say how many, instead of stopping.")
    ] = False,
    bootstrap: Bootstrap = None,
    application_id: ApplicationId = None,
    playbook: PlaybookFile = None,
    as_json: AsJson = False,
) -> None:
    """Load history into a topic, all files sorted together by when it happened.

    CSV columns of purchases: customer_id, occurred_at (RFC 3339, or a date for the start of its UTC
    day), amount (major units of the playbook's currency) or amount_minor; and, if you have them, id,
    order_id, currency, kind (purchase or refund), channel. Of logins: customer_id, occurred_at; id,
    method, channel. Of support-tickets: customer_id, occurred_at, ticket_id, status; id, priority,
    category, channel. A line without an id gets one from its content, so that a file loaded twice
    changes nothing. With a bad line nothing at all is loaded.
    """
    settings = settings_of(context, bootstrap=bootstrap, application_id=application_id, playbook=playbook)
    from agents.load import run_load

    raise typer.Exit(run_load(settings, files, topic, skip_bad=skip_bad, as_json=as_json))


@app.command()
def simulate(
    context: typer.Context,
    *,
    customers: Annotated[int, typer.Option(min=1, max=100_000_000, help="How many.")] = 10_000,
    start: Annotated[
        datetime, typer.Option(formats=["%Y-%m-%d"], metavar="DATE", help="First day of the history.")
    ] = datetime(2024, 1, 1),  # noqa: DTZ001 - typer parses a date; it is taken as UTC below
    days: Annotated[int, typer.Option(min=1, max=36_500, help="Length of the history.")] = 545,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same bytes.")] = 1,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write one file a topic, and the truth, there.")
    ] = None,
    live: Annotated[
        bool, typer.Option("--live", help="Send the events into the topics instead, dated now.")
    ] = False,
    rate: Annotated[float, typer.Option(min=0.001, help="With --live: events a second.")] = 50.0,
    count: Annotated[int | None, typer.Option(min=1, help="With --live: stop after so many events.")] = None,
    seconds: Annotated[float | None, typer.Option(min=0.001, help="With --live: stop after so long.")] = None,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Make a population of customers whose drop-outs are known: as files, or live.

    Files: purchases.jsonl, logins.jsonl, support-tickets.jsonl (each for `winback load`), and
    truth.jsonl: per customer when they dropped out, or null.
    """
    settings = settings_of(context, bootstrap=bootstrap)
    from agents.simulate import Plan, run_files, run_live

    plan = Plan(customers=customers, start=start.date(), days=days, seed=seed)
    if live:
        raise typer.Exit(
            run_live(settings, plan, out, rate=rate, count=count, seconds=seconds, as_json=as_json)
        )
    raise typer.Exit(run_files(plan, out, as_json=as_json))


@app.command()
def watch(
    context: typer.Context,
    *,
    from_beginning: Annotated[
        bool, typer.Option("--from-beginning", help="Start with the oldest trigger, not with the next.")
    ] = False,
    count: Annotated[int | None, typer.Option(min=1, help="Stop after so many triggers.")] = None,
    until_idle: Annotated[
        float | None,
        typer.Option(min=0.1, metavar="SECONDS", help="Stop when no trigger has come for so long."),
    ] = None,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Show triggers as they come, one sentence each."""
    settings = settings_of(context, bootstrap=bootstrap)
    from agents.watch import run_watch

    raise typer.Exit(
        run_watch(
            settings, from_beginning=from_beginning, count=count, until_idle=until_idle, as_json=as_json
        )
    )


@app.command()
def explain(
    context: typer.Context,
    *,
    customer: Annotated[str, typer.Argument(metavar="CUSTOMER", help="The customer's id.")],
    bootstrap: Bootstrap = None,
    application_id: ApplicationId = None,
    playbook: PlaybookFile = None,
    model: ModelFile = None,
    as_json: AsJson = False,
) -> None:
    """Explain one customer: state, score and drivers, each rule's next instant, what would clear it."""
    settings = settings_of(
        context, bootstrap=bootstrap, application_id=application_id, playbook=playbook, model=model
    )
    from agents.explain import run_explain

    raise typer.Exit(run_explain(settings, customer, as_json))


@app.command()
def forget(
    context: typer.Context,
    *,
    customer: Annotated[str, typer.Argument(metavar="CUSTOMER", help="The customer's id.")],
    at: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="Nothing dated up to then counts again: 2026-01-31T12:00Z. Else now."
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Without asking.")] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Until a worker has confirmed it; exit code 1 after a minute.")
    ] = False,
    bootstrap: Bootstrap = None,
    application_id: ApplicationId = None,
    as_json: AsJson = False,
) -> None:
    """Forget a customer: state, health and deadlines, now and in every replay to come.

    Events dated later start afresh. Topics keep the events and triggers that stand in them.
    """
    settings = settings_of(context, bootstrap=bootstrap, application_id=application_id)
    from agents.forget import run_forget

    raise typer.Exit(run_forget(settings, customer, at=at, yes=yes, wait=wait, as_json=as_json))


@app.command()
def fit(
    context: typer.Context,
    *,
    files: Annotated[
        list[Path],
        typer.Argument(metavar="HISTORY", help="CSV of purchases: customer_id, occurred_at, amount."),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="The model file to write.")] = Path(
        "model.json"
    ),
    until: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], metavar="DATE", help="The last day to learn from."),
    ] = None,
    playbook: PlaybookFile = None,
    as_json: AsJson = False,
) -> None:
    """Learn the score's parameters from purchase history."""
    settings = settings_of(context, playbook=playbook)
    from agents.fit import run_fit
    from streams.clock import wall_ms
    from streams.playbook_file import load_playbook

    today = datetime.fromtimestamp(wall_ms() / 1000, UTC).date()
    currency = load_playbook(settings.playbook, None).currency
    last = until.date() if until else None
    raise typer.Exit(run_fit(files, out, today=today, until=last, currency=currency, as_json=as_json))


@app.command()
def demo(
    context: typer.Context,
    *,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the broker the demo started, and its topics, in place.")
    ] = False,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Replay real purchase history through a real worker, and judge its alarms."""
    from agents.demo import run_demo

    given = bootstrap or context.obj.get("bootstrap")
    raise typer.Exit(run_demo(given, keep=keep, as_json=as_json))


@app.command("compile")
def compile_(
    *,
    anew: Annotated[bool, typer.Option("--anew", help="Also where it has been compiled already.")] = False,
) -> None:
    """Compile what every event passes through: the same decisions, faster. `make setup` does it.

    It takes a C compiler and the extra `compiled`. Without it everything runs as plain Python, as
    with WINBACK_COMPILED=0.
    """
    from agents.compile import compile_fold
    from agents.console import output

    compile_fold(output(), anew=anew)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit code. A mistake is one line on stderr, never a stack trace."""
    try:
        app(args=None if arguments is None else list(arguments), prog_name="winback")
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else ExitCode.DONE
    except WinbackError as error:
        print_error(str(error))
        return exit_code(error)
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    return ExitCode.DONE


if __name__ == "__main__":
    sys.exit(main())
