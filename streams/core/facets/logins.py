"""Sign-ins: two exponentially decayed rates, and the login that last lifted their ratio.

Each login adds one to both decayed counts. A count decaying with half-life h estimates a rate of
count x ln 2 / h, so the ratio of the fast rate to the slow one is (h_slow / h_fast) x fast / slow:
1 for a steady habit, and falling as 2^(-t (1/h_fast - 1/h_slow)) while nobody signs in. Since
every login adds at least as large a share to the fast count, a new login always lifts the ratio.
"""

from math import ceil, exp2, log2
from typing import Final

from mypy_extensions import i64

from schemas.customer import NEVER, LoginRates, Logins, Recent
from schemas.entries import EVENT_SIZE, event_entry, instant_at
from streams.core.facets.recent import TOO_LATE, Refusal, admit
from streams.core.playbook import DAY
from streams.core.stimuli import LoggedIn

FAST_HALF_LIFE: Final = 7 * DAY
SLOW_HALF_LIFE: Final = 30 * DAY
_STEADY: Final = SLOW_HALF_LIFE / FAST_HALF_LIFE
_FALL: Final = 1 / FAST_HALF_LIFE - 1 / SLOW_HALF_LIFE
_EMPTY: Final = Logins()


def fold(
    facet: Logins | None, event: LoggedIn, *, now: i64, max_lateness: i64, threshold: float, min_logins: i64
) -> Logins | Refusal:
    """The facet with the login in it, or why it is refused.

    `threshold` and `min_logins` are those of the rule login_decay; they decide which login counts
    as the one that lifted the ratio.
    """
    before = _EMPTY if facet is None else facet
    at = event.at
    if at < before.base.at:
        return TOO_LATE
    # A login older than `max_lateness` is refused even where it was to be accepted late: the rates
    # up to there are folded for good.
    entry = event_entry(at, event.event)
    events = admit(before.events, entry, at, now=now, max_lateness=max_lateness)
    if not isinstance(events, Recent):
        return events
    if at < instant_at(events.entries, 0):
        # It overflowed at once: what is kept in order begins later.
        return TOO_LATE
    gone = len(before.events.entries) + EVENT_SIZE - len(events.entries)
    base = before.base
    if gone:
        base = _through(base, before.events.entries[:gone], threshold, min_logins)
    if at >= before.rates.at:
        return Logins(events, _after(before.rates, at, threshold, min_logins), base)
    return Logins(events, _through(base, events.entries, threshold, min_logins), base)


def rejudged(facet: Logins, *, threshold: float, min_logins: i64) -> Logins:
    """The facet as another threshold of the rule sees it; as it is where nothing changed.

    The rates stay. Of the logins before the recent ones the instants are gone: which of them lifted
    the ratio stays as it was judged then.
    """
    base = facet.base
    if base.count:
        above = ratio_at(base, base.at) > threshold
        fell_at: i64 = NEVER if above else min(base.fell_at, base.at)
        base = LoginRates(base.count, base.fast, base.slow, base.at, base.lifted_at, fell_at)
    return Logins(facet.events, _through(base, facet.events.entries, threshold, min_logins), base)


def rates_as_of(facet: Logins, at: i64, *, threshold: float, min_logins: i64) -> LoginRates:
    """The rates after the newest login at or before `at`, which lies within the recent ones."""
    entries = facet.events.entries
    place: i64 = len(entries)
    while place and instant_at(entries, place - EVENT_SIZE) > at:
        place -= EVENT_SIZE
    return _through(facet.base, entries[:place], threshold, min_logins)


def ratio_at(rates: LoginRates, at: i64) -> float:
    """Fast rate over slow rate at `at` >= rates.at, had nothing happened since; 0 without logins."""
    if not rates.count or rates.slow <= 0.0:
        return 0.0
    return _STEADY * rates.fast / rates.slow * exp2(float(rates.at - at) * _FALL)


def falls_at(rates: LoginRates, threshold: float) -> i64:
    """The first millisecond at which the ratio is at or below `threshold` if nobody signs in.

    Closed form, then stepped by `ratio_at` itself, so that it is false one millisecond before.
    """
    ratio = ratio_at(rates, rates.at)
    if ratio <= threshold:
        return rates.at
    at: i64 = rates.at + ceil(log2(ratio / threshold) / _FALL)
    while ratio_at(rates, at) > threshold:
        at += 1
    while at > rates.at and ratio_at(rates, at - 1) <= threshold:
        at -= 1
    return at


def _through(rates: LoginRates, entries: bytes, threshold: float, min_logins: i64) -> LoginRates:
    place: i64 = 0
    while place < len(entries):
        rates = _after(rates, instant_at(entries, place), threshold, min_logins)
        place += EVENT_SIZE
    return rates


def _after(rates: LoginRates, at: i64, threshold: float, min_logins: i64) -> LoginRates:
    """One step of the recurrence: the rates after a login at `at` >= rates.at."""
    if not rates.count:
        return LoginRates(1, 1.0, 1.0, at, at)
    silent = float(at - rates.at)
    fast = rates.fast * exp2(-silent / FAST_HALF_LIFE)
    slow = rates.slow * exp2(-silent / SLOW_HALF_LIFE)
    above_before = slow > 0.0 and _STEADY * fast / slow > threshold
    fast += 1.0
    slow += 1.0
    count = rates.count + 1
    if _STEADY * fast / slow > threshold:
        lifted_at = rates.lifted_at if above_before else at
        return LoginRates(count, fast, slow, at, lifted_at)
    fell_at = rates.fell_at
    if fell_at == NEVER:
        fell_at = falls_at(rates, threshold)
    if count == min_logins:
        # Only from this login on are there enough of them for the rule to speak.
        fell_at = at
    return LoginRates(count, fast, slow, at, rates.lifted_at, fell_at)
