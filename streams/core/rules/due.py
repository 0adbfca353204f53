"""What a rule answers: if nothing more happens to this customer, when do you fire?"""

from typing import Final

from mypy_extensions import i64, mypyc_attr


@mypyc_attr(acyclic=True)
class Due:
    """One instant at which one rule comes true.

    Dues of one instant fire in the order of `rank`. at_once: a stimulus made it due at the
    stimulus's own instant, so it does not wait for the clock to pass.
    """

    __slots__ = ("at", "at_once", "episode_at", "episode_key", "rank", "rule", "step", "version")

    def __init__(  # noqa: PLR0917 - by position: one is made for each purchase
        self,
        at: i64,
        rank: i64,
        rule: str,
        version: i64,
        step: i64,
        episode_at: i64,
        episode_key: int = 0,
        at_once: bool = False,
    ) -> None:
        self.at: Final = at
        self.rank: Final = rank
        self.rule: Final = rule
        self.version: Final = version
        self.step: Final = step
        self.episode_at: Final = episode_at
        self.episode_key: Final = episode_key
        self.at_once: Final = at_once

    def __lt__(self, other: "Due") -> bool:
        if self.at != other.at:
            return self.at < other.at
        return self._order < other._order

    @property
    def _order(self) -> tuple[int, str, int, int, int, int]:
        return self.rank, self.rule, self.version, self.step, self.episode_at, self.episode_key
