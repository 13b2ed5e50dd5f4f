"""From an invitation to the rewards of both sides, in virtual time."""

from datetime import timedelta

import pytest
import trio

from actors.core.messages import ORDERS, CancelOrder, Order, Refund, RefundOrder
from actors.referrals.lookups import Lookups
from actors.referrals.messages import (
    QUERIES,
    Decision,
    GetReferral,
    ListSteps,
    ReferralState,
)
from actors.referrals.queues import REWARD
from actors.referrals.records import Stored
from actors.referrals.rewarding import RewardReferral
from actors.referrals.upkeep import ReferralUpkeep
from actors.vocabulary import Refusal
from runtime.jobs import Job, JobState
from tests.trees import MERCHANT, START
from tests.unit.referrals.world import World, running_world
from tests.virtual import run_virtually

pytestmark = [pytest.mark.trio(run=run_virtually), pytest.mark.slow]

RETURN_WINDOW = timedelta(days=14)
REWARDS = [("ann", 500), ("bob", 250)]
TOTAL = 99
"""Below one unit of the currency, so that the order itself earns nothing."""


async def qualified(world: World) -> str:
    """The id of a referral whose friend has ordered."""
    referral = await world.invited()
    await world.settled()
    await world.claimed(referral.code)
    await world.order(total_minor=TOTAL)
    assert await world.state(referral) is ReferralState.QUALIFIED
    return referral.referral_id


async def test_both_sides_are_rewarded_once_the_order_cannot_be_given_back() -> None:
    async with running_world() as world:
        referral = await world.invited()
        assert referral.state is ReferralState.CREATED
        await world.settled()
        assert await world.state(referral) is ReferralState.INVITED
        ((sid, text),) = world.texter.sent
        assert referral.code in text.body
        assert text.status_url is not None
        assert (await world.told(sid, "delivered")).parked is False
        claimed = await world.claimed(referral.code.lower())
        assert claimed.friend_id == "bob"
        await world.order(total_minor=TOTAL)
        found = await world.get(referral)
        assert (found.state, found.order_id) == (ReferralState.QUALIFIED, "o-1")
        assert found.confirm_at is not None

        world.clock.moved = RETURN_WINDOW - timedelta(minutes=1)
        await world.settled()
        assert await world.earnings() == []
        assert await world.state(referral) is ReferralState.QUALIFIED

        world.clock.moved = RETURN_WINDOW
        await trio.sleep(5)
        assert await world.state(referral) is ReferralState.REWARDED
        assert sorted(await world.earnings()) == REWARDS
        steps = await world.tree.system.ref(QUERIES).ask(ListSteps(MERCHANT, referral.referral_id))
        assert [step.state.value for step in steps] == [
            "created",
            "invited",
            "claimed",
            "qualified",
            "rewarded",
        ]
        assert (await world.tree.verify()).clean


def attempt(referral_id: str, number: int) -> Job:
    return Job(
        merchant_id=MERCHANT,
        job_id=f"job_{number}",
        queue="q",
        name=REWARD,
        key=None,
        unique_key=None,
        priority=0,
        payload={"referral_id": referral_id},
        trace_id=None,
        state=JobState.RUNNING,
        attempt=1,
        due_at=START,
        run_at=START,
        created_at=START,
        lease=1,
        worker="w",
        leased_until=None,
        finished_at=None,
        errors=(),
        history=(),
    )


async def test_fifty_confirmations_at_once_are_one_reward() -> None:
    async with running_world() as world:
        referral_id = await qualified(world)
        world.clock.moved = RETURN_WINDOW
        handler = RewardReferral(world.tree.database)
        outcomes = []

        async def confirm(number: int) -> None:
            try:
                await handler(attempt(referral_id, number), world.tree.system)
                outcomes.append("done")
            except Exception as error:
                outcomes.append(type(error).__name__)

        async with trio.open_nursery() as nursery:
            for number in range(50):
                nursery.start_soon(confirm, number)
        assert len(outcomes) == 50
        assert set(outcomes) <= {"done", "RetryAfter"}
        await trio.sleep(5)
        assert sorted(await world.earnings()) == REWARDS
        assert await world.value("SELECT state FROM referrals") == "rewarded"
        assert world.count("referral_rewards_total", outcome="rewarded") == 1


