"""Rewards over a real store: paid for, in stock, within limits, and given back whole."""

from datetime import timedelta

import attrs
import pytest
import trio
from trio.testing import MockClock

from actors.points.messages import QUERIES as POINTS_QUERIES
from actors.points.messages import (
    Apply,
    BatchItem,
    CancelRedemption,
    ListLots,
    PlaceHold,
    Receipt,
    Redeem,
    RedeemReward,
    Result,
    Reverse,
)
from actors.points.program_messages import (
    PROGRAM,
    GetLiability,
    ListRewards,
    PutReward,
    RefundPolicy,
    RefundRule,
    Reward,
    RewardTerms,
    SetRefundRule,
)
from actors.vocabulary import Page, Refusal
from runtime import host
from tests.trees import MERCHANT, START, Tree, key, running_tree

pytestmark = pytest.mark.trio(run=host.run)

MUG = RewardTerms(name="Mug", cost_points=20)


async def put(tree: Tree, terms: RewardTerms, reward_id: str = "mug") -> Reward | Refusal:
    return await tree.system.ref(PROGRAM).ask(PutReward(MERCHANT, reward_id, terms))


def wanting(quantity: int = 1, text: str | None = None, reward_id: str = "mug") -> RedeemReward:
    return RedeemReward(idempotency=key(text), reward_id=reward_id, quantity=quantity)


async def cancel(tree: Tree, redemption_id: str | None, text: str | None = None) -> Result:
    mutation = CancelRedemption(idempotency=key(text), redemption_id=redemption_id or "")
    (result,) = await tree.batch(BatchItem(mutation))
    return result


def code(result: object) -> str:
    assert isinstance(result, Refusal), result
    return result.code


async def lots(tree: Tree) -> list[tuple[int, object]]:
    page = await tree.system.ref(POINTS_QUERIES).ask(ListLots(MERCHANT, "ann"))
    assert isinstance(page, Page)
    return [(lot.remaining, lot.expires_at) for lot in page.items]


async def test_a_cancelled_redemption_gives_points_back_to_their_lots(store_url: str) -> None:
    async with running_tree(store_url) as tree:
        await tree.create("ann")
        await put(tree, attrs.evolve(MUG, stock=2))
        await tree.earn(15, expires_at=START + timedelta(days=900))
        await tree.earn(30)
        before = await lots(tree)
        (done,) = await tree.apply(wanting(2, "want"))
        assert isinstance(done, Receipt)
        assert (done.kind, done.amount) == ("reward", -40)
        assert code((await tree.apply(wanting()))[0]) == "reward_out_of_stock"
        reversal = Reverse(idempotency=key(), transaction_id=done.transaction_id)
        assert code((await tree.apply(reversal))[0]) == "not_reversible"
        back = await cancel(tree, done.redemption_id, "back")
        assert isinstance(back, Receipt)
        assert back.redemption_id == done.redemption_id
        assert await lots(tree) == before
        again = await cancel(tree, done.redemption_id, "back")
        assert isinstance(again, Receipt)
        assert again == attrs.evolve(back, replayed=True)
        assert code(await cancel(tree, done.redemption_id)) == "redemption_cancelled"
        assert code(await cancel(tree, "rdm_other")) == "redemption_unknown"
        page = await tree.system.ref(PROGRAM).ask(ListRewards(MERCHANT))
        assert isinstance(page, Page)
        assert [(reward.taken, reward.stock) for reward in page.items] == [(0, 2)]
        assert (await tree.verify()).clean


async def test_the_last_one_goes_to_one_of_many(store_url: str) -> None:
    """Forty members at once for three mugs: each account decides alone, the store says no."""
    members = [f"member-{number}" for number in range(40)]
    async with running_tree(store_url) as tree:
        await tree.create(*members)
        await put(tree, attrs.evolve(MUG, stock=3))
        for member in members:
            await tree.earn(25, customer=member)
        results: list[Result] = []

        async def want(member: str) -> None:
            results.extend(await tree.account(member).ask(Apply((wanting(),))))

        async with trio.open_nursery() as nursery:
            for member in members:
                nursery.start_soon(want, member)
        refused = [result.code for result in results if isinstance(result, Refusal)]
        assert refused == ["reward_out_of_stock"] * 37
        found = await tree.verify()
        assert found.clean
        assert found.points_outstanding == 40 * 25 - 3 * 20


async def test_limits_hold_within_a_batch_and_after_a_cancellation() -> None:
    async with running_tree() as tree:
        await tree.create("ann")
        await put(tree, attrs.evolve(MUG, per_customer_max=2))
        await tree.earn(200)
        first, second, third = await tree.apply(wanting(), wanting(), wanting())
        assert isinstance(first, Receipt)
        assert isinstance(second, Receipt)
        assert code(third) == "reward_limit_reached"
        await cancel(tree, first.redemption_id)
        (fourth,) = await tree.apply(wanting())
        assert isinstance(fourth, Receipt)
        for wrong, expected in (
            (wanting(reward_id="cup"), "reward_unknown"),
            (wanting(0), "quantity_out_of_range"),
        ):
            assert code((await tree.apply(wrong))[0]) == expected


