"""What a rule answers: if nothing more happens to this customer, when do you fire?"""

from msgspec import Struct


class Due(Struct, frozen=True, order=True, gc=False):
    """One instant at which one rule comes true.

    Dues of one instant fire in the order of `rank`. at_once: a stimulus made it due at the
    stimulus's own instant, so it does not wait for the clock to pass.
    """

    at: int
    rank: int
    rule: str
    version: int
    step: int
    episode_at: int
    episode_key: int = 0
    at_once: bool = False
