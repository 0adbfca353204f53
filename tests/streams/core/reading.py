"""What triggers say, read back from the messages alone."""

from collections.abc import Iterable
from datetime import datetime

from tests.streams.core.definitions import Claim, Dues
from tests.streams.core.world import START, Trigger, after_start


def claim_of(trigger: Trigger) -> Claim:
    """Rule, step and episode of a trigger, the episode out of its readable name."""
    family, _, name = trigger.episode.partition(":")
    if family == "spell":
        name += "T00:00:00+00:00"
    key = 0
    if family == "support":
        name, _, digits = name.rpartition(":")
        key = int(digits, 16)
    return Claim(trigger.rule, trigger.step, START + after_start(datetime.fromisoformat(name)), key)


def net_of(triggers: Iterable[Trigger]) -> Dues:
    """What was raised (or due) and not revoked, with its due instant."""
    dues: Dues = {}
    for trigger in triggers:
        claim = claim_of(trigger)
        if trigger.kind in {"raised", "due"}:
            assert claim not in dues, f"{claim} was raised twice"
            dues[claim] = START + after_start(trigger.due_at)
        elif trigger.kind == "revoked":
            del dues[claim]
    return dues


def open_of(triggers: Iterable[Trigger]) -> set[Claim]:
    """What was raised (or due) and has not been ended; of win-back steps, with their spell."""
    standing: set[Claim] = set()
    for trigger in triggers:
        claim = claim_of(trigger)
        if trigger.kind in {"raised", "due"}:
            standing.add(claim)
        elif trigger.kind == "achieved":
            day = claim.episode_at
            standing -= {c for c in standing if c.rule.startswith("winback") and c.episode_at == day}
        else:
            standing.discard(claim)
    return standing
