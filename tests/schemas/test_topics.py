"""What the topics of an application are called."""

from schemas.topics import CHANGELOG, CHURN_RISK, DEAD_LETTERS, ERASURE_RECEIPTS, ERASURES, SOURCES, Topics

SHARED = Topics("shop", "eu.")
APART = Topics("trial", "eu.", apart=True)


def test_an_application_shares_all_topics_but_its_changelog() -> None:
    """Under the prefix of the installation."""
    names = {spec.name for spec in SHARED.all()}
    assert {"eu.shop-customers-changelog"} == {name for name in names if "shop" in name}
    assert all(name.startswith("eu.") for name in names)


def test_a_replay_reads_what_all_read_and_writes_apart() -> None:
    """Who is to be forgotten is so for it too, and nothing of the live application changes."""
    assert [SHARED.name(spec) for spec in (*SOURCES, ERASURES)] == [
        APART.name(spec) for spec in (*SOURCES, ERASURES)
    ]
    for spec in (CHURN_RISK, ERASURE_RECEIPTS, *DEAD_LETTERS, CHANGELOG):
        assert f"eu.trial-{spec.name}" == APART.name(spec)
