"""Tiers over a real store: what counts, what is kept of it, and who is told."""

import attrs
import pytest
import trio
from trio.testing import MockClock

from actors.points.explanation_messages import Explain
from actors.points.messages import QUERIES as POINTS_QUERIES
from actors.points.messages import Reverse, Rounding, SetEarnRule
from actors.points.tier_messages import (
    TIERS,
    Downgrade,
    GetStanding,
    ListTierChanges,
    Metric,
    PutTiers,
    Standing,
    Tier,
    TierProgram,
    TierTerms,
    Window,
)
from actors.points.tiers import SWEEP_S
from actors.vocabulary import Page, Refusal
from runtime import host
from tests.trees import MERCHANT, Tree, key, order, running_tree

pytestmark = pytest.mark.trio(run=host.run)

TERMS = TierTerms(
    metric=Metric.SPEND,
    currency="USD",
    window=Window(rolling_days=30),
    downgrade=Downgrade.IMMEDIATE,
    tiers=(
        Tier(tier_id="silver", name="Silver", threshold=1_000),
        Tier(tier_id="gold", name="Gold", threshold=5_000),
    ),
)


async def put(tree: Tree, terms: TierTerms = TERMS) -> TierProgram | Refusal:
    return await tree.system.ref(TIERS).ask(PutTiers(MERCHANT, terms))


async def standing(tree: Tree, customer: str = "ann") -> Standing:
    found = await tree.system.ref(TIERS).ask(GetStanding(MERCHANT, customer))
    assert isinstance(found, Standing), found
    return found


async def test_spend_counts_in_proportion_to_what_is_left_of_it(store_url: str) -> None:
    async with running_tree(store_url) as tree:
        await tree.create("ann")
        await put(tree)
        await tree.record([order("1", 4_000), order("2", 1_500)])
        await tree.delivered()
        gold = await standing(tree)
        assert gold.tier is not None
        assert (gold.tier.tier_id, gold.qualifying, gold.next_tier) == ("gold", 5_500, None)
        page = await tree.database.fetch(
            "SELECT transaction_id FROM points_transactions"
            " WHERE merchant_id = $1 AND order_id = '1'",
            MERCHANT,
        )
        undo = Reverse(idempotency=key(), transaction_id=page[0][0], amount=10)
        await tree.apply(undo)
        silver = await standing(tree)
        assert silver.tier is not None
        assert (silver.tier.tier_id, silver.qualifying) == ("silver", 4_500)
        assert silver.next_tier is not None
        assert (silver.next_tier.tier_id, silver.missing) == ("gold", 500)
        changes = await tree.system.ref(TIERS).ask(ListTierChanges(MERCHANT, "ann"))
        assert isinstance(changes, Page)
        told = [(change.from_tier, change.to_tier) for change in changes.items]
        assert told == [("gold", "silver"), (None, "gold")]


async def test_points_count_without_what_was_taken_back(store_url: str) -> None:
    async with running_tree(store_url) as tree:
        await tree.create("ann", "bob")
        await put(tree, attrs.evolve(TERMS, metric=Metric.POINTS, currency=None))
        first = await tree.earn(4_000)
        await tree.earn(900)
        assert (await standing(tree)).qualifying == 4_900
        undo = Reverse(idempotency=key(), transaction_id=first.transaction_id, amount=3_950)
        await tree.apply(undo)
        below = await standing(tree)
        assert (below.qualifying, below.tier) == (950, None)
        nothing = await standing(tree, "bob")
        assert (nothing.qualifying, nothing.tier, nothing.missing) == (0, None, 1_000)
        refused = await tree.system.ref(TIERS).ask(GetStanding(MERCHANT, "nobody"))
        assert isinstance(refused, Refusal)
        assert refused.code == "customer_unknown"


async def test_members_nobody_asks_for_are_looked_at_too(
    autojump_clock: MockClock,
) -> None:
    """Up soon after the points came, and down soon after they went."""

    async def changes(tree: Tree) -> list[str | None]:
        page = await tree.system.ref(TIERS).ask(ListTierChanges(MERCHANT, "ann"))
        assert isinstance(page, Page)
        return [change.to_tier for change in page.items]

    async with running_tree() as tree:
        await tree.create("ann")
        await put(tree, attrs.evolve(TERMS, metric=Metric.POINTS, currency=None))
        earned = await tree.earn(1_200)
        await trio.sleep(2 * SWEEP_S)
        assert await changes(tree) == ["silver"]
        await tree.apply(Reverse(idempotency=key(), transaction_id=earned.transaction_id))
        await trio.sleep(2 * SWEEP_S)
        assert await changes(tree) == [None, "silver"]


async def test_a_program_changes_by_versions() -> None:
    async with running_tree() as tree:
        await tree.create("ann")
        none = await tree.system.ref(TIERS).ask(GetStanding(MERCHANT, "ann"))
        assert isinstance(none, Refusal)
        assert none.code == "no_tiers"
        assert await put(tree) == await put(tree) == TierProgram(1, TERMS)
        other = attrs.evolve(TERMS, downgrade=Downgrade.NEVER)
        assert await put(tree, other) == TierProgram(2, other)
        assert isinstance(await put(tree, attrs.evolve(TERMS, tiers=())), Refusal)


async def test_an_entry_is_explained_by_the_rule_of_its_time(store_url: str) -> None:
    async with running_tree(store_url) as tree:
        await tree.create("ann")
        rule = SetEarnRule(MERCHANT, "USD", 3, 200, 30, 150, Rounding.HALF_UP)
        await tree.system.ref(POINTS_QUERIES).ask(rule)
        await tree.record([order("1", 999)])
        await tree.delivered()
        await tree.system.ref(POINTS_QUERIES).ask(attrs.evolve(rule, points=1))
        rows = await tree.database.fetch(
            "SELECT transaction_id FROM points_transactions WHERE merchant_id = $1", MERCHANT
        )
        explained = await tree.system.ref(POINTS_QUERIES).ask(Explain(MERCHANT, rows[0][0]))
        assert explained is not None
        assert explained.rule is not None
        assert explained.entry.amount == explained.rule.recomputed == 22
        assert (explained.rule.version, explained.rule.total_minor) == (1, 999)
        assert [(p.account, p.points) for p in explained.postings] == [
            ("issuance", -22),
            ("member", 22),
        ]
        assert [lot.points for lot in explained.lots] == [22]
        assert await tree.system.ref(POINTS_QUERIES).ask(Explain("other", rows[0][0])) is None
        assert (await tree.verify()).clean
