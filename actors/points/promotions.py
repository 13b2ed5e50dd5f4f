"""What running campaigns add to the points of an order, and why: pure functions."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import attrs
import msgspec

from actors.campaign.messages import Budget, CampaignKind, GoalMetric, Rule
from actors.points.ledger import PromotedRuleUse, PromotionUse, RuleUse

WHOLE_PERCENT = 100
NO_LIMIT = -1
"""Stands in an entry for budgets without limits."""

POINTS_PER_UNIT_COST = 100


@attrs.frozen
class Used:
    """What a campaign has given, in points, money and number of times; and, of one member, how far
    they are on the way to its goal, and how often they have reached it."""

    points: int = 0
    money_minor: int = 0
    times: int = 0
    progress: int = 0
    reached: int = 0


@attrs.frozen
class CampaignUsed:
    """By everybody, and by the member in question."""

    overall: Used = Used()
    member: Used = Used()


NONE_USED: Mapping[str, CampaignUsed] = {}
NOTHING_USED = CampaignUsed()


@attrs.frozen
class UseChange:
    """What an entry adds to a campaign's use. Where it gives back, everything is negative and there
    are no limits to be kept."""

    campaign_id: str
    change: Used
    budget: Budget | None = None
    member_budget: Budget | None = None


def concerning(
    rules: Iterable[Rule],
    currency: str,
    ordered_at: datetime,
    member_of: frozenset[str],
) -> tuple[Rule, ...]:
    """The rules for an order of that time and currency, by a member of these campaigns."""
    return tuple(
        rule
        for rule in rules
        if rule.begins <= ordered_at
        and (rule.ends is None or ordered_at < rule.ends)
        and (rule.currency is None or rule.currency == currency)
        and (not rule.restricted or rule.campaign_id in member_of)
    )


def needs_use(rule: Rule) -> bool:
    """Whether its effect depends on what has been given so far."""
    return rule.kind is CampaignKind.GOAL or _limited(rule.budget) or _limited(rule.member_budget)


def _limited(budget: Budget) -> bool:
    return not (budget.points is None and budget.money_minor is None and budget.count is None)


def bonuses(
    rules: Sequence[Rule], own: int, total_minor: int, used: Mapping[str, CampaignUsed]
) -> tuple[PromotionUse, ...]:
    """What each rule adds to the order's `own` points, in the order of the rules.

    Each looks at the own points alone, so that their order decides nothing but who comes first in
    an exclusivity group: the first that adds anything shuts the others of its group out. An order
    that earns nothing by itself, nor by a bonus, counts for nothing.
    """
    found: list[PromotionUse] = []
    shut: set[str] = set()
    for rule in rules:
        if rule.group in shut:
            continue
        use = _effect(rule, own, total_minor, used.get(rule.campaign_id, NOTHING_USED))
        if use is None:
            continue
        found.append(use)
        if use.bonus and rule.group is not None:
            shut.add(rule.group)
    return tuple(found)


def _effect(rule: Rule, own: int, total_minor: int, used: CampaignUsed) -> PromotionUse | None:
    if rule.kind is CampaignKind.FIXED_BONUS and total_minor < rule.order_min_minor:
        return None
    counted = _counted(rule, total_minor)
    use = PromotionUse(
        rule.campaign_id,
        rule.version,
        rule.kind.value,
        rule.percent,
        rule.points,
        rule.target,
        rule.repeats_max,
        counted,
        used.member.progress,
        used.member.reached,
        _left(rule, used),
        0,
        0,
    )
    bonus = recomputed_bonus(use, own)
    if not bonus and not counted:
        return None
    return msgspec.structs.replace(use, bonus=bonus, money_minor=_cost(rule, bonus))


def _counted(rule: Rule, total_minor: int) -> int:
    if rule.kind is not CampaignKind.GOAL:
        return 0
    return 1 if rule.metric is GoalMetric.ORDERS else total_minor


def recomputed_bonus(use: PromotionUse, own: int) -> int:
    """The points that a campaign adds, from what an entry keeps of it."""
    if use.kind == CampaignKind.MULTIPLIER.value:
        wanted = own * (use.percent - WHOLE_PERCENT) // WHOLE_PERCENT
    elif use.kind == CampaignKind.FIXED_BONUS.value:
        wanted = use.points
    else:
        wanted = times_reached(use) * use.points
    return wanted if use.left == NO_LIMIT else min(wanted, use.left)


def times_reached(use: PromotionUse) -> int:
    """How often a goal is reached by this order."""
    if not use.target:
        return 0
    reached = min((use.before + use.counted) // use.target, use.repeats_max)
    return max(0, reached - use.reached)


def _left(rule: Rule, used: CampaignUsed) -> int:
    """The most points that the budgets have left; `NO_LIMIT` without any."""
    limits = [
        limit
        for budget, so_far in ((rule.budget, used.overall), (rule.member_budget, used.member))
        for limit in _limits(budget, so_far, rule.unit_cost_minor)
    ]
    return max(0, min(limits)) if limits else NO_LIMIT


def _limits(budget: Budget, used: Used, unit_cost_minor: int) -> Iterable[int]:
    if budget.points is not None:
        yield budget.points - used.points
    if budget.money_minor is not None and unit_cost_minor:
        left_minor = budget.money_minor - used.money_minor
        yield left_minor * POINTS_PER_UNIT_COST // unit_cost_minor
    if budget.count is not None and used.times >= budget.count:
        yield 0


def _cost(rule: Rule, bonus: int) -> int:
    """What the points cost, rounded up."""
    return -(-bonus * rule.unit_cost_minor // POINTS_PER_UNIT_COST)


def taken(rules: Iterable[Rule], rule_use: RuleUse | None) -> tuple[UseChange, ...]:
    """What an earning by `rules` takes from their budgets, and counts towards their goals."""
    if not isinstance(rule_use, PromotedRuleUse):
        return ()
    by_campaign = {rule.campaign_id: rule for rule in rules}
    return tuple(_taken(by_campaign[use.campaign_id], use) for use in rule_use.promotions)


def _taken(rule: Rule, use: PromotionUse) -> UseChange:
    given = bool(use.bonus)
    change = Used(
        use.bonus,
        use.money_minor,
        int(given),
        use.counted,
        times_reached(use) if given else 0,
    )
    return UseChange(rule.campaign_id, change, rule.budget, rule.member_budget)


def given_back(
    rule_use: RuleUse | None, amount: int, before: int, after: int
) -> tuple[UseChange, ...]:
    """What goes back to the budgets when, of `amount` points, `after` instead of `before` are taken
    back: the same share of the bonuses, without drift, and with the last of them that it was
    given at all."""
    if not isinstance(rule_use, PromotedRuleUse):
        return ()
    return tuple(_given_back(use, amount, before, after) for use in rule_use.promotions)


def _given_back(use: PromotionUse, amount: int, before: int, after: int) -> UseChange:
    def share(value: int) -> int:
        return value * before // amount - value * after // amount

    ends = after == amount and bool(use.bonus)
    change = Used(
        share(use.bonus),
        share(use.money_minor),
        -1 if ends else 0,
        share(use.counted),
        -times_reached(use) if ends else 0,
    )
    return UseChange(use.campaign_id, change)


def plus(used: CampaignUsed, change: Used) -> CampaignUsed:
    """What is used after one more change that concerns the member."""
    return CampaignUsed(_sum(used.overall, change), _sum(used.member, change))


def _sum(used: Used, change: Used) -> Used:
    return Used(
        used.points + change.points,
        used.money_minor + change.money_minor,
        used.times + change.times,
        used.progress + change.progress,
        used.reached + change.reached,
    )
