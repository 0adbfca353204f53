"""The playbook and the model file: what is read, and how a mistake is told."""

import dataclasses
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest

from schemas.errors import ModelError, PlaybookError
from streams.core.model import Model
from streams.core.playbook import (
    DAY,
    HOUR,
    LoginDecay,
    Playbook,
    Risk,
    SecondOrderDue,
    SlaBreach,
    TicketSpike,
    ValueOfCustomer,
    WinBackStep,
)
from streams.playbook_file import (
    RULES,
    dump_model,
    fingerprint_of_model,
    fingerprint_of_playbook,
    load_model,
    load_playbook,
)
from streams.toml_section import duration_in_words

PRIOR = Model(r=0.637, alpha=7.310, a=0.807, b=1.228, p=6.28, q=3.62, gamma=14.98)
DEMO = Path(__file__).parents[2] / "demo" / "playbook.toml"


def written(directory: Path, text: str | bytes, name: str = "mine.toml") -> Path:
    """A file of this content."""
    path = directory / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def read(directory: Path, text: str | bytes) -> Playbook:
    """The playbook of a file of this content, with the packaged prior."""
    return load_playbook(written(directory, text), None)


def without_actions(playbook: Playbook) -> dict[str, object]:
    """Its fields, with the suggested action of each rule left out."""
    fields = {field.name: getattr(playbook, field.name) for field in dataclasses.fields(Playbook)}
    return {
        name: dataclasses.replace(value, action="") if hasattr(value, "action") else value
        for name, value in fields.items()
    }


def test_packaged_playbook_is_the_default_of_the_domain() -> None:
    """The packaged playbook holds the thresholds and cool-downs of the domain's table."""
    playbook = load_playbook(None, None)
    expected = Playbook(
        model=PRIOR,
        risk_medium=Risk(probability=0.6, min_silence=14 * DAY, cool_down=30 * DAY),
        risk_high=Risk(probability=0.8, min_silence=14 * DAY, cool_down=30 * DAY),
        second_order_due=SecondOrderDue(after=60 * DAY, cool_down=60 * DAY),
        winback_1=WinBackStep(step=1, lapse_ages=Fraction(1), cool_down=14 * DAY),
        winback_2=WinBackStep(step=2, lapse_ages=Fraction(5, 4), cool_down=14 * DAY),
        winback_3=WinBackStep(step=3, lapse_ages=Fraction(3, 2), cool_down=14 * DAY),
        sla_breach=SlaBreach(within=(24 * HOUR, 8 * HOUR, 4 * HOUR, HOUR)),
        ticket_spike=TicketSpike(cool_down=30 * DAY),
        login_decay=LoginDecay(cool_down=14 * DAY),
        fingerprint_model=playbook.fingerprint_model,
        fingerprint_playbook=playbook.fingerprint_playbook,
    )
    assert without_actions(expected) == without_actions(playbook)


def test_every_rule_suggests_something() -> None:
    """Each rule that is on comes with a suggested action."""
    playbook = load_playbook(None, None)
    rules = {name: getattr(playbook, name) for name in RULES}
    assert ["silent_for"] == [name for name, rule in rules.items() if not (rule and rule.action)]


def test_demo_playbook_is_the_benchmarks() -> None:
    """The demo's playbook is the benchmark's: no cool-downs, no least silence, every level, 182 days."""
    playbook = load_playbook(DEMO, None)
    rules = [value for value in without_actions(playbook).values() if hasattr(value, "cool_down")]
    assert (182 * DAY, True, "all", PRIOR) == (
        playbook.lapse_age,
        playbook.include_first_order,
        playbook.levels,
        playbook.model,
    )
    assert playbook.silent_for is not None
    assert (60, 90) == playbook.silent_for.days
    assert [(0.6, 0), (0.8, 0)] == [
        (risk.probability, risk.min_silence) for risk in (playbook.risk_medium, playbook.risk_high) if risk
    ]
    assert {0} == {rule.cool_down for rule in rules}


