"""login_decay: the habit of signing in has fallen to half of what it was."""

from schemas.customer import NEVER, Firing, Logins
from streams.core.facets.logins import falls_at, rates_as_of, ratio_at
from streams.core.firings import History
from streams.core.playbook import LoginDecay, Playbook
from streams.core.rules.due import Due


def login_decay(logins: Logins, history: History, playbook: Playbook) -> Due | None:
    """When the ratio of the fast login rate to the slow one falls to the threshold."""
    rule = playbook.login_decay
    rates = logins.rates
    if rule is None or rates.count < rule.min_logins:
        return None
    if history.has_fired("login_decay", rule.version, 0, rates.lifted_at):
        return None
    fell_at = falls_at(rates, rule.ratio) if rates.fell_at == NEVER else rates.fell_at
    at = history.after_cool_down("login_decay", 0, fell_at, rule.cool_down)
    return Due(at, 9, "login_decay", rule.version, 0, rates.lifted_at, at_once=at == fell_at == rates.at)


def still_true(logins: Logins, firing: Firing, rule: LoginDecay) -> bool:
    """Whether the firing's definition holds as of its due, after a late login has been folded."""
    rates = rates_as_of(logins, firing.due, threshold=rule.ratio, min_logins=rule.min_logins)
    return (
        rates.count >= rule.min_logins
        and rates.lifted_at == firing.episode_at
        and ratio_at(rates, firing.due) <= rule.ratio
    )