async def test_a_reward_can_be_had_while_it_is_on_offer(
    autojump_clock: MockClock,
) -> None:
    async with running_tree() as tree:
        await tree.create("ann")
        await tree.earn(200)
        soon = timedelta(seconds=10)
        now = tree.system.clock.now()
        terms = attrs.evolve(MUG, valid_from=now + soon, valid_until=now + 2 * soon)
        await put(tree, terms)
        assert code((await tree.apply(wanting()))[0]) == "reward_not_available"
        await trio.sleep(10)
        assert isinstance((await tree.apply(wanting()))[0], Receipt)
        await put(tree, attrs.evolve(terms, active=False))
        assert code((await tree.apply(wanting()))[0]) == "reward_not_available"
        await put(tree, terms)
        await trio.sleep(10)
        assert code((await tree.apply(wanting()))[0]) == "reward_not_available"


async def test_terms_change_by_versions_and_never_below_what_is_taken() -> None:
    async with running_tree() as tree:
        await tree.create("ann")
        await tree.earn(100)
        first = await put(tree, MUG)
        assert isinstance(first, Reward)
        assert first == await put(tree, MUG)
        await tree.apply(wanting(3))
        dearer = await put(tree, attrs.evolve(MUG, cost_points=30, stock=3))
        assert isinstance(dearer, Reward)
        assert (dearer.version, dearer.taken) == (2, 3)
        assert code(await put(tree, attrs.evolve(MUG, stock=2))) == "stock_below_taken"
        assert code(await put(tree, attrs.evolve(MUG, cost_points=0))) == "invalid_reward"


@pytest.mark.parametrize("policy", RefundPolicy)
async def test_refunds_follow_the_merchant_s_policy(policy: RefundPolicy) -> None:
    async with running_tree() as tree:
        await tree.create("ann")
        assert isinstance(
            await tree.system.ref(PROGRAM).ask(SetRefundRule(MERCHANT, policy)), RefundRule
        )
        earned = await tree.earn(50)
        promised = await tree.earn(10, pending_until=START + timedelta(days=999))
        spend = Redeem(idempotency=key(), amount=30, reason="spent")
        await tree.apply(spend)
        undo = [
            Reverse(idempotency=key(), transaction_id=promised.transaction_id),
            Reverse(idempotency=key(), transaction_id=earned.transaction_id, amount=20),
            Reverse(idempotency=key(), transaction_id=earned.transaction_id),
        ]
        pending, covered, uncovered = await tree.apply(*undo)
        assert isinstance(pending, Receipt)
        if policy is RefundPolicy.ONLY_PENDING:
            assert (code(covered), code(uncovered)) == ("refund_policy", "refund_policy")
        elif policy is RefundPolicy.WITHIN_BALANCE:
            assert isinstance(covered, Receipt)
            assert code(uncovered) == "insufficient_points"
        else:
            assert isinstance(uncovered, Receipt)
            assert uncovered.balance.posted == -30
            await tree.earn(45)
            assert (await tree.balance()).posted == 15
            assert await lots(tree) == [(15, None)]
        assert (await tree.verify()).clean


async def test_the_liability_adds_up(store_url: str) -> None:
    """Months, points for ever and overdue ones make the outstanding; breakage by experience."""
    async with running_tree(store_url) as tree:
        await tree.create("ann", "bob", "cyd")
        now = tree.system.clock.now()
        year = now.year + 2
        june = now.replace(year=year, month=6, day=15)
        await tree.earn(100, expires_at=june)
        await tree.earn(50, expires_at=june.replace(day=20), customer="bob")
        await tree.earn(30, customer="bob")
        await tree.earn(7, pending_until=june, customer="bob")
        await tree.apply(
            Redeem(idempotency=key(), amount=40, reason="spent"),
            PlaceHold(idempotency=key(), amount=10, expires_at=june),
        )
        await tree.system.ref(PROGRAM).ask(SetRefundRule(MERCHANT, RefundPolicy.UNLIMITED))
        earned = await tree.earn(20, customer="cyd")
        await tree.apply(Redeem(idempotency=key(), amount=20, reason="x"), customer="cyd")
        undo = Reverse(idempotency=key(), transaction_id=earned.transaction_id)
        await tree.apply(undo, customer="cyd")
        report = await tree.system.ref(PROGRAM).ask(GetLiability(MERCHANT))
        months = {each.month: each.points for each in report.by_expiry_month}
        assert months == {f"{year}-06": 110}
        assert (report.outstanding, report.never_expiring, report.overdue) == (140, 30, 0)
        assert sum(months.values()) + report.never_expiring == report.outstanding
        assert (report.held, report.pending, report.overdrawn) == (10, 7, 20)
        assert (report.issued, report.redeemed, report.expired) == (187, 60, 0)
        assert report.expected_breakage == 0
