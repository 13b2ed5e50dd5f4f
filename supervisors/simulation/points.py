"""Accounts: earning, spending, holds, reversals, points that expire and points that mature."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from random import Random
from typing import ClassVar

import attrs

from actors.points.messages import (
    ACCOUNTS,
    INTAKE,
    AccountKey,
    Adjust,
    Apply,
    ApplyBatch,
    BalanceView,
    BatchItem,
    CaptureHold,
    Earn,
    GetBalance,
    Mutation,
    PlaceHold,
    Receipt,
    Redeem,
    Result,
    Reverse,
    VoidHold,
)
from actors.vocabulary import Idempotency, Refusal, RefusalKind
from runtime import EntityRef
from runtime.sim import Operation, Run
from runtime.system import ActorSystem
from supervisors.simulation.ledger import check_ledger, nothing_due, one_each
from supervisors.simulation.parts import CUSTOMERS_THERE, MERCHANT, ApplicationScenario, Part

ONCE = "no double effect"
KINDS = ("earn", "earn", "earn", "redeem", "redeem", "adjust", "hold", "hold")
LATER = ("reverse", "capture", "void")
"""Of something that was done before."""

EXPECTED_REFUSALS = frozenset(
    {
        "insufficient_points",
        "already_reversed",
        "exceeds_original",
        "not_reversible",
        "hold_ended",
        "exceeds_hold",
        "time_too_early",  # where the clock was set forward meanwhile
    }
)

TRANSACTIONS = (
    "SELECT transaction_id, customer_id, sequence, kind, amount, idempotency_key"
    " FROM points_transactions WHERE merchant_id = $1"
)
ENDED_HOLDS = "SELECT hold_id, ended_by FROM points_holds WHERE merchant_id = $1"
BALANCE_READS = 0.15
SOONEST_S, LATEST_S = 2.0, 40.0


@attrs.frozen(kw_only=True)
class Mutate(Operation):
    """One change of an account. `pick` says which of its earlier ones it is about, if it is about
    one, `lasts_s` how long the points or the hold last (0: for good)."""

    customer: str
    kind: str
    amount: int
    pick: float
    lasts_s: float
    by_intake: bool

    def __str__(self) -> str:
        lasts = f", lasting {self.lasts_s:g} s" if self.lasts_s else ""
        return f"{self.kind} {self.amount} of {self.customer}{lasts}"


@attrs.frozen
class ReadBalance(Operation):
    customer: str

    def __str__(self) -> str:
        return f"read the balance of {self.customer}"


@attrs.define(eq=False)
class Asked:
    """A mutation with its key, and its first answer, with when that came by the wall clock."""

    customer: str
    mutation: Mutation
    answer: Result | None = None
    told_at: datetime | None = None


class Points(Part):
    """Clients that repeat a request with its key until it is answered."""

    operations: ClassVar[tuple[type[Operation], ...]] = (Mutate, ReadBalance)

    def __init__(self) -> None:
        self.asked: dict[str, Asked] = {}

    def draw(self, random: Random) -> Operation:
        customer = random.choice(CUSTOMERS_THERE)
        if random.random() < BALANCE_READS:
            return ReadBalance(customer)
        lasting = random.random() < 0.3
        return Mutate(
            customer=customer,
            kind=random.choice((*KINDS, *LATER, *LATER)),
            amount=random.randint(1, 60),
            pick=random.uniform(0.0, 1.0),
            lasts_s=round(random.uniform(SOONEST_S, LATEST_S), 1) if lasting else 0.0,
            by_intake=random.random() < 0.5,
        )

    async def perform(self, run: Run, operation: Operation) -> None:
        match operation:
            case ReadBalance(customer):
                await self._read(run, customer)
            case Mutate():
                await self._mutate(run, operation)

    async def _read(self, run: Run, customer: str) -> None:
        view = await run.ask(lambda system: _account(system, customer).ask(GetBalance()))
        if isinstance(view, BalanceView):
            balance = view.balance
            run.findings.check(
                min(balance.posted, balance.held, balance.available, balance.pending) >= 0,
                "never overdrawn",
                f"{customer}: {balance}",
            )

    async def _mutate(self, run: Run, operation: Mutate) -> None:
        key = f"key-{len(self.asked) + 1}"
        mutation = self._mutation(operation, Idempotency(key, key), run.world.clock.now())
        if mutation is None:
            return
        asked = self.asked[key] = Asked(operation.customer, mutation)
        results = await run.until_answered(
            _way(operation, mutation), lambda results: not unavailable(results[0])
        )
        if results is not None:
            asked.answer, asked.told_at = results[0], run.world.clock.now()
            self._check_refusal(run, asked)

    def _mutation(self, operation: Mutate, once: Idempotency, now: datetime) -> Mutation | None:
        amount, lasts_s = operation.amount, operation.lasts_s
        until = now + timedelta(seconds=lasts_s) if lasts_s else None
        match operation.kind:
            case "earn":
                maturing = until if operation.pick < 0.3 else None
                expiring = until if maturing is None else None
                return Earn(
                    idempotency=once,
                    amount=amount,
                    reason="simulated",
                    expires_at=expiring,
                    pending_until=maturing,
                )
            case "redeem":
                return Redeem(idempotency=once, amount=amount, reason="simulated")
            case "adjust":
                signed = amount if operation.pick < 0.5 else -amount
                return Adjust(idempotency=once, amount=signed, reason="simulated")
            case "hold":
                ends_at = until if until is not None else now + timedelta(days=30)
                return PlaceHold(idempotency=once, amount=amount, expires_at=ends_at)
        return self._of_the_past(operation, once)

    def _of_the_past(self, operation: Mutate, once: Idempotency) -> Mutation | None:
        receipts = [
            asked.answer
            for asked in self.asked.values()
            if asked.customer == operation.customer and isinstance(asked.answer, Receipt)
        ]
        if operation.kind != "reverse":
            receipts = [receipt for receipt in receipts if receipt.kind == "hold"]
        if not receipts:
            return None
        receipt = receipts[int(operation.pick * len(receipts))]
        part = operation.amount if operation.amount % 2 else None
        hold_id = receipt.hold_id or ""
        match operation.kind:
            case "reverse":
                named = receipt.transaction_id
                return Reverse(idempotency=once, transaction_id=named, amount=part)
            case "capture":
                return CaptureHold(idempotency=once, hold_id=hold_id, amount=part)
            case _:
                return VoidHold(idempotency=once, hold_id=hold_id)

    def _check_refusal(self, run: Run, asked: Asked) -> None:
        answer = asked.answer
        if isinstance(answer, Refusal):
            told = f"{type(asked.mutation).__name__}: {answer.code}"
            run.findings.check(answer.code in EXPECTED_REFUSALS, "right answers", told)

    async def at_rest(self, run: Run) -> bool:
        return await nothing_due(run)

    async def check(self, run: Run) -> None:
        await check_ledger(run)
        rows = await run.world.store.real.fetch(TRANSACTIONS, MERCHANT)
        for key in one_each(rows, "idempotency_key"):
            run.findings.add(ONCE, f"{key} is in the ledger twice")
        made = {row["idempotency_key"]: row for row in rows}
        for key, asked in self.asked.items():
            row = made.get(key)
            if isinstance(asked.answer, Receipt):
                kept = tuple(row)[:5] if row is not None else None
                told = _told(asked.answer)
                run.findings.check(kept == told, "nothing is lost", f"told {told}, is {kept}")
        await self._check_holds(run)
        await self._check_repetitions(run)

    async def _check_holds(self, run: Run) -> None:
        """A hold ended by whom it was told, and by nobody before, or by the clock of then."""
        ends = self._ends_of_holds()
        ended = {row[0]: row[1] for row in await run.world.store.real.fetch(ENDED_HOLDS, MERCHANT)}
        for asked in self.asked.values():
            mutation, answer = asked.mutation, asked.answer
            if not isinstance(mutation, CaptureHold | VoidHold):
                continue
            if isinstance(answer, Refusal) and answer.code == "hold_ended":
                over = ended.get(mutation.hold_id) is not None
                if asked.told_at is not None and mutation.hold_id in ends:
                    over = over or ends[mutation.hold_id] <= asked.told_at
                run.findings.check(over, "right answers", f"{mutation.hold_id} has not ended")

    def _ends_of_holds(self) -> dict[str, datetime]:
        """When each of them expires."""
        return {
            asked.answer.hold_id: asked.mutation.expires_at
            for asked in self.asked.values()
            if isinstance(asked.mutation, PlaceHold)
            and isinstance(asked.answer, Receipt)
            and asked.answer.hold_id is not None
        }

    async def _check_repetitions(self, run: Run) -> None:
        """Whoever asks again gets the first answer again."""
        for customer in CUSTOMERS_THERE:
            known = [
                (asked.mutation, asked.answer)
                for asked in self.asked.values()
                if asked.customer == customer and isinstance(asked.answer, Receipt)
            ]
            if not known:
                continue
            message = Apply(tuple(mutation for mutation, _ in known))
            system = await run.service.up()
            again = await _account(system, customer).ask(message)
            for (_, first), second in zip(known, again, strict=True):
                same = attrs.evolve(first, replayed=True) == second
                run.findings.check(same, ONCE, f"told {first}, and then {second}")


def _told(receipt: Receipt) -> tuple[str, str, int, str, int]:
    return (
        receipt.transaction_id,
        receipt.customer_id,
        receipt.sequence,
        receipt.kind,
        receipt.amount,
    )


def unavailable(result: object) -> bool:
    """Whether a client has to ask again to know."""
    return isinstance(result, Refusal) and result.kind is RefusalKind.UNAVAILABLE


async def account(system: ActorSystem, customer: str, mutation: Mutation) -> Result:
    """Have one mutation applied."""
    (result,) = await _account(system, customer).ask(Apply((mutation,)))
    return result


def _account(system: ActorSystem, customer: str) -> EntityRef:
    return system.entities(ACCOUNTS).ref(AccountKey(MERCHANT, customer))


def _way(
    operation: Mutate, mutation: Mutation
) -> Callable[[ActorSystem], Awaitable[tuple[Result, ...]]]:
    """To the account, or through the intake."""
    if not operation.by_intake:
        return lambda system: _account(system, operation.customer).ask(Apply((mutation,)))
    named = isinstance(mutation, Reverse | CaptureHold | VoidHold)
    item = BatchItem(mutation, None if named else operation.customer)
    return lambda system: system.ref(INTAKE).ask(ApplyBatch(MERCHANT, (item,)))


class PointsScenario(ApplicationScenario):
    """Accounts alone."""

    name = "points"
    parts = (Points,)