def test_own_file_says_only_what_differs(tmp_path: Path) -> None:
    """What a user's file leaves out is as in the packaged playbook, inside a rule's table too."""
    playbook = read(tmp_path, "[rules.risk_high]\nprobability = 0.9\n[rules.winback_3]\nenabled = false\n")
    default = load_playbook(None, None)
    assert default.risk_high is not None
    assert dataclasses.replace(default.risk_high, probability=0.9) == playbook.risk_high
    assert playbook.winback_3 is None
    assert default.risk_medium == playbook.risk_medium


def test_rates_are_exact_and_between_minor_units(tmp_path: Path) -> None:
    """A rate is of whole units in the file, and of minor units, with no rounding, in the playbook."""
    playbook = read(tmp_path, '[rates]\nEUR = "1.08"\nGBP = 1.27\nJPY = "0.0067"\nKWD = 3\n')
    expected = {
        "EUR": Fraction(108, 100),
        "GBP": Fraction(127, 100),
        "JPY": Fraction(67, 100),
        "KWD": Fraction(3, 10),
    }
    assert expected == playbook.rates


def test_model_money_is_converted_to_the_base_currency(tmp_path: Path) -> None:
    """A model fitted on another currency's amounts has its money parameter, gamma, converted."""
    playbook = read(tmp_path, 'currency = "JPY"\n[rates]\nUSD = 150\n')
    assert dataclasses.replace(PRIOR, gamma=14.98 * 150, currency="JPY") == playbook.model
    assert 0 == playbook.minor_digits


def test_value_is_in_minor_units(tmp_path: Path) -> None:
    """The acquisition cost is exact in minor units."""
    playbook = read(tmp_path, '[value]\nexpansion = 0.2\nacquisition_cost = "500.10"\n')
    assert ValueOfCustomer(expansion=0.2, acquisition_minor=50010) == playbook.value


