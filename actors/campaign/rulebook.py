"""The actor that tells the rules in force, and who is a member of which."""

from collections import OrderedDict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar

from actors.campaign.messages import (
    MAX_ASKED,
    MAX_RULES,
    CampaignKind,
    Definition,
    GetRules,
    Rule,
    RulesAnswer,
    RuleSet,
)
from actors.campaign.moves import needs_freezing
from actors.campaign.queries import (
    CUSTOMERS_AT_ONCE,
    SELECT_ENDED_RULES,
    SELECT_OPEN_RULES,
    SELECT_RULEBOOK,
    with_customers,
)
from actors.campaign.records import definition_of
from runtime import ActorError, Workers
from runtime.storage import Database, Row, StorageError

KEPT_AFTER_END = timedelta(hours=24)
"""Orders of a time at which a rule ran may be told of so much later."""

MERCHANTS_KEPT = 1_000
"""Rule sets in memory."""


class Rulebook(Workers):
    """Whether what it remembers is still in force costs one look-up by key."""

    passes_on: ClassVar[tuple[type[Exception], ...]] = (StorageError, ActorError)

    def __init__(self, database: Database) -> None:
        super().__init__()
        self._database = database
        self._kept: OrderedDict[str, RuleSet] = OrderedDict()

    async def receive(self, message: Any) -> object:
        if not isinstance(message, GetRules):
            return await super().receive(message)
        rules = await self._rules(message.merchant_id)
        members = await self._memberships(message.merchant_id, rules, message.customers)
        return RulesAnswer(rules if rules.version != message.known else None, members)

    async def _rules(self, merchant_id: str) -> RuleSet:
        version = await self._database.fetch_value(SELECT_RULEBOOK, merchant_id)
        if version is None:
            return RuleSet()
        kept = self._kept.get(merchant_id)
        if kept is None or kept.version != version:
            kept = await self._read(merchant_id)
            self._kept[merchant_id] = kept
            while len(self._kept) > MERCHANTS_KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(merchant_id)
        return kept

    async def _read(self, merchant_id: str) -> RuleSet:
        """The rules and their version, on one snapshot."""
        since = self.system.clock.now() - KEPT_AFTER_END
        versions, opened, ended = await self._database.fetch_many(
            [
                (SELECT_RULEBOOK, (merchant_id,)),
                (SELECT_OPEN_RULES, (merchant_id, MAX_RULES)),
                (SELECT_ENDED_RULES, (merchant_id, MAX_RULES, since)),
            ]
        )
        return RuleSet(versions[0][0], in_order([rule_of(row) for row in (*opened, *ended)]))

    async def _memberships(
        self, merchant_id: str, rules: RuleSet, customers: Sequence[str]
    ) -> frozenset[tuple[str, str]]:
        restricted = sorted({rule.campaign_id for rule in rules.rules if rule.restricted})
        asked = sorted(set(customers))[:MAX_ASKED]
        found: set[tuple[str, str]] = set()
        for campaign_id in restricted:
            for start in range(0, len(asked), CUSTOMERS_AT_ONCE):
                some = asked[start : start + CUSTOMERS_AT_ONCE]
                sql, values = with_customers(merchant_id, campaign_id, some)
                rows = await self._database.fetch(sql, *values)
                found.update((row["customer_id"], campaign_id) for row in rows)
        return frozenset(found)


def in_order(rules: Sequence[Rule]) -> tuple[Rule, ...]:
    """The order in which they take effect: by priority, then by campaign."""
    return tuple(sorted(rules, key=lambda rule: (-rule.priority, rule.campaign_id, rule.begins)))


def rule_of(row: Row) -> Rule:
    """A run of a campaign. One that goes on ends, at the latest, when its schedule says so, even
    where nobody is there to end it."""
    definition = definition_of(row["definition"])
    ends = row["ends_at"] if row["ends"] is None else row["ends"]
    return rule_from(definition, row["campaign_id"], row["version"], row["begins"], ends)


def rule_from(
    definition: Definition, campaign_id: str, version: int, begins: datetime, ends: datetime | None
) -> Rule:
    """The rule that a definition makes while it runs."""
    effect: dict[str, Any] = {}
    if definition.kind is CampaignKind.MULTIPLIER and definition.multiplier is not None:
        effect["percent"] = definition.multiplier.percent
    elif definition.kind is CampaignKind.FIXED_BONUS and definition.fixed_bonus is not None:
        bonus = definition.fixed_bonus
        effect.update(points=bonus.points, order_min_minor=bonus.order_min_minor)
    elif definition.goal is not None:
        goal = definition.goal
        effect.update(
            points=goal.points,
            metric=goal.metric,
            target=goal.target,
            repeats_max=goal.repeats_max,
        )
    return Rule(
        campaign_id,
        version,
        definition.kind,
        begins,
        ends,
        priority=definition.priority,
        group=definition.exclusivity_group,
        currency=definition.currency,
        restricted=needs_freezing(definition),
        budget=definition.budget,
        member_budget=definition.member_budget,
        unit_cost_minor=definition.unit_cost_minor,
        **effect,
    )
