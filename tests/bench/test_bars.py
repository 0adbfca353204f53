"""The picture for people."""

import re
from xml.etree import ElementTree

from bench.bars import picture
from bench.report import Report, Result, Run


def _bars(drawn: str) -> list[float]:
    return [float(found) for found in re.findall(r'<rect [^>]*width="([\d.]+)"', drawn)]


def test_bars_are_as_long_as_their_engines_are_fast() -> None:
    """Half the events a second is half the length; who was not run has none."""
    results = [
        Result("total", "winback", "", 1000, [Run(1.0, 1.0, 1.0, 1.0)]),
        Result("total", "a <b>", "", 1000, [Run(2.0, 1.0, 1.0, 1.0)]),
        Result("total", "absent", "", 1000, not_run="no Maven"),
    ]
    drawn = picture(Report("abc", "machine", "broker", 0.0, 1000, 10, 237.0, results))
    ours, theirs = _bars(drawn)
    assert ours == 2 * theirs
    assert "absent" not in drawn
    ElementTree.fromstring(drawn)


def test_a_picture_of_nothing_can_be_drawn() -> None:
    """Where no engine could be run."""
    ElementTree.fromstring(picture(Report("abc", "machine", "broker", 0.0, 1000, 10, 237.0)))