MISTAKES: dict[str, tuple[str | bytes, str]] = {
    "unknown key, near": (
        "\nlapse_agee = '90 days'\n",
        "mine.toml:2: lapse_agee is not a key of the playbook; did you mean lapse_age?",
    ),
    "unknown key in a rule": (
        "[rules.risk_high]\nthreshold = 0.9\n",
        (
            "mine.toml:2: rules.risk_high.threshold is not a key of the playbook; "
            "here stand action, cool_down, enabled, min_silence, probability, version"
        ),
    ),
    "unknown rule": (
        "[rules.risk_hi]\nprobability = 0.9\n",
        "mine.toml:1: rules.risk_hi is not a key of the playbook; did you mean risk_high or risk_medium?",
    ),
    "wrong type": (
        "include_first_order = 1\n",
        "mine.toml:1: include_first_order must be true or false, not 1",
    ),
    "out of range": (
        "# a comment\n\n[rules.risk_high]\nprobability = 1.0\n",
        "mine.toml:4: rules.risk_high.probability must be a number above 0 and below 1, not 1.0",
    ),
    "not a number": (
        "holdout_share = nan\n",
        "mine.toml:1: holdout_share must be a share of at least 0 and below 1, not NaN",
    ),
    "an absurd exponent": (
        "holdout_share = 1e-999999999\n",
        "mine.toml:1: holdout_share must be a share of at least 0 and below 1, not 1E-999999999",
    ),
    "not one of the words": (
        'levels = "some"\n',
        'mine.toml:1: levels must be "highest" or "all", not "some"',
    ),
    "duration without a unit": (
        "lapse_age = 90\n",
        (
            'mine.toml:1: lapse_age must be a duration from "1 day" to "3650 days", '
            "in days, hours or minutes, not 90"
        ),
    ),
    "duration below its bound": (
        'lapse_age = "12 hours"\n',
        (
            'mine.toml:1: lapse_age must be a duration from "1 day" to "3650 days", '
            'in days, hours or minutes, not "12 hours"'
        ),
    ),
    "promise past the lateness": (
        '[rules.sla_breach.within]\nlow = "31 days"\n',
        "mine.toml:2: rules.sla_breach.within.low is 31 days, and max_lateness is only 30 days",
    ),
    "promise past the lateness, inline": (
        '\n[rules.sla_breach]\nwithin = { low = "31 days" }\n',
        "mine.toml:3: rules.sla_breach.within.low is 31 days, and max_lateness is only 30 days",
    ),
    "lateness below a packaged promise": (
        'max_lateness = "12 hours"\n',
        "mine.toml: rules.sla_breach.within.low is 1 day, and max_lateness is only 12 hours",
    ),
    "levels the wrong way round": (
        "[rules.risk_medium]\nprobability = 0.8\n",
        "mine.toml:1: rules.risk_high.probability must be above that of risk_medium",
    ),
    "steps the wrong way round": (
        "rules.winback_2.lapse_ages = 1.5\n",
        "mine.toml:1: rules.winback_3.lapse_ages must be above that of winback_2",
    ),
    "spike that looks too far back": (
        'max_lateness = "60 days"\n',
        (
            "mine.toml: rules.ticket_spike.base_window is too long: "
            "with window and max_lateness it may be 240 days, as long as openings are kept"
        ),
    ),
    "days that descend": (
        "[rules.silent_for]\ndays = [90, 60]\n",
        (
            "mine.toml:2: rules.silent_for.days must be a list of whole numbers from 1 to 3650, "
            "ascending, not [90, 60]"
        ),
    ),
    "currency in small letters": (
        'currency = "usd"\n',
        'mine.toml:1: currency must be an ISO 4217 code, three capital letters, not "usd"',
    ),
    "rate of nothing": (
        "[rates]\nEUR = 0\n",
        "mine.toml:2: rates.EUR must be a number above 0, not 0",
    ),
    "rate that is no number": (
        '[rates]\nEUR = "1,08"\n',
        'mine.toml:2: rates.EUR must be a number above 0, not "1,08"',
    ),
    "rate of a word": (
        "[rates]\neuro = 1.08\n",
        "mine.toml:2: rates.euro must be an ISO 4217 code, three capital letters",
    ),
    "rate of the base": (
        "[rates]\nUSD = 1\n",
        "mine.toml:2: rates.USD is the base currency, which needs no rate",
    ),
    "no rate for the model": (
        'currency = "EUR"\n',
        (
            "mine.toml:1: currency is EUR, but the model's amounts are in USD: "
            "add a rate for USD under [rates], or fit a model on amounts in EUR with `winback fit`"
        ),
    ),
    "fractions of a cent": (
        "[value]\nacquisition_cost = 1.005\n",
        (
            "mine.toml:2: value.acquisition_cost must be an amount from 0 to 1000000 "
            "with at most 2 decimal places, not 1.005"
        ),
    ),
    "an action of two lines": (
        '[rules.winback_1]\naction = "a\\nb"\n',
        'mine.toml:2: rules.winback_1.action must be one line of at most 200 letters, not "a?b"',
    ),
    "value instead of a table": (
        "rules = 3\n",
        "mine.toml:1: rules must be a table",
    ),
    "value instead of an inner table": (
        "[rules]\nrisk_high = false\n",
        "mine.toml:2: rules.risk_high must be a table",
    ),
    "broken TOML": (
        'currency = "USD\n',
        "mine.toml: is not valid TOML: Illegal character '\\n' (at line 1, column 16)",
    ),
    "not UTF-8": (
        b'currency = "\xff"\n',
        "mine.toml: is not UTF-8 text",
    ),
    "a number past all bounds": (
        "lapse_age = " + "9" * 5000,
        "mine.toml: holds a number or a nesting beyond all bounds",
    ),
    "nesting past all bounds": (
        "lapse_age = " + "[" * 100_000,
        "mine.toml: holds a number or a nesting beyond all bounds",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake_is_one_line(tmp_path: Path, mistake: str) -> None:
    """A mistake in the playbook is told in one line: file, line, key and what is allowed."""
    text, expected = MISTAKES[mistake]
    with pytest.raises(PlaybookError) as caught:
        read(tmp_path, text)
    assert expected == str(caught.value).replace(f"{tmp_path}{os.sep}", "")


def test_absent_playbook_is_one_line(tmp_path: Path) -> None:
    """A playbook that is not there is told in one line."""
    with pytest.raises(PlaybookError, match=r"absent\.toml: cannot be read: No such file or directory$"):
        load_playbook(tmp_path / "absent.toml", None)


def test_mistake_in_a_rule_that_is_off_is_told(tmp_path: Path) -> None:
    """A rule that is switched off is checked all the same."""
    with pytest.raises(PlaybookError, match=r"rules\.silent_for\.days"):
        read(tmp_path, "[rules.silent_for]\nenabled = false\ndays = []\n")


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [("2 days", 2 * DAY), ("1 day", DAY), ("36 hours", 36 * HOUR), ("90 minutes", 90 * 60_000)],
)
def test_duration_in_words_reads_back(text: str, milliseconds: int) -> None:
    """A duration is told as the file would say it."""
    assert text == duration_in_words(milliseconds)


def test_model_file_reads_back() -> None:
    """What dump_model writes is an equal model to load_model."""
    assert PRIOR == load_model(None)


def test_dumped_model_reads_back(tmp_path: Path) -> None:
    """A fitted model survives its file bit by bit."""
    model = Model(
        0.1 + 0.2,
        7.3e-5,
        1e22,
        1.2,
        6.0,
        3.6,
        1 / 3,
        customers=23570,
        currency="EUR",
        trained_until="1998-07-01",
    )
    path = tmp_path / "model.json"
    path.write_bytes(dump_model(model))
    assert model == load_model(path)


@pytest.mark.parametrize("parameter", ["r", "alpha", "a", "b", "p", "q", "gamma"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0, 0.0])
def test_senseless_model_is_not_written(parameter: str, value: float) -> None:
    """A model with a parameter that is not finite and positive has no file."""
    with pytest.raises(ModelError, match=parameter):
        dump_model(dataclasses.replace(PRIOR, **{parameter: value}))  # type: ignore[arg-type]  # one float


def test_model_of_nan_is_told_as_such() -> None:
    """A fit that came to nothing is named for what it is."""
    with pytest.raises(ModelError, match=r"^the model's alpha is not a finite number$"):
        dump_model(dataclasses.replace(PRIOR, alpha=float("nan")))


MODEL_MISTAKES = {
    "missing": (b'"r": 0.637,', b"", "Object missing required field `r`"),
    "NaN": (b"0.637", b"NaN", "JSON is malformed"),
    "negative": (b"0.637", b"-0.637", "Expected `float` > 0.0 - at `$.r`"),
    "infinite": (b"0.637", b"1e999", "Number out of range - at `$.r`"),
    "no mean": (b"3.62", b"1.0", "Expected `float` > 1.0 - at `$.q`"),
    "a text": (b"0.637", b'"0.637"', "Expected `float`, got `str` - at `$.r`"),
    "another version": (b'"version": 1', b'"version": 2', "Invalid enum value 2 - at `$.version`"),
    "unknown field": (b'"r": 0.637,', b'"r": 0.637, "s": 1,', "Object contains unknown field `s`"),
    "nothing": (None, b"", "Input data was truncated"),
}


@pytest.mark.parametrize("mistake", MODEL_MISTAKES)
def test_wrong_model_is_one_line(tmp_path: Path, mistake: str) -> None:
    """A model file that makes no sense is told in one line."""
    old, new, expected = MODEL_MISTAKES[mistake]
    content = new if old is None else dump_model(PRIOR).replace(old, new)
    path = written(tmp_path, content, "model.json")
    with pytest.raises(ModelError) as caught:
        load_model(path)
    assert f"{path}: is not a model file of version 1: {expected}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_absent_model_is_one_line(tmp_path: Path) -> None:
    """A model file that is not there is told in one line."""
    with pytest.raises(ModelError, match=r"absent\.json: cannot be read: No such file or directory$"):
        load_playbook(None, tmp_path / "absent.json")


def test_fingerprints_do_not_depend_on_the_process() -> None:
    """Another process, with another hash seed, finds the same fingerprints."""
    program = (
        "from streams.playbook_file import load_playbook; playbook = load_playbook(None, None);"
        "print(playbook.fingerprint_model, playbook.fingerprint_playbook)"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "12345"}
    root = Path(__file__).parents[2]
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment, cwd=root
    )
    playbook = load_playbook(None, None)
    assert f"{playbook.fingerprint_model} {playbook.fingerprint_playbook}" == answer.stdout.strip()


