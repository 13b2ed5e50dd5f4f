"""The rules of running campaigns, as data for those who earn by them."""

from datetime import datetime

import attrs

from actors.campaign.messages.definitions import UNLIMITED, Budget, CampaignKind, GoalMetric
from runtime.message import Call

RULES = "campaign.rules"
"""Name of the actor that tells the rules in force."""

MAX_RULES = 100
"""Of one merchant's rules that run, and of those that have just ended."""

MAX_ASKED = 1_000
"""Customers in one question."""


@attrs.frozen
class Rule:
    """What one campaign does to an order whose time is from `begins` to before `ends`.

    `percent` belongs to a multiplier, `order_min_minor` to a fixed bonus, `metric`, `target` and
    `repeats_max` to a goal; `points` to the latter two. A `restricted` one is for its members
    only. A campaign that was paused has a rule for each time that it ran.
    """

    campaign_id: str
    version: int
    kind: CampaignKind
    begins: datetime
    ends: datetime | None
    priority: int = 0
    group: str | None = None
    currency: str | None = None
    restricted: bool = False
    percent: int = 100
    points: int = 0
    order_min_minor: int = 0
    metric: GoalMetric | None = None
    target: int = 0
    repeats_max: int = 1
    budget: Budget = UNLIMITED
    member_budget: Budget = UNLIMITED
    unit_cost_minor: int = 0


@attrs.frozen
class RuleSet:
    """A merchant's rules, the highest priority first, then by campaign. `version` counts changes;
    0: there never was any."""

    version: int = 0
    rules: tuple[Rule, ...] = ()


@attrs.frozen
class RulesAnswer:
    """`rules` is None where `known` is still in force. `memberships` are the pairs of a customer
    and the campaign of a restricted rule that it is a member of."""

    rules: RuleSet | None
    memberships: frozenset[tuple[str, str]]


@attrs.frozen
class GetRules(Call[RulesAnswer]):
    """To `RULES`: the rules in force, and which the customers are members of. `known` is the
    version that the asker has. At most `MAX_ASKED` customers. Raises `StorageError`."""

    merchant_id: str
    known: int
    customers: tuple[str, ...]
