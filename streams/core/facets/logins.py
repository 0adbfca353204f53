"""Sign-ins: two exponentially decayed rates, and the login that last lifted their ratio.

Each login adds one to both decayed counts. A count decaying with half-life h estimates a rate of
count x ln 2 / h, so the ratio of the fast rate to the slow one is (h_slow / h_fast) x fast / slow:
1 for a steady habit, and falling as 2^(-t (1/h_fast - 1/h_slow)) while nobody signs in. Since
every login adds at least as large a share to the fast count, a new login always lifts the ratio.
"""

from bisect import bisect_right
from math import ceil, exp2, log2

from msgspec.structs import replace

from schemas.customer import LoginRates, Logins
from schemas.entries import count_of, event_entry, instant_at, instants_of
from streams.core.facets.recent import Refusal, admit
from streams.core.playbook import DAY
from streams.core.stimuli import LoggedIn

FAST_HALF_LIFE = 7 * DAY
SLOW_HALF_LIFE = 30 * DAY
_STEADY = SLOW_HALF_LIFE / FAST_HALF_LIFE
_FALL = 1 / FAST_HALF_LIFE - 1 / SLOW_HALF_LIFE
_EMPTY = Logins()


def fold(
    facet: Logins | None, event: LoggedIn, *, now: int, max_lateness: int, threshold: float, min_logins: int
) -> Logins | Refusal:
    """The facet with the login in it, or why it is refused.

    `threshold` and `min_logins` are those of the rule login_decay; they decide which login counts
    as the one that lifted the ratio.
    """
    before = facet or _EMPTY
    if event.at < before.base.at:
        return Refusal.TOO_LATE
    # A login older than `max_lateness` is refused even where it was to be accepted late: the rates
    # up to there are folded for good.
    entry = event_entry(event.at, event.event)
    events = admit(before.events, entry, event.at, now=now, max_lateness=max_lateness)
    if isinstance(events, Refusal):
        return events
    if event.at < instant_at(events.entries, 0):
        # It overflowed at once: what is kept in order begins later.
        return Refusal.TOO_LATE
    gone = count_of(before.events) + 1 - count_of(events)
    base = before.base
    if gone:
        base = _through(base, instants_of(before.events)[:gone], threshold, min_logins)
    if event.at >= before.rates.at:
        return Logins(events, _after(before.rates, event.at, threshold, min_logins), base)
    return Logins(events, _through(base, instants_of(events), threshold, min_logins), base)


def rejudged(facet: Logins, *, threshold: float, min_logins: int) -> Logins:
    """The facet as another threshold of the rule sees it; as it is where nothing changed.

    The rates stay. Of the logins before the recent ones the instants are gone: which of them lifted
    the ratio stays as it was judged then.
    """
    base = facet.base
    if base.count:
        above = ratio_at(base, base.at) > threshold
        fell_at = base.at if base.fell_at is None else min(base.fell_at, base.at)
        base = replace(base, fell_at=None if above else fell_at)
    return Logins(facet.events, _through(base, instants_of(facet.events), threshold, min_logins), base)


def rates_as_of(facet: Logins, at: int, *, threshold: float, min_logins: int) -> LoginRates:
    """The rates after the newest login at or before `at`, which lies within the recent ones."""
    instants = instants_of(facet.events)
    return _through(facet.base, instants[: bisect_right(instants, at)], threshold, min_logins)


def ratio_at(rates: LoginRates, at: int) -> float:
    """Fast rate over slow rate at `at` >= rates.at, had nothing happened since; 0 without logins."""
    if not rates.count or rates.slow <= 0.0:
        return 0.0
    return _STEADY * rates.fast / rates.slow * exp2((rates.at - at) * _FALL)


def falls_at(rates: LoginRates, threshold: float) -> int:
    """The first millisecond at which the ratio is at or below `threshold` if nobody signs in.

    Closed form, then stepped by `ratio_at` itself, so that it is false one millisecond before.
    """
    ratio = ratio_at(rates, rates.at)
    if ratio <= threshold:
        return rates.at
    at = rates.at + ceil(log2(ratio / threshold) / _FALL)
    while ratio_at(rates, at) > threshold:
        at += 1
    while at > rates.at and ratio_at(rates, at - 1) <= threshold:
        at -= 1
    return at


def _through(rates: LoginRates, instants: list[int], threshold: float, min_logins: int) -> LoginRates:
    for at in instants:
        rates = _after(rates, at, threshold, min_logins)
    return rates


def _after(rates: LoginRates, at: int, threshold: float, min_logins: int) -> LoginRates:
    """One step of the recurrence: the rates after a login at `at` >= rates.at."""
    if not rates.count:
        return LoginRates(1, 1.0, 1.0, at, at)
    silent = at - rates.at
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
    if fell_at is None:
        fell_at = falls_at(rates, threshold)
    if count == min_logins:
        # Only from this login on are there enough of them for the rule to speak.
        fell_at = at
    return LoginRates(count, fast, slow, at, rates.lifted_at, fell_at)
