"""Campaigns that start, pause and end while orders come in and go back."""

from collections import Counter
from collections.abc import Mapping, Sequence
from random import Random
from typing import ClassVar

import attrs

from actors.campaign.messages import (
    CAMPAIGNS,
    Audience,
    AudienceKind,
    Budget,
    Campaign,
    CampaignKind,
    CreateCampaign,
    CreatedCampaign,
    Definition,
    FixedBonus,
    Goal,
    GoalMetric,
    Move,
    MoveCampaign,
    Multiplier,
)
from actors.core.messages import (
    CUSTOMERS,
    MERCHANTS,
    ORDERS,
    CreateCustomer,
    Order,
    RecordOrders,
    Refund,
    RefundOrder,
    RegisterMerchant,
)
from actors.points.ledger import PromotedRuleUse, PromotionUse
from actors.points.messages import QUERIES, Verify
from actors.points.records import rule_use_of
from actors.vocabulary import Idempotency, Refusal
from runtime.sim import Operation, Run
from runtime.storage import Row
from supervisors.simulation.parts import CURRENCY, OPERATOR, ApplicationScenario, Part

MARKET = "market"
"""A merchant of its own: what others expect of their orders does not hold here."""

BUYERS = ("dan", "eve", "fay")
GROUP = "season"
TOTALS = (250, 1_000, 9_900)
EXPECTED_REFUSALS = frozenset({"campaign_state", "campaign_conflict"})
IN_BUDGET = "budgets hold"
STACKING = "one of a group, in the order of priority"
FROZEN = "audiences are frozen"
RIGHT = "right answers"

ENTRIES = (
    "SELECT transaction_id, customer_id, amount, rule, reverses FROM points_transactions"
    " WHERE merchant_id = $1"
)
USES = (
    "SELECT campaign_id, points, times FROM points_campaign_use"
    " WHERE merchant_id = $1 AND customer_id = '*'"
)
MEMBERS = "SELECT campaign_id, customer_id FROM campaign_members WHERE merchant_id = $1"
COUNTED = "SELECT campaign_id, audience_members FROM campaigns WHERE merchant_id = $1"
COUNT_FREEZING = (
    "SELECT count(*) FROM campaigns WHERE merchant_id = $1 AND state = 'scheduled'"
    " AND audience_state = 'freezing'"
)


@attrs.frozen(kw_only=True)
class Launch(Operation):
    """Draft a campaign and start it."""

    kind: CampaignKind
    priority: int
    budget_points: int
    grouped: bool
    members: tuple[str, ...]

    def __str__(self) -> str:
        whom = " and ".join(self.members) or "everybody"
        return f"start a {self.kind.value} of {self.budget_points} points for {whom}"

    def definition(self) -> Definition:
        return Definition(
            name="simulated",
            kind=self.kind,
            multiplier=Multiplier(percent=300) if self.kind is CampaignKind.MULTIPLIER else None,
            fixed_bonus=FixedBonus(points=7) if self.kind is CampaignKind.FIXED_BONUS else None,
            goal=_goal() if self.kind is CampaignKind.GOAL else None,
            audience=(
                Audience(kind=AudienceKind.LIST, names=self.members) if self.members else Audience()
            ),
            budget=Budget(points=self.budget_points),
            member_budget=Budget(count=3),
            priority=self.priority,
            exclusivity_group=GROUP if self.grouped else None,
        )


def _goal() -> Goal:
    return Goal(metric=GoalMetric.ORDERS, target=2, points=20, repeats_max=2)


@attrs.frozen
class Steer(Operation):
    """Move one of the campaigns; `pick` says which."""

    move: Move
    pick: float

    def __str__(self) -> str:
        return f"{self.move.value} a campaign"


@attrs.frozen
class Buy(Operation):
    """Order, and perhaps give a share (in percent) of it back."""

    customer: str
    total_minor: int
    back: int

    def __str__(self) -> str:
        back = f", give back {self.back}%" if self.back else ""
        return f"{self.customer} orders {self.total_minor}{back}"


