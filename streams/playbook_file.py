"""The playbook and the model, from their files to the frozen data the core decides with.

Two layers: what the user's playbook leaves out is taken from the packaged `playbook.toml`, which is
also where the meaning of each key is written down. The model file is JSON, written by `winback fit`.
"""

import dataclasses
import re
from fractions import Fraction
from hashlib import blake2b
from importlib.resources import as_file, files
from itertools import pairwise
from math import isfinite
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal, cast

import msgspec
from msgspec import Meta

from schemas.errors import ModelError
from streams.core.facets.support import OPENINGS_KEPT
from streams.core.model import Model
from streams.core.playbook import (
    LoginDecay,
    Playbook,
    Risk,
    Rule,
    SecondOrderDue,
    SilentFor,
    SlaBreach,
    TicketSpike,
    ValueOfCustomer,
    WinBackStep,
)
from streams.toml_section import Document, Section, duration_in_words

RULES: Final = (
    "risk_medium",
    "risk_high",
    "silent_for",
    "second_order_due",
    "winback_1",
    "winback_2",
    "winback_3",
    "sla_breach",
    "ticket_spike",
    "login_decay",
)
_WIN_BACK_STEPS: Final = ("winback_1", "winback_2", "winback_3")
_PRIORITIES: Final = ("low", "normal", "high", "urgent")

_DECIMAL_PLACES: Final = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW"), 0),
    **dict.fromkeys(("PYG", "RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}
"""ISO 4217's exceptions from two (its two currencies with four are units of account)."""

# What leaves every due instant where it is: money, marks on a trigger, and words.
_NOT_IN_FINGERPRINT: Final = frozenset(
    {
        "model",
        "currency",
        "minor_digits",
        "rates",
        "max_lateness",
        "staleness_limit",
        "holdout_share",
        "value",
        "fingerprint_model",
        "fingerprint_playbook",
        "action",
    }
)


class _ModelFile(msgspec.Struct, forbid_unknown_fields=True):
    """The model file, version 1. `q` is above 1, else the mean spend of an order is infinite."""

    version: Literal[1]
    r: Annotated[float, Meta(gt=0)]
    alpha: Annotated[float, Meta(gt=0)]
    a: Annotated[float, Meta(gt=0)]
    b: Annotated[float, Meta(gt=0)]
    p: Annotated[float, Meta(gt=0)]
    q: Annotated[float, Meta(gt=1)]
    gamma: Annotated[float, Meta(gt=0)]
    customers: Annotated[int, Meta(ge=0)]
    currency: Annotated[str, Meta(pattern=r"^[A-Z]{3}\Z")]
    trained_until: Annotated[str, Meta(max_length=64)] | None = None


_model_file_decoder = msgspec.json.Decoder(_ModelFile)


def load_model(path: Path | None) -> Model:
    """The model in the file at `path`; without one the packaged prior.

    Raises ModelError, one line that names the file, where it cannot be read or makes no sense.
    """
    if path is None:
        with as_file(files("streams") / "prior.json") as packaged:
            return load_model(packaged)
    try:
        content = _model_file_decoder.decode(path.read_bytes())
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path}: is not a model file of version 1: {error}") from error
    return Model(**{name: getattr(content, name) for name in _model_fields()})


def dump_model(model: Model) -> bytes:
    """The content of a model file, which `load_model` reads back as an equal Model.

    Raises ModelError where it would not: a parameter that is not a finite positive number.
    """
    values = {name: getattr(model, name) for name in _model_fields()}
    for name, value in values.items():
        if isinstance(value, float) and not isfinite(value):
            raise ModelError(f"the model's {name} is not a finite number")
    content = msgspec.json.format(msgspec.json.encode({"version": 1, **values}), indent=2) + b"\n"
    try:
        _model_file_decoder.decode(content)
    except ValueError as error:
        raise ModelError(f"the model makes no sense: {error}") from error
    return content


def load_playbook(path: Path | None, model_path: Path | None) -> Playbook:
    """The playbook at `path` over the packaged one, with the model at `model_path` or the prior.

    The model's money parameter is converted into the playbook's currency. Raises PlaybookError,
    one line that names file, line, key and what is allowed, and ModelError as `load_model` does.
    """
    with as_file(files("streams") / "playbook.toml") as packaged:
        default = Document.read(packaged)
    documents = (default,) if path is None else (Document.read(path), default)
    return _playbook(Section(documents), load_model(model_path))


def _playbook(top: Section, model: Model) -> Playbook:
    currency = top.text("currency", "[A-Z]{3}", "an ISO 4217 code, three capital letters")
    rates = _rates(top.section("rates"), currency)
    max_lateness = top.duration("max_lateness", "1 hour", "365 days")
    model = _in_currency(model, currency, rates, top)
    playbook = Playbook(
        model=model,
        currency=currency,
        minor_digits=minor_digits(currency),
        rates=MappingProxyType(
            {code: rate * _minor_units(currency) / _minor_units(code) for code, rate in rates.items()}
        ),
        lapse_age=top.duration("lapse_age", "1 day", "3650 days"),
        max_lateness=max_lateness,
        staleness_limit=top.duration("staleness_limit", "1 minute", "3650 days"),
        include_first_order=top.flag("include_first_order"),
        levels=cast(Literal["highest", "all"], top.word("levels", ("highest", "all"))),
        holdout_share=float(
            top.number("holdout_share", "a share of at least 0 and below 1", lambda share: 0 <= share < 1)
        ),
        value=_value(top.section("value"), currency),
        **_rules(top.section("rules"), max_lateness),
    )
    top.finish()
    return dataclasses.replace(
        playbook,
        fingerprint_model=fingerprint_of_model(model),
        fingerprint_playbook=fingerprint_of_playbook(playbook),
    )


def fingerprint_of_model(model: Model) -> int:
    """32 bits of the parameters; which customers they were fitted on, and when, is not in it."""
    parameters = (model.r, model.alpha, model.a, model.b, model.p, model.q, model.gamma)
    return _hash_32(repr(parameters))


def fingerprint_of_playbook(playbook: Playbook) -> int:
    """32 bits of everything in the rules that can move a due instant.

    A threshold added later is in it unless it is named as one that moves nothing.
    """
    return _hash_32(_canonical(playbook))


def _canonical(value: object) -> str:
    """A text that is the same in each process: no hashes, no addresses, fields by name."""
    if dataclasses.is_dataclass(value):
        names = (field.name for field in dataclasses.fields(value) if field.name not in _NOT_IN_FINGERPRINT)
        pairs = (f"{name}={_canonical(getattr(value, name))}" for name in names)
        return f"{type(value).__name__}({','.join(pairs)})"
    return repr(value)


def _hash_32(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=4).digest(), "big")