@pytest.mark.parametrize("way", ["refunded", "cancelled"])
async def test_an_order_that_comes_back_in_time_rewards_nobody(way: str) -> None:
    async with running_world() as world:
        await qualified(world)
        await take_back(world, way)
        world.clock.moved = RETURN_WINDOW
        await trio.sleep(5)
        assert await world.earnings() == []
        assert await world.value("SELECT state FROM referrals") == "rejected"
        assert await world.value("SELECT reason FROM referrals") == "order_returned"


async def take_back(world: World, way: str) -> None:
    now = world.clock.now()
    refund = RefundOrder(MERCHANT, Refund("o-1", "r-1", TOTAL, now))
    cancel = CancelOrder(MERCHANT, "o-1", now)
    await world.tree.system.ref(ORDERS).ask(refund if way == "refunded" else cancel)
    await world.settled()


async def test_an_order_that_comes_back_late_takes_the_rewards_back_by_new_entries() -> None:
    async with running_world() as world:
        await qualified(world)
        world.clock.moved = RETURN_WINDOW
        await trio.sleep(5)
        assert sorted(await world.earnings()) == REWARDS
        await take_back(world, "refunded")
        await trio.sleep(10)
        assert await world.value("SELECT state FROM referrals") == "reversed"
        assert sorted(await world.earnings()) == REWARDS
        assert sorted(await world.earnings("reversal")) == [("ann", -500), ("bob", -250)]
        assert (await world.tree.verify()).clean


async def test_a_reversal_by_hand_happens_once() -> None:
    async with running_world() as world:
        referral_id = await qualified(world)
        world.clock.moved = RETURN_WINDOW
        await trio.sleep(5)
        found = await world.tree.system.ref(QUERIES).ask(GetReferral(MERCHANT, referral_id))
        assert found is not None
        for _ in range(2):
            await world.review(found, Decision.REVERSE)
        await trio.sleep(10)
        again = await world.review(found, Decision.REVERSE)
        assert isinstance(again, Refusal)
        assert again.code == "not_reviewable"
        assert len(await world.earnings("reversal")) == 2
        assert (await world.tree.balance("ann")).posted == 0


async def upkeep(world: World) -> None:
    await ReferralUpkeep(world.tree.database)(attempt("-", 0), world.tree.system)


async def test_what_nobody_claims_or_orders_on_expires_after_thirty_days() -> None:
    async with running_world() as world:
        unclaimed = await world.invited("+41791234500")
        claimed = await world.invited("+41791234501")
        await world.settled()
        world.clock.moved = timedelta(days=29)
        await world.claimed(claimed.code)
        world.clock.moved = timedelta(days=30, hours=1)
        await upkeep(world)
        assert await world.state(unclaimed) is ReferralState.EXPIRED
        assert await world.state(claimed) is ReferralState.CLAIMED
        late = await world.claim(unclaimed.code, "cyd")
        assert isinstance(late, Refusal)
        assert late.code == "referral_not_open"
        world.clock.moved = timedelta(days=59, hours=1)
        await upkeep(world)
        assert await world.state(claimed) is ReferralState.EXPIRED
        assert await world.earnings() == []


async def test_a_small_order_does_not_count_and_the_next_one_may() -> None:
    async with running_world() as world:
        await world.program(order_min_minor=90, return_days=0)
        referral = await world.invited()
        await world.claimed(referral.code)
        await world.order("o-small", 89)
        assert await world.state(referral) is ReferralState.CLAIMED
        await world.order("o-enough", 90)
        await trio.sleep(5)
        assert (await world.get(referral)).order_id == "o-enough"
        assert await world.state(referral) is ReferralState.REWARDED


async def test_the_order_of_a_friend_counts_among_hundreds_that_come_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And those of the others are not looked at one by one."""
    looked_at: list[str] = []
    look = Lookups.of_friend

    async def of_friend(self: Lookups, merchant_id: str, friend_id: str) -> Stored | None:
        looked_at.append(friend_id)
        return await look(self, merchant_id, friend_id)

    async with running_world() as world:
        referral = await world.invited()
        await world.claimed(referral.code)
        monkeypatch.setattr(Lookups, "of_friend", of_friend)
        others = [f"c-{number}" for number in range(250)]
        await world.tree.create(*others)
        buyers = [*others[:200], "bob", *others[200:]]
        now = world.clock.now()
        await world.tree.record(
            [Order(f"o-{buyer}", buyer, now, "USD", TOTAL, 1) for buyer in buyers]
        )
        await world.settled()
        assert (await world.get(referral)).order_id == "o-bob"
        assert looked_at == ["bob"]