@attrs.frozen
class _Promoted:
    """An entry that campaigns added to, and what reversals took back of it."""

    customer: str
    amount: int
    reversed_amount: int
    uses: tuple[PromotionUse, ...]


class Campaigns(Part):
    """Owners that steer campaigns, and customers that buy meanwhile."""

    operations: ClassVar[tuple[type[Operation], ...]] = (Launch, Steer, Buy)
    puts_back_jobs = True

    def __init__(self) -> None:
        self._launched: dict[str, Definition] = {}
        self._asked = 0
        self._orders = 0

    async def prepare(self, run: Run) -> None:
        system = await run.service.up()
        await system.ref(MERCHANTS).ask(RegisterMerchant(MARKET, "Market", CURRENCY))
        for customer in BUYERS:
            await system.ref(CUSTOMERS).ask(CreateCustomer(MARKET, customer, None))

    def draw(self, random: Random) -> Operation:
        drawn = random.random()
        if drawn < 0.25:
            return Launch(
                kind=random.choice(
                    (CampaignKind.MULTIPLIER, CampaignKind.FIXED_BONUS, CampaignKind.GOAL)
                ),
                priority=random.choice((0, 1, 2)),
                budget_points=random.choice((15, 40, 1_000)),
                grouped=random.random() < 0.6,
                members=tuple(sorted(random.sample(BUYERS, random.choice((0, 0, 1, 2))))),
            )
        if drawn < 0.4:
            move = random.choice((Move.PAUSE, Move.RESUME, Move.RESUME, Move.CANCEL))
            return Steer(move, random.uniform(0.0, 1.0))
        back = random.choice((0, 0, 0, 35, 100))
        return Buy(random.choice(BUYERS), random.choice(TOTALS), back)

    async def perform(self, run: Run, operation: Operation) -> None:
        match operation:
            case Launch():
                await self._launch(run, operation)
            case Steer(move, pick) if self._launched:
                ids = list(self._launched)
                await self._move(run, ids[int(pick * len(ids))], move)
            case Buy():
                await self._buy(run, operation)

    async def _launch(self, run: Run, launch: Launch) -> None:
        self._asked += 1
        key = f"campaign-{self._asked}"
        definition = launch.definition()
        command = CreateCampaign(
            merchant_id=MARKET,
            definition=definition,
            by=OPERATOR,
            idempotency=Idempotency(key, key),
        )
        created = await run.until_answered(lambda system: system.ref(CAMPAIGNS).ask(command))
        if created is None:
            return
        run.findings.check(isinstance(created, CreatedCampaign), RIGHT, f"{key}: {created}")
        if isinstance(created, CreatedCampaign):
            campaign_id = created.campaign.campaign_id
            self._launched[campaign_id] = definition
            await self._move(run, campaign_id, Move.START)

    async def _move(self, run: Run, campaign_id: str, move: Move) -> None:
        command = MoveCampaign(merchant_id=MARKET, campaign_id=campaign_id, move=move, by=OPERATOR)
        answer = await run.until_answered(lambda system: system.ref(CAMPAIGNS).ask(command))
        if isinstance(answer, Refusal):
            known = answer.code in EXPECTED_REFUSALS
            run.findings.check(known, RIGHT, f"{move.value} {campaign_id}: {answer.code}")
        elif answer is not None:
            run.findings.check(isinstance(answer, Campaign), RIGHT, str(answer))

    async def _buy(self, run: Run, buy: Buy) -> None:
        self._orders += 1
        order_id, at = f"sale-{self._orders}", run.world.clock.now()
        order = Order(order_id, buy.customer, at, CURRENCY, buy.total_minor, 1)
        record = RecordOrders(MARKET, (order,))
        told = await run.until_answered(lambda system: system.ref(ORDERS).ask(record))
        if told is None or not buy.back:
            return
        refund = RefundOrder(
            MARKET, Refund(order_id, "refund", buy.total_minor * buy.back // 100, at)
        )
        await run.until_answered(lambda system: system.ref(ORDERS).ask(refund))

    async def at_rest(self, run: Run) -> bool:
        freezing: int = await run.world.store.real.fetch_value(COUNT_FREEZING, MARKET)
        return freezing == 0

    async def check(self, run: Run) -> None:
        system = await run.service.up()
        verification = await system.ref(QUERIES).ask(Verify(MARKET))
        for mismatch in verification.mismatches:
            run.findings.add("ledger verifies", str(mismatch))
        store = run.world.store.real
        promoted = _promoted(await store.fetch(ENTRIES, MARKET))
        self._check_budgets(run, promoted, await store.fetch(USES, MARKET))
        for each in promoted:
            self._check_stacking(run, each.uses)
        members = Counter((row[0], row[1]) for row in await store.fetch(MEMBERS, MARKET))
        counted = {row[0]: row[1] for row in await store.fetch(COUNTED, MARKET)}
        self._check_audiences(run, promoted, members, counted)

    def _check_budgets(self, run: Run, promoted: Sequence[_Promoted], rows: Sequence[Row]) -> None:
        """What was taken from a budget is what the entries say was given, and no more than it."""
        given: Counter[str] = Counter()
        for each in promoted:
            for use in each.uses:
                back = use.bonus * each.reversed_amount // each.amount
                given[use.campaign_id] += use.bonus - back
        used = {row["campaign_id"]: row["points"] for row in rows}
        for campaign_id, points in sorted(given.items()):
            taken = used.get(campaign_id, 0)
            detail = f"{campaign_id}: {points} points given, {taken} taken from its budget"
            run.findings.check(points == taken, IN_BUDGET, detail)
            budget = self._launched[campaign_id].budget.points or 0
            run.findings.check(points <= budget, IN_BUDGET, f"{detail}, which was {budget}")

    def _check_stacking(self, run: Run, uses: Sequence[PromotionUse]) -> None:
        definitions = [self._launched[use.campaign_id] for use in uses]
        keys = [
            (-definition.priority, use.campaign_id)
            for definition, use in zip(definitions, uses, strict=True)
        ]
        run.findings.check(keys == sorted(keys), STACKING, str(keys))
        grouped = [
            use.campaign_id
            for definition, use in zip(definitions, uses, strict=True)
            if use.bonus and definition.exclusivity_group is not None
        ]
        run.findings.check(len(grouped) <= 1, STACKING, f"{grouped} took effect together")

    def _check_audiences(
        self,
        run: Run,
        promoted: Sequence[_Promoted],
        members: Counter[tuple[str, str]],
        counted: Mapping[str, int],
    ) -> None:
        for each in promoted:
            for use in each.uses:
                names = self._launched[use.campaign_id].audience.names
                meant = not names or each.customer in names
                detail = f"{each.customer} had {use.campaign_id}, which is for {names}"
                run.findings.check(meant, FROZEN, detail)
        for campaign_id, number in counted.items():
            there = sorted(customer for owner, customer in members if owner == campaign_id)
            if not number:
                continue
            meant = sorted(self._launched[campaign_id].audience.names) == there
            detail = f"{campaign_id} counts {number} and has {there}"
            run.findings.check(meant and number == len(there), FROZEN, detail)


def _promoted(rows: Sequence[Row]) -> list[_Promoted]:
    taken_back: Counter[str] = Counter()
    for row in rows:
        if row["reverses"] is not None:
            taken_back[row["reverses"]] -= row["amount"]
    found = []
    for row in rows:
        use = rule_use_of(row["rule"]) if row["rule"] is not None else None
        if isinstance(use, PromotedRuleUse):
            back = taken_back[row["transaction_id"]]
            found.append(_Promoted(row["customer_id"], row["amount"], back, use.promotions))
    return found


class CampaignsScenario(ApplicationScenario):
    """Campaigns alone, and the orders that they concern."""

    name = "campaigns"
    parts = (Campaigns,)
