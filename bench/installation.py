"""An installation of Winback that nobody else uses."""

from typing import Any

from agents.topics import create_topics
from streams.clock import wall_ms
from streams.settings import Settings


def own_settings(bootstrap: str, **given: Any) -> Settings:
    """Settings under a name of their own, bench-..., which is that of the application, and stands before
    the names of all topics."""
    name = f"bench-{wall_ms():x}"
    return Settings(bootstrap=bootstrap, application_id=name, topic_prefix=f"{name}-", **given)


async def installation(bootstrap: str, **given: Any) -> Settings:
    """The same, its topics made."""
    settings = own_settings(bootstrap, **given)
    await create_topics(settings)
    return settings
