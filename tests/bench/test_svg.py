"""The frame of every picture."""

from xml.etree import ElementTree

from bench.svg import drawing, text

SVG = "{http://www.w3.org/2000/svg}"


def test_a_picture_tells_what_it_shows_to_those_who_cannot_see_it() -> None:
    """By its title and its description; whatever stands in them is only words."""
    root = ElementTree.fromstring(drawing("a < b", "b & c", [text(1, 2, "<c>", anchor="end")], 30, 40))
    found = [root.findtext(f"{SVG}{name}") for name in ("title", "desc", "text")]
    assert ["a < b", "b & c", "<c>"] == found
    assert "0 0 30 40" == root.attrib["viewBox"]
