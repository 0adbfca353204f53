"""From history files to a model file."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from agents.cdnow import LAST_TRAINING_DAY, cdnow_purchases, default_cache
from agents.console import ExitCode
from agents.fit import fit_history, read_histories, run_fit
from schemas.errors import ConfigurationError, ModelError
from streams.playbook_file import load_model

TODAY = date(2026, 1, 31)

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a history file of the given rows, and return its path."""

    def write(*rows: str) -> Path:
        path = tmp_path / "history.csv"
        path.write_text("\n".join(("customer_id,occurred_at,amount", *rows, "")))
        return path

    return write


@pytest.fixture(scope="module")
def cdnow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CDNOW as a history file."""
    path = tmp_path_factory.mktemp("cdnow") / "history.csv"
    rows = (
        f"{customer},{day},{amount / 100:.2f}\n"
        for customer, day, amount, _ in cdnow_purchases(default_cache())
    )
    path.write_text("customer_id,occurred_at,amount\n" + "".join(rows))
    return path


def test_cdnow_gives_the_published_parameters(cdnow: Path) -> None:
    """Trained on days 0 to 272: r .637, alpha 7.310, a .807, b 1.228; p 6.28, q 3.62, gamma 14.98."""
    fitted = fit_history(read_histories([cdnow], "USD", TODAY), LAST_TRAINING_DAY)
    model = fitted.model
    published = (0.637, 7.310, 0.807, 1.228)
    assert published == tuple(round(value, 3) for value in (model.r, model.alpha, model.a, model.b))
    spending = (6.28, 3.62, 14.98)
    assert spending == tuple(round(value, 2) for value in (model.p, model.q, model.gamma))
    assert (model.customers, fitted.purchase_days, fitted.cells) == (23_570, 47_907, 8_685)
    assert (fitted.prior_weight, fitted.undetermined) == (0, ())


def test_the_model_file_is_what_a_worker_reads(
    cdnow: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`run_fit` writes the model it shows: what `load_model` reads back is what --json printed."""
    out = tmp_path / "model.json"
    assert run_fit([cdnow], out, today=TODAY, until=LAST_TRAINING_DAY, as_json=True) == ExitCode.DONE
    shown = capsys.readouterr()
    report = json.loads(shown.out)
    model = load_model(out)
    assert report["model"] == {name: getattr(model, name) for name in report["model"]}
    assert (model.currency, model.trained_until) == ("USD", "1997-10-01T00:00:00Z")
    assert [out] == list(tmp_path.iterdir())
    assert shown.err == ""


def test_people_get_a_table_that_says_what_the_numbers_mean(
    write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Parameters on stdout, remarks on stderr: here that three customers are few."""
    path = write("a,2026-01-01,10", "a,2026-01-09,30", "b,2026-01-02,10", "c,2026-01-03,10")
    run_fit([path], tmp_path / "model.json", today=TODAY)
    shown = capsys.readouterr()
    assert "Model of 3 customers" in shown.out
    assert "purchase days a week" in shown.out
    assert "fewer than 1,000 customers: drawn towards the packaged prior" in " ".join(shown.err.split())


def test_a_handful_of_customers_leaves_the_packaged_prior_nearly_as_it_is(write: Write) -> None:
    """Three customers move the rhythm by less than a hundredth; gamma follows their spend."""
    path = write("a,2026-01-01,1000", "a,2026-01-09,3000", "b,2026-01-02,1000", "c,2026-01-03,1000")
    model = fit_history(read_histories([path], "USD", TODAY)).model
    prior = load_model(None)
    assert (prior.r, prior.alpha, prior.a, prior.b) == pytest.approx(
        (model.r, model.alpha, model.a, model.b), rel=0.01
    )
    assert model.p * model.gamma / (model.q - 1) == pytest.approx(1500, rel=0.05)
    assert model.customers == 3


def test_a_prior_of_ones_own_can_take_the_packaged_ones_place(write: Write) -> None:
    """With one customer the fit is the given prior."""
    prior = replace(load_model(None), r=2.0, alpha=3.0)
    fitted = fit_history(read_histories([write("a,2026-01-01,10")], "USD", TODAY), prior=prior)
    assert fitted.model.r == pytest.approx(2.0, rel=0.01)


@pytest.mark.parametrize(
    ("until", "expected"),
    [
        (None, "^no purchase, so there is nothing to learn; "),
        (date(2025, 1, 1), "^no purchase up to 2025-01-01,"),
    ],
)
def test_no_customers_are_an_error_that_says_so(write: Write, until: date | None, expected: str) -> None:
    """Nobody bought at all, or nobody up to the last day that counts."""
    rows = [] if until is None else ["a,2026-01-01,1"]
    with pytest.raises(ModelError, match=expected):
        fit_history(read_histories([write(*rows)], "USD", TODAY), until)


def test_a_thousand_customers_of_whom_none_came_back_teach_no_rhythm(write: Write) -> None:
    """A file with a fresh customer id in each row is more likely a mistake than a history."""
    path = write(*(f"{number},2026-01-{1 + number % 28:02},1" for number in range(1000)))
    with pytest.raises(ModelError, match=r"^none of 1,000 customers bought on a second day"):
        fit_history(read_histories([path], "USD", TODAY))


def test_a_mistake_leaves_the_old_model_in_place(write: Write, tmp_path: Path) -> None:
    """A wrong row in the history, and the model file is what it was."""
    out = tmp_path / "model.json"
    out.write_text("the old one")
    with pytest.raises(ConfigurationError):
        run_fit([write("a,never,1")], out, today=TODAY)
    assert out.read_text() == "the old one"


def test_a_place_that_cannot_be_written_is_one_line(write: Write, tmp_path: Path) -> None:
    """The missing folder is named."""
    with pytest.raises(
        ConfigurationError, match=r"model\.json: cannot be written: No such file or directory$"
    ):
        run_fit([write("a,2026-01-01,1")], tmp_path / "no" / "model.json", today=TODAY)


def test_a_model_that_cannot_take_its_place_leaves_nothing_behind(write: Write, tmp_path: Path) -> None:
    """A folder stands where the file should go: one line, and no half-made file beside it."""
    out = tmp_path / "model.json"
    out.mkdir()
    history = write("a,2026-01-01,1")
    with pytest.raises(ConfigurationError, match=r"model\.json: cannot be written: "):
        run_fit([history], out, today=TODAY)
    assert {history, out} == set(tmp_path.iterdir())


def test_a_missing_history_is_one_line(tmp_path: Path) -> None:
    """The missing file is named."""
    with pytest.raises(ConfigurationError, match=r"nowhere\.csv: cannot be read: No such file or directory$"):
        run_fit([tmp_path / "nowhere.csv"], tmp_path / "model.json", today=TODAY)
