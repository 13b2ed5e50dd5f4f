"""Earnings that are promised while the database is away, and kept on the disk until it is back."""

from collections import Counter
from random import Random
from typing import ClassVar

import attrs

from actors.points.away import database_away
from actors.points.deferral_messages import (
    Defer,
    Deferral,
    DeferralStatus,
    DeferredEarn,
    FindDeferrals,
)
from actors.points.messages import ACCOUNTS, DEFERRALS, AccountKey, Apply, Earn, Receipt, Result
from actors.vocabulary import Idempotency
from runtime import ActorError, ActorSystem
from runtime.sim import FaultSpec, Operation, Run, Trouble
from runtime.storage import StorageError
from supervisors.simulation.ledger import check_ledger
from supervisors.simulation.parts import CUSTOMERS_THERE, MERCHANT, ApplicationScenario, Part
from supervisors.simulation.points import unavailable
from supervisors.simulation.tree import TARGETS

PATIENCE_S = 1.5
FIND_TIMEOUT_S = 0.5
PROMISE = "what was promised is there once"

SELECT_REASONS = "SELECT reason, amount FROM points_transactions WHERE merchant_id = $1"
SELECT_DEAD = "SELECT deferral_id FROM points_deferrals WHERE merchant_id = $1 AND status = $2"

Told = Result | Deferral


@attrs.frozen
class EarnOrDefer(Operation):
    customer: str
    amount: int

    def __str__(self) -> str:
        return f"earn {self.amount} for {self.customer}, later if need be"


class Deferrals(Part):
    """Clients as the gateway serves them. The reason of each earning is its key, so that one that
    was posted under another key is seen."""

    operations: ClassVar[tuple[type[Operation], ...]] = (EarnOrDefer,)

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, Told]] = {}
        self._asked = 0

    def draw(self, random: Random) -> Operation:
        return EarnOrDefer(random.choice(CUSTOMERS_THERE), random.randint(1, 60))

    async def perform(self, run: Run, operation: Operation) -> None:
        if not isinstance(operation, EarnOrDefer):
            raise TypeError(operation)
        self._asked += 1
        key = f"defer-{self._asked}"
        earn = Earn(idempotency=Idempotency(key, key), amount=operation.amount, reason=key)
        earning = DeferredEarn(operation.customer, earn)
        answer = await run.until_answered(
            lambda system: _earn_or_defer(system, earning),
            lambda answer: isinstance(answer, Deferral) or not unavailable(answer),
        )
        if answer is not None:
            self.answers[key] = (operation.amount, answer)

    async def at_rest(self, run: Run) -> bool:
        return not run.world.disk.real.records

    async def check(self, run: Run) -> None:
        await check_ledger(run)
        store = run.world.store.real
        rows = await store.fetch(SELECT_REASONS, MERCHANT)
        made = Counter((row[0], row[1]) for row in rows)
        dead = await store.fetch(SELECT_DEAD, MERCHANT, DeferralStatus.DEAD.value)
        given_up = {row[0] for row in dead}
        for key, (amount, answer) in self.answers.items():
            if isinstance(answer, Deferral) and answer.deferral_id in given_up:
                continue
            detail = f"{key} is there {made[key, amount]} times, told {answer}"
            if isinstance(answer, Receipt | Deferral):
                run.findings.check(made[key, amount] == 1, PROMISE, detail)


async def _earn_or_defer(system: ActorSystem, earning: DeferredEarn) -> Told:
    """As `POST /v1/points/earn`: what is queued is told, else the account is asked; the earning
    is put off where that fails because the database is away."""
    deferrals = system.ref(DEFERRALS)
    question = FindDeferrals(MERCHANT, (earning.earn.idempotency,))
    try:
        found = await deferrals.ask(question, timeout_s=FIND_TIMEOUT_S)
        queued, away = found.by_key[0], found.away
    except ActorError:
        queued, away = None, False
    if queued is not None:
        return queued
    if not away:
        key = AccountKey(MERCHANT, earning.customer_id)
        try:
            account = system.entities(ACCOUNTS).ref(key)
            (result,) = await account.ask(Apply((earning.earn,)), timeout_s=PATIENCE_S)
            return result
        except (ActorError, StorageError) as error:
            if not database_away(error):
                raise
    (told,) = await deferrals.ask(Defer(MERCHANT, (earning,)))
    return told


class DeferralsScenario(ApplicationScenario):
    """Earnings while the database comes and goes."""

    name = "deferrals"
    parts = (Deferrals,)
    faults = FaultSpec(
        targets=TARGETS,
        troubles=(*Trouble, Trouble.STORE_AWAY, Trouble.STORE_AWAY, Trouble.CRASH),
    )
