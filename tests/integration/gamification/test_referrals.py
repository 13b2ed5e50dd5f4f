"""From a referral that is rewarded, and taken back, to the advocate's badge."""

import trio
from trio.testing import MockClock

from actors.gamification.messages import Metric, Rule
from actors.referrals.messages import QUERIES, Decision, GetReferral, ReferralState
from tests.integration.gamification.playing import badges, define
from tests.trees import MERCHANT
from tests.unit.referrals.test_rewards import RETURN_WINDOW, qualified
from tests.unit.referrals.world import running_world


async def test_a_reward_is_a_badge_and_its_reversal_takes_it_back(
    autojump_clock: MockClock,
) -> None:
    async with running_world() as world:
        await define(world.tree, "friend", Rule(metric=Metric.REFERRALS, target=1))
        referral_id = await qualified(world)
        world.clock.moved = RETURN_WINDOW
        await trio.sleep(10)
        assert await badges(world.tree) == {("friend", "once")}
        found = await world.tree.system.ref(QUERIES).ask(GetReferral(MERCHANT, referral_id))
        assert found is not None
        await world.review(found, Decision.REVERSE)
        await trio.sleep(10)
        assert await world.value("SELECT state FROM referrals") == ReferralState.REVERSED.value
        assert await badges(world.tree) == set()
