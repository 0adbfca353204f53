"""How the engines' changelogs are read."""

import json
from pathlib import Path

import pytest

from bench.catalogue import ENGINES, Engine, Job, Order, forget_settings
from bench.input import Size
from bench.peers.jobs import Summary, pack
from bench.totals import packed
from schemas.customer import Customer, Purchases
from schemas.record import PARTITION_KEY, Fingerprint
from schemas.record import pack as pack_customer
from streams.settings import Settings

_SUMMARY = Summary(1, 9, 2, 30, [(1, 10), (9, 20)])
_IN_JSON = json.dumps(_SUMMARY).encode()


def _engine(name: str) -> Engine:
    [found] = [engine for engine in ENGINES if engine.name == name]
    return found


@pytest.mark.parametrize(
    ("engine", "key", "total", "summary"),
    [
        ("faust", b'"c-1"', b"30", _IN_JSON),
        ("faust tuned", b"c-1", (30).to_bytes(8, "big"), pack(_SUMMARY)),
        ("quixstreams", b'c-1|"customer"', b"30", _IN_JSON),
        ("quixstreams tuned", b'c-1|"customer"', (30).to_bytes(8, "big"), pack(_SUMMARY)),
        ("kafka streams", b"c-1", (30).to_bytes(8, "big"), pack(_SUMMARY)),
    ],
)
def test_a_peers_state_is_read_as_the_expected_one(
    engine: str, key: bytes, total: bytes, summary: bytes
) -> None:
    """Whatever it is written in."""
    assert (b"c-1", 30) == _engine(engine).read("total", key, total)
    assert (b"c-1", pack(_SUMMARY)) == _engine(engine).read("retention", key, summary)


def test_winbacks_state_is_read_as_far_as_it_is_comparable() -> None:
    """It keeps other things than the peers; first, last and sum are among them."""
    customer = Customer(purchases=Purchases(first_at=1, last_at=9, spend=30))
    winback = _engine("winback")
    state = pack_customer(customer, Fingerprint(1, 2))
    assert (b"c-1", (1, 9, 30)) == winback.read("retention", b"c-1", state)
    assert (b"c-1", -30) == winback.read("total", b"c-1", packed(-30))
    assert winback.read("total", PARTITION_KEY, b"anything") is None


def test_names_tell_engines_apart() -> None:
    """They name topics too, so they are plain."""
    names = [engine.name for engine in ENGINES]
    assert sorted(set(names)) == sorted(names)
    assert all(name.replace(" ", "").replace("-", "").isalnum() for name in names)


@pytest.mark.parametrize("job", ["total", "retention"])
def test_winback_is_told_the_benchmarks_settings(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And whether to run compiled code, which the user may choose."""
    monkeypatch.setenv("WINBACK_COMPILED", "0")
    settings = Settings(bootstrap="127.0.0.1:1", application_id="run", clock="event")
    command = _engine("winback").command(Order(job, "run", settings, "purchases", Size(), tmp_path))
    assert "0" == command.environment["WINBACK_COMPILED"]
    assert "127.0.0.1:1" in [*command.words, command.environment.get("WINBACK_BOOTSTRAP")]


def test_settings_of_the_users_own_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """They would change what is measured."""
    monkeypatch.setenv("WINBACK_FETCH_MAX_RECORDS", "1")
    forget_settings()
    assert Settings().fetch_max_records > 1