MOVES = {
    "the lapse age": 'lapse_age = "91 days"',
    "levels": 'levels = "all"',
    "first orders": "include_first_order = true",
    "a probability": "rules.risk_high.probability = 0.81",
    "a least silence": 'rules.risk_high.min_silence = "15 days"',
    "a cool-down": 'rules.winback_1.cool_down = "15 days"',
    "a version": "rules.winback_1.version = 2",
    "a rule more": "rules.silent_for.enabled = true",
    "a rule less": "rules.winback_3.enabled = false",
    "a promise": 'rules.sla_breach.within.low = "23 hours"',
    "a step": "rules.winback_3.lapse_ages = 1.6",
}
STAYS = {
    "an action": 'rules.winback_1.action = "Say hello"',
    "a rate": "rates.EUR = 1.08",
    "the holdout": "holdout_share = 0.1",
    "the value": "value.expansion = 0.2",
    "the staleness limit": 'staleness_limit = "3 days"',
    "the lateness": 'max_lateness = "29 days"',
}


@pytest.mark.parametrize("change", MOVES)
def test_fingerprint_sees_what_moves_a_due_instant(tmp_path: Path, change: str) -> None:
    """A changed threshold is another fingerprint."""
    assert (
        load_playbook(None, None).fingerprint_playbook != read(tmp_path, MOVES[change]).fingerprint_playbook
    )


