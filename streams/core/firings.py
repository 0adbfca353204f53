"""What has gone out, as the rules ask for it."""

from enum import IntEnum
from typing import Final

from mypy_extensions import i64

from schemas.customer import Firing


class State(IntEnum):
    """Of one firing; the number is what the state keeps."""

    OPEN = 0
    ENDED = 1
    REVOKED = 2


class History:
    """The firings a customer's state remembers, indexed once for all the rules of a decision."""

    __slots__ = ("_dues", "_fired", "_revoked")

    def __init__(self, firings: tuple[Firing, ...]) -> None:
        self._fired: set[tuple[str, int, int, int, int]] = set()
        self._revoked: dict[tuple[str, int, int, int, int], int] = {}
        self._dues: dict[tuple[str, int], int] = {}
        for firing in firings:
            name = (firing.rule, firing.version, firing.step, firing.episode_at, firing.episode_key)
            if firing.state == State.REVOKED:
                self._revoked[name] = self._revoked.get(name, 0) + 1
                continue
            self._fired.add(name)
            last = self._dues.get((firing.rule, firing.step))
            if last is None or firing.due > last:
                self._dues[(firing.rule, firing.step)] = firing.due

    def has_fired(self, rule: str, version: i64, step: i64, episode_at: i64, episode_key: int = 0) -> bool:
        """Whether the rule has fired in this episode and was not taken back."""
        # Most customers have nothing on record: they need not pay for the name.
        return bool(self._fired) and (rule, version, step, episode_at, episode_key) in self._fired

    def revisions(self, rule: str, version: i64, step: i64, episode_at: i64, episode_key: int) -> int:
        """How often the rule fired in this episode and was taken back."""
        return self._revoked.get((rule, version, step, episode_at, episode_key), 0)

    def after_cool_down(self, rule: str, step: i64, at: i64, cool_down: i64) -> i64:
        """`at`, or the end of the cool-down since the rule's last due where that is later."""
        if not cool_down:
            return at  # even before the last due: a late event may put it there
        last = self._dues.get((rule, step)) if self._dues else None
        return at if last is None else max(at, last + cool_down)


NOTHING: Final = History(())
