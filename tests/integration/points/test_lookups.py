"""What mutations name of the past is found, on either store, in one round."""

from datetime import timedelta
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from actors.campaign.messages import Budget, CampaignKind, Rule
from actors.points.messages import (
    CancelRedemption,
    CaptureHold,
    Earn,
    EarnForOrder,
    Mutation,
    PlaceHold,
    Promotions,
    Receipt,
    RedeemReward,
    Result,
    Reverse,
    VoidHold,
)
from actors.points.program_messages import PROGRAM, PutReward, RewardTerms
from actors.points.queries import MAX_IDS
from actors.vocabulary import Refusal
from runtime import host
from runtime.ports import VirtualClock, seeded_ports
from runtime.storage import DatabaseHandle
from tests.trees import MERCHANT, START, Tree, key, order, running_tree
from tests.unit.referrals.world import MovableClock

pytestmark = pytest.mark.trio(run=host.run)

DAY = timedelta(days=1)
MANY = MAX_IDS + 1


class Counting(DatabaseHandle):
    """Notes of each use whether it could be repeated, as reads can and writes cannot."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: list[bool] = []

    async def through(self, *arguments: Any, repeatable: bool, counted: bool) -> Any:
        self.reads.append(repeatable)
        return await super().through(*arguments, repeatable=repeatable, counted=counted)

    async def rounds(self, tree: Tree, *mutations: Mutation) -> int:
        """How often the store is read until it has the mutations, all of which must succeed."""
        self.reads.clear()
        results = await tree.apply(*mutations)
        assert not [result for result in results if isinstance(result, Refusal)]
        return self.reads.index(False)


async def done(tree: Tree, mutation: Mutation) -> Receipt:
    (receipt,) = await tree.apply(mutation)
    assert isinstance(receipt, Receipt), receipt
    return receipt


def codes(results: tuple[Result, ...]) -> list[str | int]:
    """The amounts of what was done, and why the rest was not."""
    return [each.code if isinstance(each, Refusal) else each.amount for each in results]


async def ready(tree: Tree) -> None:
    await tree.create("ann")
    await tree.system.ref(PROGRAM).ask(
        PutReward(MERCHANT, "mug", RewardTerms(name="Mug", cost_points=20))
    )
    await tree.earn(10_000)


def earning(amount: int = 7) -> Earn:
    return Earn(idempotency=key(), amount=amount, reason="test")


def wanting() -> RedeemReward:
    return RedeemReward(idempotency=key(), reward_id="mug")


def promoted() -> EarnForOrder:
    """By a campaign with a budget, of which it has to be known what is left."""
    budget = Budget(points=1_000)
    rule = Rule("c", 1, CampaignKind.FIXED_BONUS, START - 9 * DAY, None, points=3, budget=budget)
    recorded = order(key().key, 700)
    return EarnForOrder(
        order_id=recorded.order_id,
        total_minor=recorded.total_minor,
        currency=recorded.currency,
        ordered_at=recorded.ordered_at,
        promotions=Promotions((rule,), 1),
    )


def reversing(transaction_id: str, amount: int | None = None) -> Reverse:
    return Reverse(idempotency=key(), transaction_id=transaction_id, amount=amount)


async def held(tree: Tree) -> str:
    hold = PlaceHold(idempotency=key(), amount=5, expires_at=START + DAY)
    return (await done(tree, hold)).hold_id or ""


async def redeemed(tree: Tree) -> str:
    return (await done(tree, wanting())).redemption_id or ""


async def each_kind(tree: Tree) -> list[Mutation]:
    """One mutation of each kind that names the past, or what is kept elsewhere."""
    return [
        reversing((await tree.earn(7)).transaction_id),
        CaptureHold(idempotency=key(), hold_id=await held(tree)),
        VoidHold(idempotency=key(), hold_id=await held(tree)),
        wanting(),
        CancelRedemption(idempotency=key(), redemption_id=await redeemed(tree)),
        promoted(),
    ]


@pytest.mark.trio(run=trio.run)
async def test_what_mutations_name_takes_one_round(autojump_clock: MockClock) -> None:
    handle = Counting()
    async with running_tree(handle=handle) as tree:
        await ready(tree)
        assert await handle.rounds(tree, earning()) == 0
        alone = {type(m).__name__: await handle.rounds(tree, m) for m in await each_kind(tree)}
        assert alone == dict.fromkeys(alone, 1)
        assert await handle.rounds(tree, *await each_kind(tree)) == 1


@pytest.mark.trio(run=trio.run)
async def test_more_ids_than_a_query_takes_are_asked_in_the_same_round(
    autojump_clock: MockClock,
) -> None:
    handle = Counting()
    async with running_tree(handle=handle) as tree:
        await ready(tree)
        earned = await tree.apply(*(earning() for _ in range(MANY)))
        undo = [reversing(each.transaction_id) for each in earned if isinstance(each, Receipt)]
        assert await handle.rounds(tree, *undo) == 1
        assert (await tree.balance()).posted == 10_000
        again = await tree.apply(*(attrs.evolve(each, idempotency=key()) for each in undo))
        assert codes(again) == ["already_reversed"] * MANY


async def test_pending_points_and_what_became_of_them_are_taken_back_together(
    store_url: str,
) -> None:
    """Two names of one root, within a batch and after it."""
    clock = MovableClock(VirtualClock(START))
    async with running_tree(store_url, seeded_ports(1, START, clock)) as tree:
        await tree.create("ann")
        promised = (await tree.earn(50, pending_until=START + DAY)).transaction_id
        await done(tree, reversing(promised, 4))
        clock.moved = 2 * DAY
        await tree.earn(1)
        matured = await tree.database.fetch_value(
            "SELECT transaction_id FROM points_transactions"
            " WHERE merchant_id = $1 AND kind = 'mature'",
            MERCHANT,
        )
        together = await tree.apply(reversing(promised, 6), reversing(matured, 10))
        assert codes(together) == [-6, -10]
        for name in (promised, matured):
            assert codes(await tree.apply(reversing(name, 31))) == ["exceeds_original"]
        assert codes(await tree.apply(reversing(matured))) == [-30]
        assert codes(await tree.apply(reversing(promised))) == ["already_reversed"]
        assert (await tree.verify()).clean


async def test_one_payment_may_be_named_as_such_and_by_its_redemption(store_url: str) -> None:
    async with running_tree(store_url) as tree:
        await ready(tree)
        paid = await done(tree, wanting())
        cancel = CancelRedemption(idempotency=key(), redemption_id=paid.redemption_id or "")
        results = await tree.apply(reversing(paid.transaction_id), cancel)
        assert codes(results) == ["not_reversible", 20]
        assert (await tree.balance()).posted == 10_000
        assert (await tree.verify()).clean


async def test_what_others_did_is_no_past_of_ones_own(store_url: str) -> None:
    async with running_tree(store_url) as tree:
        await ready(tree)
        named = (await each_kind(tree))[:5]
        await tree.create("bob")
        await tree.earn(100, customer="bob")
        assert codes(await tree.apply(*named, customer="bob")) == [
            "transaction_unknown",
            "hold_unknown",
            "hold_unknown",
            -20,
            "redemption_unknown",
        ]