def _model_fields() -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(Model))


def minor_digits(currency: str) -> int:
    """Decimal places of a currency (ISO 4217): 2 for dollars, 0 for yen."""
    return _DECIMAL_PLACES.get(currency, 2)


def _minor_units(currency: str) -> int:
    return int(10 ** minor_digits(currency))


def _rates(section: Section, currency: str) -> dict[str, Fraction]:
    """What one (major) unit of each other currency is worth in the base currency."""
    rates: dict[str, Fraction] = {}
    for code in section.names():
        if not re.fullmatch("[A-Z]{3}", code):
            section.refuse(code, "must be an ISO 4217 code, three capital letters")
        if code == currency:
            section.refuse(code, "is the base currency, which needs no rate")
        rates[code] = Fraction(section.number(code, "a number above 0", lambda rate: rate > 0))
    return rates


def _in_currency(model: Model, currency: str, rates: dict[str, Fraction], top: Section) -> Model:
    """The model with money in the base currency: of Gamma-Gamma's parameters only gamma is money."""
    if model.currency == currency:
        return model
    if model.currency not in rates:
        top.refuse(
            "currency",
            f"is {currency}, but the model's amounts are in {model.currency}: add a rate for "
            f"{model.currency} under [rates], or fit a model on amounts in {currency} with `winback fit`",
        )
    gamma = float(Fraction(model.gamma) * rates[model.currency])
    return dataclasses.replace(model, gamma=gamma, currency=currency)


def _value(section: Section, currency: str) -> ValueOfCustomer:
    digits = minor_digits(currency)
    expansion = section.number("expansion", "a share from 0 to 100", lambda share: 0 <= share <= 100)
    cost = section.number(
        "acquisition_cost",
        f"an amount from 0 to 1000000 with at most {digits} decimal places",
        lambda amount: 0 <= amount <= 10**6 and Fraction(amount) * 10**digits % 1 == 0,
    )
    section.finish()
    return ValueOfCustomer(float(expansion), int(Fraction(cost) * 10**digits))


