"""The data set is fetched once, checked, and parsed to the cent."""

from datetime import date
from pathlib import Path

import pytest

from agents.cdnow import FIRST_DAY, LAST_DAY, CdnowPurchase, cdnow_file, cdnow_purchases, default_cache
from schemas.errors import ConfigurationError


def test_the_file_comes_out_of_the_wheel_and_stays_in_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first call fetches the wheel and leaves the text alone behind; the next needs no index."""
    cache = tmp_path / "not" / "there" / "yet"
    file = cdnow_file(cache)
    assert [file] == list(cache.iterdir())
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    assert file == cdnow_file(cache)


def test_a_damaged_cache_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file with another checksum is fetched again, and without an index one line says so."""
    (tmp_path / "CDNOW_master.txt").write_text("half a fi")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(
        ConfigurationError, match=r"^lifetimes==0\.11\.3, which holds .* not be downloaded: .+$"
    ):
        cdnow_file(tmp_path)


def test_a_cache_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    """A file in the place of the cache's folder is named, without a stack trace."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match=r"file: the CDNOW data cannot be kept there: "):
        cdnow_file(tmp_path / "file")


def test_purchases_are_those_of_the_published_data_set() -> None:
    """23,570 customers, 69,659 purchases, 1 January 1997 to 30 June 1998, each customer in order."""
    purchases = cdnow_purchases(default_cache())
    expected = (69_659, 23_570)
    assert expected == (len(purchases), len({purchase.customer_id for purchase in purchases}))
    days = [purchase.date for purchase in purchases]
    assert min(days) == FIRST_DAY
    assert max(days) == LAST_DAY
    assert purchases == sorted(purchases, key=lambda purchase: purchase[:2])


def test_amounts_are_exact_cents() -> None:
    """The first line reads 11.77 and one CD; the whole is 2,500,315.63 dollars."""
    purchases = cdnow_purchases(default_cache())
    assert CdnowPurchase("00001", date(1997, 1, 1), 11_77, 1) == purchases[0]
    expected = 2_500_315_63
    assert expected == sum(purchase.amount_minor for purchase in purchases)
