"""`winback fit HISTORY.csv -o model.json`: the score's parameters, learnt from purchase history.

`fit_history` computes, `run_fit` reads, writes and shows; agents/history.py holds the reading and
agents/estimate.py the likelihoods.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from agents.console import ExitCode, notes, output, print_line, print_note
from agents.estimate import ENOUGH, estimate_purchasing, estimate_spending
from agents.history import Compacted, History, compact
from schemas.errors import ConfigurationError, ModelError
from streams.core.model import Model
from streams.playbook_file import dump_model, load_model

if TYPE_CHECKING:
    from rich.table import Table

_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class Fitted:
    """A model, and what it was learnt from.

    first, last: the first purchase day, and the last day that counted. cells: of compacted counts.
    repeat_customers: with a second purchase day. spenders: those with a positive repeat spend.
    prior_weight: how firmly the fit was held to the prior, 1000/n - 1; 0 from 1,000 customers on.
    undetermined: names of parameters the data let run to a bound.
    """

    model: Model
    rows: int
    customers: int
    repeat_customers: int
    spenders: int
    purchase_days: int
    cells: int
    first: date
    last: date
    log_likelihood: float
    prior_weight: float
    undetermined: tuple[str, ...]


def fit_history(history: History, until: date | None = None, prior: Model | None = None) -> Fitted:
    """The model of a history up to and with the day `until`, by default the newest in it.

    prior: towards which fewer than 1,000 customers are drawn; the packaged one by default. Raises
    ModelError where there is nobody to learn from, or nobody came back among 1,000 and more.
    """
    prior = prior or load_model(None)
    compacted = compact(history, until)
    if compacted is None:
        limit = f" up to {until}" if until else ""
        raise ModelError(
            f"no purchase{limit}, so there is nothing to learn; without a model file Winback works with "
            "the packaged prior"
        )
    counts, spends = compacted.counts, compacted.spends
    repeat_customers = int(counts.customers[counts.repeat_days > 0].sum())
    if compacted.customers >= ENOUGH and not repeat_customers:
        raise ModelError(
            f"none of {compacted.customers:,} customers bought on a second day, so there is no rhythm to "
            "learn; do customer_id and occurred_at hold what their names say?"
        )
    purchasing = estimate_purchasing(counts, (prior.r, prior.alpha, prior.a, prior.b))
    spending = estimate_spending(spends, (prior.p, prior.q, prior.gamma))
    r, alpha, a, b = purchasing.theta
    p, q, gamma = spending.theta
    model = Model(
        r=r,
        alpha=alpha,
        a=a,
        b=b,
        p=p,
        q=q,
        gamma=gamma,
        customers=compacted.customers,
        currency=history.currency,
        trained_until=_trained_until(compacted),
    )
    bounds = [("r", "alpha", "a", "b")[index] for index in purchasing.at_bound]
    bounds += [("p", "q", "gamma")[index] for index in spending.at_bound]
    return Fitted(
        model,
        len(history.days),
        compacted.customers,
        repeat_customers,
        len(spends.means),
        compacted.purchase_days,
        len(counts.customers),
        _EPOCH + timedelta(compacted.first),
        _EPOCH + timedelta(compacted.last),
        purchasing.log_likelihood,
        purchasing.prior_weight,
        tuple(bounds),
    )


def _trained_until(compacted: Compacted) -> str:
    """The first instant that is no longer in the data."""
    return f"{_EPOCH + timedelta(compacted.last + 1)}T00:00:00Z"


def read_histories(
    paths: Sequence[Path], currency: str, today: date, progress: Callable[[int], None] = lambda _: None
) -> History:
    """All files as one history; `progress` is told how many bytes have been read since the last time.

    Raises ConfigurationError as History.read does.
    """
    history = History(currency, today)
    for path in paths:
        history.read(path, progress)
    return history


def run_fit(
    paths: Sequence[Path],
    out: Path,
    *,
    today: date,
    until: date | None = None,
    currency: str = "USD",
    as_json: bool = False,
) -> int:
    """Read, fit, write `out`, and show what was learnt; an exit code.

    today: a row dated after it is a mistake. Raises ConfigurationError and ModelError, one line
    each; `out` is then left as it was.
    """
    history = _read_with_progress(paths, currency, today, quiet=as_json)
    fitted = fit_history(history, until)
    _write(out, dump_model(fitted.model))
    if as_json:
        print_line(msgspec.json.encode({"model_file": str(out), **msgspec.to_builtins(fitted)}))
    else:
        output().print(_table(fitted))
        for note in _remarks(fitted, out):
            print_note(note)
    return ExitCode.DONE


def _read_with_progress(paths: Sequence[Path], currency: str, today: date, *, quiet: bool) -> History:
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    try:
        total = sum(path.stat().st_size for path in paths)
    except OSError as error:
        raise ConfigurationError(f"{error.filename}: cannot be read: {error.strerror}") from error
    columns = (TextColumn("reading"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=notes(), disable=quiet, transient=True) as bar:
        task = bar.add_task("", total=total)
        return read_histories(paths, currency, today, lambda size: bar.advance(task, size))


def _write(out: Path, content: bytes) -> None:
    """Whole or not at all: a worker may start at any time."""
    fresh = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        try:
            fresh.write_bytes(content)
            fresh.replace(out)
        finally:
            fresh.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigurationError(f"{out}: cannot be written: {error.strerror}") from error


def _table(fitted: Fitted) -> "Table":
    from rich.table import Table

    model = fitted.model
    table = Table(title=f"Model of {fitted.customers:,} customers, {fitted.first} to {fitted.last}")
    table.add_column("parameter")
    table.add_column("value", justify="right")
    table.add_column("says")
    spend = model.p * model.gamma / (model.q - 1)
    for name, meaning in {
        "r": "how much purchase rates resemble each other",
        "alpha": f"mean rate r/alpha: {model.r / model.alpha:.3f} purchase days a week",
        "a": f"mean chance of leaving after a purchase a/(a+b): {model.a / (model.a + model.b):.0%}",
        "b": "with a, how much customers differ in it",
        "p": "how steady the spend of one customer is",
        "q": "how much customers resemble each other in spend",
        "gamma": f"mean spend p gamma/(q-1): {spend:,.2f} {model.currency} an order day",
    }.items():
        table.add_row(name, f"{getattr(model, name):.4g}", meaning)
    return table


def _remarks(fitted: Fitted, out: Path) -> list[str]:
    rows, days, back = fitted.rows, fitted.purchase_days, fitted.repeat_customers
    remarks = [f"{rows:,} rows, {days:,} purchase days, {back:,} customers came back; written to {out}"]
    if fitted.prior_weight:
        remarks.append(f"fewer than {ENOUGH:,} customers: drawn towards the packaged prior")
    if fitted.undetermined:
        remarks.append(f"this history does not determine {', '.join(fitted.undetermined)}")
    return remarks
