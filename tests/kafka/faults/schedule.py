"""What goes wrong, in which order, to whom: drawn from a seed, and the same for the same seed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

LONGEST_PAUSE: Final = 1.5
OVERLAPPING: Final = 0.25


@dataclass(frozen=True, slots=True)
class Planned:
    """One fault. pause: seconds before it. overlapping: nobody waits until the last one has healed.

    seed: of what the fault itself draws.
    """

    kind: str
    slot: int
    pause: float
    overlapping: bool
    seed: int


def schedule(seed: int, kinds: Sequence[str], slots: int) -> Iterator[Planned]:
    """Faults without an end: every kind comes once before any comes again."""
    random = Random(f"faults {seed}")
    while True:
        for kind in random.sample(list(kinds), len(kinds)):
            yield Planned(
                kind=kind,
                slot=random.randrange(slots),
                pause=random.uniform(0.0, LONGEST_PAUSE),
                overlapping=random.random() < OVERLAPPING,
                seed=random.getrandbits(32),
            )
