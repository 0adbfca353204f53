"""Which topics a state was made from."""

import re

import pytest

from schemas.errors import Gap, TopicsError, WinbackError
from streams.lineage import Lineage, contradiction, pack_lineage, unpack_lineage

MADE_FROM = Lineage(4, {"purchases": "1-a", "logins": "1-b", "support-tickets": "1-c"})


def test_a_lineage_survives_its_header() -> None:
    """As it was, and the same bytes for the same topics in any order."""
    assert MADE_FROM == unpack_lineage(pack_lineage(MADE_FROM))
    turned = Lineage(4, dict(reversed(MADE_FROM.topics.items())))
    assert pack_lineage(MADE_FROM) == pack_lineage(turned)


@pytest.mark.parametrize("value", [None, b"", b"\xff", b"[]"])
def test_a_header_that_says_nothing_is_no_lineage(value: bytes | None) -> None:
    """State that was written before there was one is carried on."""
    assert unpack_lineage(value) is None


def test_the_same_topics_are_no_contradiction() -> None:
    """Nor is a topic whose id the broker does not tell."""
    assert contradiction(MADE_FROM, MADE_FROM) is None
    unknown = Lineage(4, dict.fromkeys(MADE_FROM.topics, ""))
    assert contradiction(MADE_FROM, unknown) is None
    assert contradiction(unknown, MADE_FROM) is None


@pytest.mark.parametrize(
    ("found", "raised", "why"),
    [
        (Lineage(8, MADE_FROM.topics), TopicsError, "the topics have 8 partitions now, not 4"),
        (Lineage(4, {**MADE_FROM.topics, "logins": "2-b"}), Gap, "logins was deleted and made anew"),
        (
            Lineage(4, {"eu.purchases": "1-a"}),
            TopicsError,
            "made from logins, purchases, .*, not from eu.purchases",
        ),
    ],
)
def test_other_topics_are_a_contradiction_that_is_named(
    found: Lineage, raised: type[WinbackError], why: str
) -> None:
    """Another count, another topic of the same name, or of another."""
    said = contradiction(MADE_FROM, found)
    assert raised is type(said)
    assert re.search(why, str(said))
