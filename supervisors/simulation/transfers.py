"""Transfers: points that go round between members, while accounts and the process die."""

from random import Random
from typing import ClassVar

import attrs

from actors.points.messages import INTAKE, ApplyTransfer, Earn, Transfer, TransferReceipt
from actors.vocabulary import Idempotency, Refusal
from runtime.sim import Operation, Run
from supervisors.simulation.ledger import CONSERVATION, check_ledger
from supervisors.simulation.parts import CUSTOMERS_THERE, MERCHANT, ApplicationScenario, Part
from supervisors.simulation.points import ONCE, account, unavailable

AT_FIRST = 200
EXPECTED_REFUSALS = frozenset({"insufficient_points"})

UNDER_WAY = (
    "SELECT CAST(coalesce(sum(points), 0) AS BIGINT) FROM points_postings"
    " WHERE merchant_id = $1 AND account = 'transfer'"
)
MOVED = (
    "SELECT business_key, customer_id, amount FROM points_transactions"
    " WHERE merchant_id = $1 AND kind IN ('transfer_out', 'transfer_in')"
)
KEYS = (
    "SELECT idempotency_key, count(*) FROM points_transactions"
    " WHERE merchant_id = $1 AND kind = 'transfer_out'"
    " GROUP BY idempotency_key HAVING count(*) > 1"
)


@attrs.frozen
class Move(Operation):
    """Points of one customer to another."""

    giver: str
    taker: str
    amount: int

    def __str__(self) -> str:
        return f"move {self.amount} from {self.giver} to {self.taker}"


class Transfers(Part):
    """Clients that repeat a transfer with its key until it is answered."""

    operations: ClassVar[tuple[type[Operation], ...]] = (Move,)

    def __init__(self) -> None:
        self._told: dict[str, TransferReceipt | Refusal | None] = {}
        self._asked: dict[str, Transfer] = {}

    async def prepare(self, run: Run) -> None:
        for customer in CUSTOMERS_THERE:
            once = Idempotency(f"first-{customer}", "first")
            earning = Earn(idempotency=once, amount=AT_FIRST, reason="simulated")
            system = await run.service.up()
            await account(system, customer, earning)

    def draw(self, random: Random) -> Operation:
        giver, taker = random.sample(CUSTOMERS_THERE, 2)
        return Move(giver, taker, random.randint(1, 90))

    async def perform(self, run: Run, operation: Operation) -> None:
        if not isinstance(operation, Move):
            raise TypeError(operation)
        key = f"transfer-{len(self._asked) + 1}"
        transfer = self._asked[key] = Transfer(
            idempotency=Idempotency(key, key),
            from_customer_id=operation.giver,
            to_customer_id=operation.taker,
            amount=operation.amount,
        )
        told = await run.until_answered(
            lambda system: system.ref(INTAKE).ask(ApplyTransfer(MERCHANT, transfer)),
            lambda result: not unavailable(result),
        )
        self._told[key] = told
        if isinstance(told, Refusal):
            run.findings.check(told.code in EXPECTED_REFUSALS, "right answers", told.code)

    async def check(self, run: Run) -> None:
        """Nothing is between two accounts, and every transfer that was told is there once."""
        await check_ledger(run)
        store, findings = run.world.store.real, run.findings
        between: int = await store.fetch_value(UNDER_WAY, MERCHANT)
        findings.check(between == 0, CONSERVATION, f"{between} points left and did not arrive")
        for row in await store.fetch(KEYS, MERCHANT):
            findings.add(ONCE, f"{row[0]} moved points {row[1]} times")
        moved: dict[tuple[str, str], int] = {}
        for business_key, customer, amount in await store.fetch(MOVED, MERCHANT):
            part = (business_key.split(":")[1], customer)
            moved[part] = moved.get(part, 0) + amount
        for key, told in self._told.items():
            if isinstance(told, TransferReceipt):
                transfer = self._asked[key]
                gone = moved.get((told.transfer_id, transfer.from_customer_id), 0)
                come = moved.get((told.transfer_id, transfer.to_customer_id), 0)
                right = -gone == come == told.amount == transfer.amount
                findings.check(right, "nothing is lost", f"{key}: {gone} and {come}, told {told}")
        await self._check_repetitions(run)

    async def _check_repetitions(self, run: Run) -> None:
        for key, first in self._told.items():
            if isinstance(first, TransferReceipt):
                system = await run.service.up()
                message = ApplyTransfer(MERCHANT, self._asked[key])
                second = await system.ref(INTAKE).ask(message)
                same = attrs.evolve(first, replayed=True) == second
                run.findings.check(same, ONCE, f"told {first}, and then {second}")


class TransfersScenario(ApplicationScenario):
    """Transfers alone."""

    name = "transfers"
    parts = (Transfers,)
