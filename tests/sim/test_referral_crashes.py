"""A process that dies at any commit between an order and its reward: the reward comes once."""

from collections.abc import Sequence
from typing import Any

import attrs
import pytest
import trio

from actors.core.messages import ORDERS
from actors.referrals.queries import REWARD
from runtime.sim import Operation, Run, run_script
from runtime.sim.faults import FaultPlan
from runtime.sim.life import Life
from runtime.sim.running import Script
from runtime.sim.scenario import Step
from runtime.storage import Entry
from supervisors.simulation.referrals import Bring, Referrals, ReferralsScenario

BEFORE, AFTER = -1.0, 1.0
DOWN_S = 1.0
REWARDED_WITHIN_S = 60.0
BOUNDARIES_MIN, BOUNDARIES_MAX = 5, 40

ONE_FRIEND = Bring(0, claims=True, orders=True, gives_back=False, told=())


@attrs.define
class Crash:
    """At the commit of this number since the order, before or after it. `at` is when."""

    number: int
    side: float
    seen: int = 0
    armed: bool = False
    at: float | None = None

    def strikes(self, life: Life, side: float) -> bool:
        if not self.armed or (side > 0) is not (self.side > 0):
            return False
        self.seen += 1
        if self.seen != self.number:
            return False
        self.at = trio.current_time()
        life.crash(DOWN_S)
        return True


def outcome_of(crash: Crash, patch: pytest.MonkeyPatch) -> float | None:
    """How long after the crash the referral was rewarded; None where there was no such commit."""
    took_s = None
    rewarded = trio.Event()

    def note(entries: Sequence[Entry]) -> None:
        if any(write.statement is REWARD for entry in entries for write in entry):
            rewarded.set()

    class OneFriend(Referrals):
        async def perform(self, run: Run, operation: Operation) -> None:
            nonlocal took_s
            run.world.store.committed.append(note)
            await super().perform(run, operation)
            with trio.fail_after(10 * REWARDED_WITHIN_S):
                await rewarded.wait()
            crash.armed = False
            took_s = trio.current_time() - crash.at if crash.at is not None else None

        async def _ask(self, run: Run, actor: str, message: Any) -> Any:
            crash.armed = crash.armed or actor == ORDERS
            return await super()._ask(run, actor, message)

    class OneFriendScenario(ReferralsScenario):
        parts = (OneFriend,)

    def commits(life: Life, side: float) -> bool:
        return crash.strikes(life, side)

    patch.setattr(Life, "commits", commits)
    step = Step(client=0, pause_s=0.0, operation=ONE_FRIEND)
    script = Script(seed=1, steps=(step,), plan=FaultPlan(duration_s=0.1))
    outcome = run_script(OneFriendScenario, script)
    assert outcome.findings == ()
    return took_s


@pytest.mark.slow
@pytest.mark.parametrize("side", [BEFORE, AFTER], ids=["before", "after"])
def test_at_whichever_commit_a_process_dies_both_sides_are_rewarded_once(side: float) -> None:
    boundaries = 0
    for number in range(1, BOUNDARIES_MAX):
        crash = Crash(number, side)
        with pytest.MonkeyPatch.context() as patch:
            took_s = outcome_of(crash, patch)
        if took_s is None:
            break
        assert took_s <= DOWN_S + REWARDED_WITHIN_S, number
        boundaries += 1
    assert BOUNDARIES_MIN <= boundaries < BOUNDARIES_MAX - 1
