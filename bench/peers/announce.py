"""What a measured program says of itself, one JSON object a line, and the options it is given.

started: its first record is at hand. finished: its last one is folded; what it still does is to write
out and commit. versions, before both: of what is measured. serving: Winback's, whether it is compiled.
"""

import argparse
import json
import sys
from importlib.metadata import version
from typing import Final

STARTED: Final = "started"
FINISHED: Final = "finished"
VERSIONS: Final = "versions"
SERVING: Final = "serving"


def say(event: str, **said: object) -> None:
    """One line, out at once."""
    sys.stdout.write(json.dumps({"event": event, **said}) + "\n")
    sys.stdout.flush()


def say_versions(*packages: str) -> None:
    """Of these Python packages, and of Python."""
    say(VERSIONS, **{name: version(name) for name in packages}, python=sys.version.split()[0])


class Progress:
    """Counts records and announces the first and the last of `events`."""

    def __init__(self, events: int) -> None:
        self.folded = 0
        self._events = events

    def begin(self) -> None:
        """A record is at hand; the first one is announced."""
        if not self.folded:
            say(STARTED)

    def end(self, records: int = 1) -> bool:
        """So many are folded; True with the last of all."""
        self.folded += records
        if self.folded < self._events:
            return False
        say(FINISHED, records=self.folded)
        return True


def options(description: str | None) -> argparse.Namespace:
    """bootstrap, topic, alerts (the topic), application_id, events, job, tuned, folder."""
    parser = argparse.ArgumentParser(description=description)
    for name in ("bootstrap", "topic", "alerts", "application-id", "job", "folder"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--events", type=int, required=True)
    parser.add_argument("--tuned", action="store_true")
    return parser.parse_args()
