"""Rewards: few of them, many who want one, and some who change their minds."""

from random import Random
from typing import ClassVar

import attrs

from actors.points.messages import (
    INTAKE,
    ApplyBatch,
    BatchItem,
    CancelRedemption,
    Earn,
    Mutation,
    Receipt,
    RedeemReward,
)
from actors.points.program_messages import PROGRAM, PutReward, Reward, RewardTerms
from actors.vocabulary import Idempotency, Refusal
from runtime.sim import Operation, Run
from supervisors.simulation.ledger import check_ledger
from supervisors.simulation.parts import CUSTOMERS_THERE, MERCHANT, ApplicationScenario, Part
from supervisors.simulation.points import ONCE, account, unavailable

AT_FIRST = 500
REWARDS = {
    "mug": RewardTerms(name="Mug", cost_points=20, stock=4),
    "tea": RewardTerms(name="Tea", cost_points=5, per_customer_max=2),
}
EXPECTED_REFUSALS = frozenset(
    {
        "insufficient_points",
        "reward_out_of_stock",
        "reward_limit_reached",
        "redemption_cancelled",
    }
)
STOCK = (
    "SELECT w.reward_id, w.stock, w.taken, (SELECT CAST(coalesce(sum(d.quantity), 0) AS BIGINT)"
    " FROM points_redemptions d WHERE d.merchant_id = w.merchant_id"
    " AND d.reward_id = w.reward_id AND d.cancelled_at IS NULL) AS redeemed"
    " FROM points_rewards w WHERE w.merchant_id = $1"
)
HAD = (
    "SELECT customer_id, CAST(sum(quantity) AS BIGINT) FROM points_redemptions"
    " WHERE merchant_id = $1 AND reward_id = 'tea' AND cancelled_at IS NULL GROUP BY customer_id"
)
UNPAID = (
    "SELECT d.redemption_id FROM points_redemptions d WHERE d.merchant_id = $1 AND NOT EXISTS"
    " (SELECT 1 FROM points_transactions t WHERE t.merchant_id = d.merchant_id"
    " AND t.transaction_id = d.transaction_id AND t.kind = 'reward'"
    " AND t.amount = -d.cost_points)"
)


@attrs.frozen
class Want(Operation):
    """One customer wants so many of a reward."""

    customer: str
    reward: str
    quantity: int

    def __str__(self) -> str:
        return f"redeem {self.quantity} {self.reward} for {self.customer}"


@attrs.frozen
class GiveBack(Operation):
    """Somebody takes back what they redeemed; `pick` says which of it."""

    pick: float

    def __str__(self) -> str:
        return "cancel a redemption"


class Rewards(Part):
    """Clients that repeat a redemption with its key until it is answered."""

    operations: ClassVar[tuple[type[Operation], ...]] = (Want, GiveBack)

    def __init__(self) -> None:
        self._redeemed: list[Receipt] = []
        self._asked = 0

    async def prepare(self, run: Run) -> None:
        system = await run.service.up()
        for reward_id, terms in REWARDS.items():
            put = await system.ref(PROGRAM).ask(PutReward(MERCHANT, reward_id, terms))
            run.findings.check(isinstance(put, Reward), "prepared", str(put))
        for customer in CUSTOMERS_THERE:
            once = Idempotency(f"rich-{customer}", "rich")
            await account(
                system, customer, Earn(idempotency=once, amount=AT_FIRST, reason="simulated")
            )

    def draw(self, random: Random) -> Operation:
        if random.random() < 0.3:
            return GiveBack(random.uniform(0.0, 1.0))
        reward = random.choice(tuple(REWARDS))
        return Want(random.choice(CUSTOMERS_THERE), reward, random.randint(1, 2))

    async def perform(self, run: Run, operation: Operation) -> None:
        self._asked += 1
        once = Idempotency(f"reward-{self._asked}", f"{self._asked}")
        match operation:
            case Want(customer, reward, quantity):
                mutation = RedeemReward(idempotency=once, reward_id=reward, quantity=quantity)
                await self._ask(run, mutation, customer)
            case GiveBack(pick) if self._redeemed:
                receipt = self._redeemed[int(pick * len(self._redeemed))]
                redemption_id = receipt.redemption_id or ""
                cancel = CancelRedemption(idempotency=once, redemption_id=redemption_id)
                await self._ask(run, cancel, None)

    async def _ask(self, run: Run, mutation: Mutation, customer: str | None) -> None:
        batch = ApplyBatch(MERCHANT, (BatchItem(mutation, customer),))
        results = await run.until_answered(
            lambda system: system.ref(INTAKE).ask(batch), lambda told: not unavailable(told[0])
        )
        if results is None:
            return
        (result,) = results
        if isinstance(result, Refusal):
            run.findings.check(result.code in EXPECTED_REFUSALS, "right answers", result.code)
        elif customer is not None:
            self._redeemed.append(result)

    async def check(self, run: Run) -> None:
        """Nobody got more than there was, or than they may have, or than was paid for."""
        await check_ledger(run)
        store, findings = run.world.store.real, run.findings
        for row in await store.fetch(STOCK, MERCHANT):
            told = f"{row['reward_id']}: {tuple(row)[1:]} in stock, taken, redeemed"
            findings.check(row["taken"] == row["redeemed"], "stock is what is left", told)
            enough = row["stock"] is None or row["taken"] <= row["stock"]
            findings.check(enough, "stock is what is left", told)
        for customer, quantity in await store.fetch(HAD, MERCHANT):
            few = quantity <= (REWARDS["tea"].per_customer_max or 0)
            findings.check(few, "limits hold", f"{customer} had {quantity}")
        for row in await store.fetch(UNPAID, MERCHANT):
            findings.add(ONCE, f"redemption {row[0]} is not paid for")


class RewardsScenario(ApplicationScenario):
    """Rewards alone."""

    name = "rewards"
    parts = (Rewards,)
