"""The steps of winning a lapsed customer back: at the lapse age, and at multiples of it."""

from streams.core.firings import History
from streams.core.playbook import Playbook, WinBackStep
from streams.core.rules.due import Due
from streams.core.rules.lapse import Spell


def winback_1(spell: Spell, history: History, playbook: Playbook) -> Due | None:
    """The first step."""
    return _step("winback_1", playbook.winback_1, spell, history, playbook)


def winback_2(spell: Spell, history: History, playbook: Playbook) -> Due | None:
    """The second step."""
    return _step("winback_2", playbook.winback_2, spell, history, playbook)


def winback_3(spell: Spell, history: History, playbook: Playbook) -> Due | None:
    """The third and last step."""
    return _step("winback_3", playbook.winback_3, spell, history, playbook)


def _step(
    name: str, rule: WinBackStep | None, spell: Spell, history: History, playbook: Playbook
) -> Due | None:
    if rule is None or history.has_fired(name, rule.version, rule.step, spell.starts_at):
        return None
    ages = rule.lapse_ages
    silent = -(-playbook.lapse_age * ages.numerator // ages.denominator)  # rounded up
    at = history.after_cool_down(name, rule.step, spell.last_at + silent, rule.cool_down)
    return Due(at, 4 + rule.step, name, rule.version, rule.step, spell.starts_at)
