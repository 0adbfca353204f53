"""An installation of a benchmark's own."""

from bench.installation import own_settings


def test_all_that_an_installation_writes_bears_its_name() -> None:
    """So it can be told from everybody else's on the same broker."""
    settings = own_settings("broker:9092", partitions=3)
    assert f"{settings.application_id}-" == settings.topic_prefix
    assert settings.application_id.startswith("bench-")
    assert ("broker:9092", 3) == (settings.bootstrap, settings.partitions)
