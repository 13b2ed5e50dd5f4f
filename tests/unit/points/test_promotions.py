"""What campaigns add to an order: never more than their budgets, always computed again alike."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.campaign.messages import Budget, CampaignKind, GoalMetric, Rule
from actors.campaign.rulebook import in_order
from actors.points.ledger import PromotedRuleUse, PromotionUse, RuleUse
from actors.points.promotions import (
    NOTHING_USED,
    CampaignUsed,
    Used,
    bonuses,
    concerning,
    given_back,
    plus,
    recomputed_bonus,
    taken,
)
from tests.processor import measured
from tests.unit.points.test_invariants import THOROUGHLY

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
LIMITS = st.none() | st.integers(0, 200)
BUDGETS = st.builds(Budget, points=LIMITS, money_minor=LIMITS, count=st.none() | st.integers(0, 3))
EFFECTS: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    (
        {"kind": CampaignKind.MULTIPLIER, "percent": 150},
        {"kind": CampaignKind.MULTIPLIER, "percent": 333},
        {"kind": CampaignKind.FIXED_BONUS, "points": 7, "order_min_minor": 100},
        {
            "kind": CampaignKind.GOAL,
            "points": 40,
            "metric": GoalMetric.SPEND,
            "target": 700,
            "repeats_max": 3,
        },
        {
            "kind": CampaignKind.GOAL,
            "points": 9,
            "metric": GoalMetric.ORDERS,
            "target": 2,
            "repeats_max": 2,
        },
    )
)


@st.composite
def rule_sets(draw: st.DrawFn) -> list[Rule]:
    return [
        Rule(
            f"c{number}",
            1,
            begins=BEGIN,
            ends=None,
            priority=draw(st.integers(0, 2)),
            group=draw(st.sampled_from((None, "a", "b"))),
            budget=draw(BUDGETS),
            member_budget=draw(BUDGETS),
            unit_cost_minor=draw(st.sampled_from((0, 1, 130))),
            **draw(EFFECTS),
        )
        for number in range(draw(st.integers(0, 5)))
    ]


def use_of(own: int, uses: tuple[PromotionUse, ...]) -> PromotedRuleUse:
    return PromotedRuleUse(1, "USD", own * 100, 1, 100, "down_per_order", 100, 1, 0, uses)


@THOROUGHLY
@given(rule_sets(), st.lists(st.integers(0, 900), max_size=8), st.randoms())
def test_budgets_hold_over_any_orders_and_the_order_of_rules_in_the_store_decides_nothing(
    rules: list[Rule], totals: Sequence[int], random: object
) -> None:
    used: dict[str, CampaignUsed] = {}
    shuffled = list(rules)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    for total in totals:
        own = total // 100
        uses = bonuses(in_order(rules), own, total, used)
        assert uses == bonuses(in_order(shuffled), own, total, used)
        assert all(recomputed_bonus(use, own) == use.bonus >= 0 for use in uses)
        paid = [rule.group for rule in rules for use in uses if _paid(rule, use)]
        assert len(paid) == len(set(paid))
        for change in taken(rules, use_of(own, uses)):
            before = used.get(change.campaign_id, NOTHING_USED)
            used[change.campaign_id] = plus(before, change.change)
    for rule in rules:
        so_far = used.get(rule.campaign_id, NOTHING_USED)
        for budget, spent in ((rule.budget, so_far.overall), (rule.member_budget, so_far.member)):
            assert budget.points is None or spent.points <= budget.points
            assert budget.count is None or spent.times <= budget.count
            costs = budget.money_minor is not None and rule.unit_cost_minor
            assert not costs or spent.money_minor <= (budget.money_minor or 0)


def _paid(rule: Rule, use: PromotionUse) -> bool:
    return rule.campaign_id == use.campaign_id and rule.group is not None and use.bonus > 0


@THOROUGHLY
@given(rule_sets(), st.integers(100, 90_000), st.lists(st.integers(1, 99), max_size=6))
def test_what_is_taken_back_in_parts_gives_everything_back_without_drift(
    rules: list[Rule], total: int, shares: Sequence[int]
) -> None:
    own = total // 100
    use = use_of(own, bonuses(in_order(rules), own, total, {}))
    amount = own + sum(each.bonus for each in use.promotions)
    used = {change.campaign_id: plus(NOTHING_USED, change.change) for change in taken(rules, use)}
    before = 0
    for after in (*sorted({amount * share // 100 for share in shares}), amount):
        if after <= before:
            continue
        for change in given_back(use, amount, before, after):
            used[change.campaign_id] = plus(used[change.campaign_id], change.change)
            assert min(attrs.astuple(used[change.campaign_id].overall)) >= 0
        before = after
    assert set(used.values()) <= {NOTHING_USED}


def test_an_order_of_plain_rules_gives_nothing_back() -> None:
    plain = RuleUse(1, "USD", 100, 1, 100, "down_per_order")
    assert given_back(plain, 1, 0, 1) == given_back(None, 1, 0, 1) == ()
    assert taken((), plain) == ()


@pytest.mark.parametrize(
    ("changes", "concerns"),
    [
        ({}, True),
        ({"begins": BEGIN + timedelta(seconds=1)}, False),
        ({"begins": BEGIN - timedelta(days=1), "ends": BEGIN}, False),
        ({"ends": BEGIN + timedelta(seconds=1)}, True),
        ({"currency": "EUR"}, False),
        ({"currency": "USD"}, True),
        ({"restricted": True}, False),
        ({"restricted": True, "campaign_id": "mine"}, True),
    ],
)
def test_a_rule_concerns_orders_of_its_time_currency_and_members(
    changes: dict[str, Any], concerns: bool
) -> None:
    rule = attrs.evolve(Rule("c", 1, CampaignKind.MULTIPLIER, BEGIN, None), **changes)
    found = concerning([rule], "USD", BEGIN, frozenset({"mine"}))
    assert (found == (rule,)) is concerns


def test_a_goal_that_no_budget_was_left_for_is_paid_by_a_later_order() -> None:
    goal = Rule(
        "goal",
        1,
        CampaignKind.GOAL,
        BEGIN,
        None,
        points=10,
        metric=GoalMetric.ORDERS,
        target=1,
        budget=Budget(points=10),
    )
    spent = {"goal": CampaignUsed(overall=Used(points=10), member=Used())}
    (counted,) = bonuses((goal,), 1, 100, spent)
    assert (counted.bonus, counted.counted) == (0, 1)
    later = {"goal": CampaignUsed(overall=Used(), member=Used(progress=1))}
    (paid,) = bonuses((goal,), 1, 100, later)
    assert paid.bonus == 10


def test_a_rule_is_evaluated_within_50_microseconds() -> None:
    """Choosing it, and deciding what it adds, with every kind of budget."""
    budget = Budget(points=10**9, money_minor=10**9, count=10**9)
    rules = tuple(
        Rule(
            f"c{number}",
            1,
            CampaignKind.GOAL,
            BEGIN,
            None,
            restricted=True,
            points=3,
            metric=GoalMetric.SPEND,
            target=700,
            budget=budget,
            member_budget=budget,
            unit_cost_minor=7,
        )
        for number in range(50)
    )
    members = frozenset(rule.campaign_id for rule in rules)

    def evaluate() -> None:
        bonuses(concerning(rules, "USD", BEGIN, members), 12, 1_234, {})

    times, costs = 20, []
    for _ in range(5):
        with measured() as spent:
            for _ in range(times):
                evaluate()
        costs.append(spent.s / times)
    assert min(costs) / len(rules) < 50e-6
