"""The faults: each is one thing that goes wrong in the life of a group of workers."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from random import Random
from types import MappingProxyType
from typing import Final

from schemas.topics import CHANGELOG
from streams.clock import monotonic, wall_ms
from tests.kafka.faults.cluster import Cluster
from tests.kafka.faults.crew import Crew, Slot
from tests.kafka.faults.points import Api, Point, Trap
from tests.kafka.faults.reader import Ledger

TRAP_SECONDS: Final = 20.0
"""Where a point is not reached by then, the fault has not happened."""
TAKEOVER_SECONDS: Final = 40.0


async def nobody_to_forget(random: Random) -> bool:
    """Where the customers are not known, none of them can ask for it."""
    return False


@dataclass
class Stage:
    """What faults happen to. end: instant (ms) at which the replay that runs ends.

    forget: asks for the erasure of some customer; False where nobody did.
    """

    cluster: Cluster
    crew: Crew
    ledger: Ledger
    end: int
    forget: Callable[[Random], Awaitable[bool]] = nobody_to_forget

    @property
    def over(self) -> bool:
        """Whether there is nothing left to disturb."""
        return self.ledger.finished(self.end)

    def another(self, slot: Slot) -> Slot:
        """A slot next to this one."""
        return self.crew.slots[(slot.number + 1) % len(self.crew.slots)]

    async def served(self, since: int, seconds: float) -> bool:
        """Until every partition has got on since then (ms), or is at its end; False where one does not."""
        return await self._until(lambda: self.ledger.all_moved(since, self.end), seconds)

    async def sprung(self, trap: Trap) -> bool:
        """Until the trap's point is reached; False where it is not, or nothing is left to do."""
        await self._until(lambda: trap.reached.is_set() or self.over, TRAP_SECONDS)
        return trap.reached.is_set()

    @staticmethod
    async def _until(condition: Callable[[], bool], seconds: float) -> bool:
        deadline = monotonic() + seconds
        while not condition():
            if monotonic() > deadline:
                return False
            await asyncio.sleep(0.02)
        return True


Accident = Callable[[Stage, Slot, Random], Awaitable[bool]]
"""Does it; False where the moment for it did not come. It is over when this returns."""


# --------------------------------------------------------------------------------------- kill -9


async def kill(stage: Stage, slot: Slot, random: Random) -> bool:
    """kill -9 at any instant."""
    slot.kill()
    return True


async def kill_all(stage: Stage, slot: Slot, random: Random) -> bool:
    """kill -9 of every worker at once: nobody is left who remembers anything."""
    for each in stage.crew.slots:
        each.kill()
    return True


async def kill_at(point: Point, stage: Stage, slot: Slot, random: Random) -> bool:
    """kill -9 at a named point; with a batch or two going by first."""
    point = point._replace(passing=random.randrange(3))
    async with slot.trapped(Trap(point, strike=slot.kill, drop=point.moment == "before")) as trap:
        return await stage.sprung(trap)


async def kill_in_fencing(stage: Stage, slot: Slot, random: Random) -> bool:
    """A worker starts, fences its predecessor's transactions, and is killed amid that."""
    return await _kill_while_starting(Point(Api.INIT_PRODUCER_ID, "during"), stage, slot)


async def kill_in_recovery(stage: Stage, slot: Slot, random: Random) -> bool:
    """A worker starts, reads the changelog, and is killed amid that."""
    point = Point(Api.FETCH, "after", CHANGELOG.name.encode(), passing=random.randrange(2))
    return await _kill_while_starting(point, stage, slot)


async def _kill_while_starting(point: Point, stage: Stage, slot: Slot) -> bool:
    slot.kill()
    async with slot.trapped(Trap(point, strike=slot.kill)) as trap:
        return await stage.sprung(trap)


async def kill_in_rebalance(stage: Stage, slot: Slot, random: Random) -> bool:
    """Another worker's leave has all the others join anew, and one of them dies of it."""
    point = random.choice(
        (Point(Api.JOIN_GROUP, "before"), Point(Api.JOIN_GROUP, "after"), Point(Api.SYNC_GROUP, "during"))
    )
    async with slot.trapped(Trap(point, strike=slot.kill, drop=point.moment == "before")) as trap:
        stage.another(slot).terminate()
        return await stage.sprung(trap)


# ------------------------------------------------------------------------------------------ zombies


async def zombie(stage: Stage, slot: Slot, random: Random) -> bool:
    """SIGSTOP at any instant until others have taken over, then SIGCONT."""
    slot.freeze()
    try:
        await stage.served(_after(slot.settings.session_timeout_seconds), TAKEOVER_SECONDS)
    finally:
        slot.thaw()
    return True


async def zombie_at(point: Point, stage: Stage, slot: Slot, random: Random) -> bool:
    """The same at a named point; what was on its way arrives when the zombie wakes."""
    point = point._replace(passing=random.randrange(3))
    async with slot.trapped(Trap(point, strike=slot.freeze, hold=True)) as trap:
        try:
            if not await stage.sprung(trap):
                return False
            await stage.served(_after(slot.settings.session_timeout_seconds), TAKEOVER_SECONDS)
        finally:
            slot.thaw()
    return True