def _rules(rules: Section, max_lateness: int) -> dict[str, Any]:
    """Each rule by its name in Playbook; None where it is switched off.

    A rule that is off is read all the same: a mistake in it should not wait until it is on.
    """
    built = {name: _rule(name, rules.section(name), max_lateness) for name in RULES}
    rules.finish()
    _check_ascending(rules, built, ("risk_medium", "risk_high"), "probability")
    _check_ascending(rules, built, _WIN_BACK_STEPS, "lapse_ages")
    return {name: rule if rules.section(name).flag("enabled") else None for name, rule in built.items()}


def _check_ascending(rules: Section, built: dict[str, Rule], names: tuple[str, ...], threshold: str) -> None:
    for lower, higher in pairwise(names):
        if not getattr(built[lower], threshold) < getattr(built[higher], threshold):
            rules.section(higher).refuse(threshold, f"must be above that of {lower}")


def _rule(name: str, section: Section, max_lateness: int) -> Rule:
    section.flag("enabled")
    common: dict[str, Any] = {
        "version": section.whole("version", 1, 1_000_000),
        "cool_down": section.duration("cool_down", "0 days", "3650 days"),
        "action": section.text("action", r"[^\x00-\x1f\x7f]{0,200}", "one line of at most 200 letters"),
    }
    rule = _thresholds(name, section, common, max_lateness)
    section.finish()
    return rule


def _thresholds(name: str, section: Section, common: dict[str, Any], max_lateness: int) -> Rule:
    match name:
        case "risk_medium" | "risk_high":
            probability = _inside_0_1(section, "probability")
            return Risk(
                **common,
                probability=probability,
                min_silence=section.duration("min_silence", "0 days", "3650 days"),
            )
        case "silent_for":
            return SilentFor(**common, days=section.wholes("days", 1, 3650))
        case "second_order_due":
            return SecondOrderDue(**common, after=section.duration("after", "1 hour", "3650 days"))
        case "winback_1" | "winback_2" | "winback_3":
            ages = section.number("lapse_ages", "a number from 1 to 20", lambda ages: 1 <= ages <= 20)
            return WinBackStep(**common, step=_WIN_BACK_STEPS.index(name) + 1, lapse_ages=Fraction(ages))
        case "sla_breach":
            return SlaBreach(**common, within=_promises(section.section("within"), max_lateness))
        case "ticket_spike":
            return _ticket_spike(section, common, max_lateness)
        case "login_decay":
            ratio = _inside_0_1(section, "ratio")
            return LoginDecay(**common, ratio=ratio, min_logins=section.whole("min_logins", 1, 1000))
        case _:
            raise AssertionError(name)


def _promises(within: Section, max_lateness: int) -> tuple[int, int, int, int]:
    low, normal, high, urgent = (within.duration(name, "1 minute", "365 days") for name in _PRIORITIES)
    promises = (low, normal, high, urgent)
    for priority, promise in zip(_PRIORITIES, promises, strict=True):
        # Past max_lateness the step that would end the breach may itself come too late to be folded.
        if promise > max_lateness:
            longest = duration_in_words(max_lateness)
            within.refuse(priority, f"is {duration_in_words(promise)}, and max_lateness is only {longest}")
    within.finish()
    return promises


def _ticket_spike(section: Section, common: dict[str, Any], max_lateness: int) -> TicketSpike:
    rule = TicketSpike(
        **common,
        openings=section.whole("openings", 1, 100),
        window=section.duration("window", "1 hour", "365 days"),
        factor=section.whole("factor", 1, 100),
        base_window=section.duration("base_window", "1 day", "365 days"),
        base_floor=section.duration("base_floor", "1 day", "3650 days"),
    )
    if rule.window + rule.base_window + max_lateness > OPENINGS_KEPT:
        kept = duration_in_words(OPENINGS_KEPT)
        section.refuse(
            "base_window",
            f"is too long: with window and max_lateness it may be {kept}, as long as openings are kept",
        )
    return rule


def _inside_0_1(section: Section, key: str) -> float:
    return float(section.number(key, "a number above 0 and below 1", lambda number: 0 < number < 1))
