"""Pictures are well-formed, to scale, and say where they were made."""

from xml.etree import ElementTree

import pytest

from bench.pictures import Curve, Histogram, curves, histograms

SVG = "{http://www.w3.org/2000/svg}"
CAPTION = "Commit abc1234 & 2026-11-22; two cores"


def words(picture: str) -> str:
    """All that is written on a picture."""
    return " ".join(text.text or "" for text in ElementTree.fromstring(picture).iter(f"{SVG}text"))


def test_a_histogram_has_a_bar_a_bin_as_high_as_its_count() -> None:
    """The bin that holds twice as many is twice as high."""
    picture = histograms("Waits", [Histogram("1 <event>", [(1.0, 10), (10.0, 20)])], CAPTION)
    low, high = [float(bar.attrib["height"]) for bar in ElementTree.fromstring(picture).iter(f"{SVG}rect")]
    assert high == pytest.approx(2 * low, abs=0.2)


def test_an_axis_reaches_as_far_as_its_values() -> None:
    """What is slow must not stand outside of the picture."""
    picture = ElementTree.fromstring(histograms("Waits", [Histogram("", [(9000.0, 1)])], CAPTION))
    [bar] = picture.iter(f"{SVG}rect")
    assert float(bar.attrib["x"]) + float(bar.attrib["width"]) <= 760


def test_a_curve_has_a_point_a_size() -> None:
    """With its figure beside it."""
    picture = curves("Cost", [Curve("CPU", [(1e4, 9.5), (3e6, 12.25)], [(1e4, 12.0), (3e6, 12.0)])], CAPTION)
    assert 2 == len(list(ElementTree.fromstring(picture).iter(f"{SVG}circle")))
    assert "9.5" in words(picture)
    assert "3,000,000" in words(picture)


def test_a_curve_of_one_size_can_be_drawn() -> None:
    """As after a trial run."""
    assert "10,000" in words(curves("Cost", [Curve("CPU", [(1e4, 9.5)])], CAPTION))


def test_a_long_caption_stays_within_the_picture() -> None:
    """On as many lines as it needs, and the picture is as high as that."""
    caption = " ".join(["word"] * 100)
    picture = ElementTree.fromstring(histograms("Waits", [Histogram("", [(1.0, 1)])], caption))
    *_, height = map(float, picture.attrib["viewBox"].split())
    lines = [text for text in picture.iter(f"{SVG}text") if (text.text or "").startswith("word")]
    assert caption == " ".join(line.text or "" for line in lines)
    assert 5 == len(lines)
    assert max(float(line.attrib["y"]) for line in lines) < height


@pytest.mark.parametrize("title", ["Waits", "Cost"])
def test_every_picture_carries_its_caption(title: str) -> None:
    """All words of it, in order."""
    drawn = histograms(title, [Histogram("", [(1.0, 1)])], CAPTION)
    assert CAPTION in words(drawn)
    assert title in words(drawn)
