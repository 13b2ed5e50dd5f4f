"""Tills: a scenario with next to nothing in it, for tests of what is made of a failing run."""

from random import Random

import attrs

from runtime.child import ChildSpec
from runtime.sim import FaultSpec, Life, Operation, Run, Scenario, Trouble, World
from runtime.supervisor import Supervisor

TOO_MUCH = "nobody spends too much"
MOST = 437
RICH = "dan"


@attrs.frozen
class Spend(Operation):
    """What may be drawn depends on what was drawn before: who gives to somebody gives twice."""

    customer: str
    amounts: tuple[int, ...]
    gift: bool
    pick: float


class TillScenario(Scenario):
    """Customers that spend. One of them may not spend much."""

    name = "tills"
    operations = 12
    faults = FaultSpec(duration_s=5.0, troubles=(Trouble.CACHE_LOST, Trouble.STORE_AWAY))

    def __init__(self) -> None:
        self.most = 0

    def tree(self, world: World, life: Life) -> ChildSpec:
        return ChildSpec("root", lambda: Supervisor(()), name="root")

    def draw(self, random: Random) -> Operation:
        gift = random.random() < 0.4
        return Spend(
            customer=random.choice(("ann", "bob", "cyd", RICH)),
            amounts=tuple(random.randint(1, 1_000) for _ in range(2 if gift else 1)),
            gift=gift,
            pick=random.uniform(0.0, 1.0),
        )

    async def perform(self, run: Run, operation: Operation) -> None:
        assert isinstance(operation, Spend)
        if operation.customer != "ann":
            self.most = max(self.most, *operation.amounts, 0)

    async def check(self, run: Run) -> None:
        run.findings.check(self.most < MOST, TOO_MUCH, f"{self.most}")


class FaultyTillScenario(TillScenario):
    """It fails where the store was away for so long, and an answer is slow at times."""

    LONG_S = 2.0

    async def check(self, run: Run) -> None:
        long = any(event.duration_s > self.LONG_S for event in run.plan.events)
        slow = run.plan.chances.answer_slow > 0.0
        run.findings.check(not (long and slow), TOO_MUCH, "while the store was away")