async def overdue_commit(stage: Stage, slot: Slot, random: Random) -> bool:
    """A commit under way for longer than the broker lets a transaction be, then a rebalance.

    The worker lives, is in its group, and may be given the same partition again.
    """
    async with slot.trapped(Trap(Point(Api.END_TXN, "before"), hold=True)) as trap:
        if not await stage.sprung(trap):
            return False
        # The broker looks for overdue transactions twice a second.
        await asyncio.sleep(slot.settings.transaction_timeout_seconds + 1.0)
    stage.another(slot).terminate()
    return True


# ---------------------------------------------------------------------------------- come and go


async def terminate(stage: Stage, slot: Slot, random: Random) -> bool:
    """SIGTERM; another worker takes the place at once."""
    slot.terminate()
    return True


async def leave_and_join(stage: Stage, slot: Slot, random: Random) -> bool:
    """SIGTERM; its place stays empty until the others have it all, then somebody joins."""
    slot.wanted.clear()
    try:
        slot.terminate()
        await stage.served(_after(random.uniform(0.5, 2.0)), TAKEOVER_SECONDS)
    finally:
        slot.wanted.set()
    return True


# ------------------------------------------------------------------------------------ the network


async def cut(stage: Stage, slot: Slot, random: Random) -> bool:
    """Every connection of a worker ends, and new ones are welcome."""
    for road in slot.roads:
        road.cut()
    return True


async def cut_off(stage: Stage, slot: Slot, random: Random) -> bool:
    """A worker reaches no broker for a while, perhaps for longer than its session."""
    seconds = random.uniform(0.3, 1.5) * slot.settings.session_timeout_seconds
    try:
        for road in slot.roads:
            road.closed = True
            road.cut()
        await asyncio.sleep(seconds)
    finally:
        for road in slot.roads:
            road.closed = False
    return True


async def slow(stage: Stage, slot: Slot, random: Random) -> bool:
    """Every request and every answer of a worker takes its time for a while."""
    delay = random.choice((0.05, 0.2, 0.5))
    try:
        for road in slot.roads:
            road.delay = delay
        await asyncio.sleep(random.uniform(2.0, 5.0))
    finally:
        for road in slot.roads:
            road.delay = 0.0
    return True


async def unheard_commit(stage: Stage, slot: Slot, random: Random) -> bool:
    """A transaction is committed, and its worker is not told: the connection ends instead."""
    point = Point(Api.END_TXN, "during", passing=random.randrange(3))
    async with slot.trapped(Trap(point, forget=True)) as trap:
        return await stage.sprung(trap)


# ---------------------------------------------------------------------------------------- erasures


async def forget(stage: Stage, slot: Slot, random: Random) -> bool:
    """No fault at all: a customer asks to be forgotten in the middle of it."""
    return await stage.forget(random)


# ------------------------------------------------------------------------------------------ clocks


async def step_clock(stage: Stage, slot: Slot, random: Random) -> bool:
    """A worker's wall clock is put forward or back by up to half a minute, and right again."""
    try:
        slot.step_clock(random.uniform(-30.0, 30.0))
        await asyncio.sleep(random.uniform(1.0, 4.0))
    finally:
        slot.step_clock(0.0)
    return True


# ---------------------------------------------------------------------------------------- brokers


async def kill_broker(stage: Stage, slot: Slot, random: Random) -> bool:
    """kill -9 of a broker, and its return; of several, it is one that leads partitions."""
    number = random.randrange(len(stage.cluster.nodes))
    await stage.cluster.kill(number)
    await asyncio.sleep(random.uniform(0.0, 3.0))
    await stage.cluster.start(number)
    return True


def _after(seconds: float) -> int:
    return wall_ms() + round(seconds * 1000)


KINDS: Final[Mapping[str, Accident]] = MappingProxyType(
    {
        "kill": kill,
        "kill_all": kill_all,
        "kill_while_writing": partial(kill_at, Point(Api.PRODUCE, "during")),
        "kill_before_commit": partial(kill_at, Point(Api.END_TXN, "before")),
        "kill_in_commit": partial(kill_at, Point(Api.END_TXN, "during")),
        "kill_after_commit": partial(kill_at, Point(Api.END_TXN, "after")),
        "kill_in_fencing": kill_in_fencing,
        "kill_in_recovery": kill_in_recovery,
        "kill_in_rebalance": kill_in_rebalance,
        "zombie": zombie,
        "zombie_while_writing": partial(zombie_at, Point(Api.PRODUCE, "before")),
        "zombie_in_commit": partial(zombie_at, Point(Api.END_TXN, "before")),
        "overdue_commit": overdue_commit,
        "terminate": terminate,
        "leave_and_join": leave_and_join,
        "cut": cut,
        "cut_off": cut_off,
        "slow": slow,
        "unheard_commit": unheard_commit,
        "kill_broker": kill_broker,
        "forget": forget,
    }
)
"""By name; what can happen to any worker."""

LIVE_KINDS: Final[Mapping[str, Accident]] = MappingProxyType({**KINDS, "step_clock": step_clock})
"""And what matters on the wall clock alone."""
