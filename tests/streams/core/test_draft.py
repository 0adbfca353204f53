"""What the state remembers of firings, and for how long."""

from streams.core.playbook import DAY, Playbook, Risk, SilentFor
from tests.streams.core.world import MODEL, order, seen


def test_a_leap_of_the_clock_forgets_no_cool_down_on_the_way() -> None:
    """Dues settled in one go are those settled day by day, cool-downs included."""
    playbook = Playbook(
        model=MODEL,
        lapse_age=30 * DAY,
        include_first_order=True,
        risk_medium=Risk(probability=0.5, min_silence=0, cool_down=3 * DAY),
        silent_for=SilentFor(days=(1,)),
    )
    leaping = seen(playbook, [order(0), order(DAY)]).until(700 * DAY)
    walking = seen(playbook, [order(0), order(DAY)])
    for day in range(2, 700):
        walking.until(day * DAY)

    assert ("raised", "risk_medium", 3 * DAY) == walking.said()[-1]
    assert walking.said() == leaping.said()
