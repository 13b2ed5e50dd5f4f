"""Earnings that are promised while the database is away, and kept on the disk until it is back."""

from collections import Counter
from collections.abc import Collection, Mapping
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
    NothingDeferred,
)
from actors.points.messages import ACCOUNTS, DEFERRALS, AccountKey, Apply, Earn, Receipt, Result
from actors.vocabulary import KEY_REUSED, Idempotency
from runtime import ActorError, ActorRef, ActorSystem
from runtime.sim import FaultSpec, Operation, Run, Trouble
from runtime.storage import StorageError
from supervisors.simulation.ledger import check_ledger
from supervisors.simulation.parts import CUSTOMERS_THERE, MERCHANT, ApplicationScenario, Part
from supervisors.simulation.points import unavailable
from supervisors.simulation.tree import TARGETS

PATIENCE_S = 1.5
FIND_TIMEOUT_S = 0.5
PROMISE = "what was promised is there once"
TOLD = "receipts are of what was asked"
REPEATED = 0.3

SELECT_POSTED = (
    "SELECT transaction_id, customer_id, reason, amount FROM points_transactions"
    " WHERE merchant_id = $1"
)
SELECT_DEAD = "SELECT deferral_id FROM points_deferrals WHERE merchant_id = $1 AND status = $2"

Told = Result | Deferral
Posted = tuple[str, str, int]
"""Whose, why and how many."""


@attrs.frozen
class EarnOrDefer(Operation):
    customer: str
    amount: int

    def __str__(self) -> str:
        return f"earn {self.amount} for {self.customer}, later if need be"


@attrs.frozen
class EarnAgain(Operation):
    """`pick` says which of the earlier ones."""

    pick: float

    def __str__(self) -> str:
        return "repeat an earlier earning"


@attrs.define(eq=False)
class Asked:
    """An earning, and all that its clients were told."""

    earning: DeferredEarn
    told: list[Told] = attrs.field(factory=list)


class Deferrals(Part):
    """Clients as the gateway serves them. The reason of each earning is its key, so that one that
    was posted under another key is seen."""

    operations: ClassVar[tuple[type[Operation], ...]] = (EarnOrDefer, EarnAgain)

    def __init__(self) -> None:
        self._asked: list[Asked] = []

    def draw(self, random: Random) -> Operation:
        if random.random() < REPEATED:
            return EarnAgain(random.uniform(0.0, 1.0))
        return EarnOrDefer(random.choice(CUSTOMERS_THERE), random.randint(1, 60))

    async def perform(self, run: Run, operation: Operation) -> None:
        match operation:
            case EarnOrDefer(customer, amount):
                key = f"defer-{len(self._asked) + 1}"
                earn = Earn(idempotency=Idempotency(key, key), amount=amount, reason=key)
                self._asked.append(Asked(DeferredEarn(customer, earn)))
                await self._ask(run, self._asked[-1])
            case EarnAgain(pick):
                if self._asked:
                    await self._ask(run, self._asked[int(pick * len(self._asked))])
            case _:
                raise TypeError(operation)

    async def _ask(self, run: Run, asked: Asked) -> None:
        answer = await run.until_answered(
            lambda system: _earn_or_defer(system, asked.earning),
            lambda answer: isinstance(answer, Deferral) or not unavailable(answer),
        )
        if answer is not None:
            asked.told.append(answer)

    async def at_rest(self, run: Run) -> bool:
        return not run.world.disk.real.records

    async def check(self, run: Run) -> None:
        await check_ledger(run)
        store = run.world.store.real
        rows = await store.fetch(SELECT_POSTED, MERCHANT)
        posted = {row[0]: (row[1], row[2], row[3]) for row in rows}
        made = Counter((reason, amount) for _, reason, amount in posted.values())
        dead = await store.fetch(SELECT_DEAD, MERCHANT, DeferralStatus.DEAD.value)
        given_up = {row[0] for row in dead}
        for asked in self._asked:
            earn, told = asked.earning.earn, asked.told
            there = made[earn.reason, earn.amount]
            if any(_is_promise(each, given_up) for each in told):
                detail = f"{earn.reason} is there {there} times, told {told}"
                run.findings.check(there == 1, PROMISE, detail)
            right = all(_is_of(each, asked.earning, posted) for each in told)
            run.findings.check(right, TOLD, f"{earn.reason} was told {told}")


def _is_promise(told: Told, given_up: Collection[str]) -> bool:
    if isinstance(told, Deferral):
        return told.deferral_id not in given_up
    return isinstance(told, Receipt)


def _is_of(told: Told, earning: DeferredEarn, posted: Mapping[str, Posted]) -> bool:
    """Whether this may be told of an earning that was asked for with one key and no other's."""
    if isinstance(told, Receipt):
        customer, earn = earning.customer_id, earning.earn
        shown = (told.customer_id, told.amount) == (customer, earn.amount)
        return shown and posted.get(told.transaction_id) == (customer, earn.reason, earn.amount)
    return told != KEY_REUSED


async def _earn_or_defer(system: ActorSystem, earning: DeferredEarn) -> Told:
    """As `POST /v1/points/earn`: what is queued, or was, is told, else the account is asked; the
    earning is put off where that fails because the database is away."""
    deferrals = system.ref(DEFERRALS)
    known, away = await _found(deferrals, earning)
    if known is not None:
        return known
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


async def _found(deferrals: ActorRef, earning: DeferredEarn) -> tuple[Told | None, bool]:
    """What is told under its key, and whether the database is known to be away."""
    if isinstance(deferrals.notice, NothingDeferred):
        return None, False
    question = FindDeferrals(MERCHANT, (earning.earn.idempotency,))
    try:
        found = await deferrals.ask(question, timeout_s=FIND_TIMEOUT_S)
    except ActorError:
        return None, False
    return found.by_key[0], found.away


class DeferralsScenario(ApplicationScenario):
    """Earnings while the database comes and goes."""

    name = "deferrals"
    parts = (Deferrals,)
    faults = FaultSpec(
        targets=TARGETS,
        troubles=(*Trouble, Trouble.STORE_AWAY, Trouble.STORE_AWAY, Trouble.CRASH),
    )