@pytest.mark.parametrize("change", STAYS)
def test_fingerprint_is_blind_to_what_moves_nothing(tmp_path: Path, change: str) -> None:
    """Texts, money and marks leave the fingerprint, so that they cause no recomputation."""
    assert (
        load_playbook(None, None).fingerprint_playbook == read(tmp_path, STAYS[change]).fingerprint_playbook
    )


def test_fingerprints_of_data_are_those_of_the_file() -> None:
    """A playbook built otherwise has the fingerprints of an equal one from a file."""
    playbook = load_playbook(None, None)
    assert playbook.fingerprint_playbook == fingerprint_of_playbook(playbook)
    assert playbook.fingerprint_model == fingerprint_of_model(playbook.model)


@pytest.mark.parametrize("parameter", ["r", "alpha", "a", "b", "p", "q", "gamma"])
def test_fingerprint_of_a_model_sees_each_parameter(parameter: str) -> None:
    """A refit that moves a parameter in its last bit is another fingerprint."""
    moved = dataclasses.replace(PRIOR, **{parameter: getattr(PRIOR, parameter) * (1 + 2**-50)})
    assert fingerprint_of_model(PRIOR) != fingerprint_of_model(moved)


def test_fingerprint_of_a_model_is_blind_to_where_it_comes_from() -> None:
    """The same parameters from other customers are the same model."""
    again = dataclasses.replace(PRIOR, customers=5000, trained_until="2026-01-01T00:00:00Z")
    assert fingerprint_of_model(PRIOR) == fingerprint_of_model(again)
