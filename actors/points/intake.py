"""The actor that deals mutations out to accounts: batches, and orders that core recorded."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import msgspec
import structlog

from actors.admin_features.messages import Flags
from actors.core.messages import OrderRecorded
from actors.points.away import database_away
from actors.points.campaign_rules import LastRules, promotions_of
from actors.points.deferral_messages import DATABASE_AWAY
from actors.points.eligibility import earn_for, eligible_totals
from actors.points.features import check_transfer
from actors.points.lookups import find_owners
from actors.points.messages import (
    ACCOUNTS,
    MAX_BATCH_ITEMS,
    QUERIES,
    AccountKey,
    Apply,
    ApplyBatch,
    ApplyTransfer,
    CancelRedemption,
    CaptureHold,
    EarnForOrder,
    EarnRule,
    GetEarnRule,
    Mutation,
    Result,
    Reverse,
    TransferReceipt,
    VoidHold,
)
from actors.points.transferring import Lead, leader_of
from actors.vocabulary import Refusal, RefusalKind
from runtime import ActorError, Workers, ask_all
from runtime.outbox import Deliver, OutboxEvent
from runtime.ref import UNTRACED
from runtime.storage import Database, StorageError

log = structlog.get_logger("loyalnest.points")

Placed = list[tuple[int, Mutation]]
"""Mutations of one account with their positions in the batch."""


class Intake(Workers):
    """Groups mutations by account, asks the accounts at the same time, and puts the results
    back into order."""

    passes_on: ClassVar[tuple[type[Exception], ...]] = (StorageError, ActorError)

    def __init__(self, database: Database, flags: Flags, last_rules: LastRules) -> None:
        super().__init__()
        self._database = database
        self._flags = flags
        self._last_rules = last_rules

    async def receive(self, message: Any) -> object:
        match message:
            case ApplyBatch():
                return await self._apply(message)
            case ApplyTransfer():
                return await self._transfer(message)
            case Deliver():
                await self._deliver(message.events)
            case _:
                return await super().receive(message)
        return None

    async def _apply(self, batch: ApplyBatch) -> tuple[Result, ...]:
        if len(batch.items) > MAX_BATCH_ITEMS:
            detail = f"at most {MAX_BATCH_ITEMS} mutations in a batch"
            refusal = Refusal(RefusalKind.INVALID, "batch_too_large", detail)
            return (refusal,) * len(batch.items)
        owners = await self._owners(batch)
        results: dict[int, Result] = {}
        placed: dict[AccountKey, Placed] = defaultdict(list)
        for position, item in enumerate(batch.items):
            customer_id = item.customer_id or owners.get(_named(item.mutation))
            if customer_id is None:
                results[position] = _unknown(item.mutation)
            else:
                key = AccountKey(batch.merchant_id, customer_id)
                placed[key].append((position, item.mutation))
        answers = await self._ask({key: [m for _, m in pairs] for key, pairs in placed.items()})
        for pairs, answer in zip(placed.values(), answers, strict=True):
            for index, (position, _) in enumerate(pairs):
                results[position] = _result(answer, index)
        return tuple(results[position] for position in range(len(batch.items)))

    async def _transfer(self, message: ApplyTransfer) -> TransferReceipt | Refusal:
        transfer = message.transfer
        if transfer.from_customer_id == transfer.to_customer_id:
            detail = "the points are there already: both customers are the same"
            return Refusal(RefusalKind.INVALID, "same_account", detail)
        refusal = check_transfer(self._flags, message)
        if refusal is not None:
            return refusal
        leader = AccountKey(message.merchant_id, leader_of(transfer))
        account = self.system.entities(ACCOUNTS).ref(leader)
        try:
            return await account.ask(Lead(transfer))
        except (ActorError, StorageError) as error:
            return _unanswered(error)

    async def _owners(self, batch: ApplyBatch) -> Mapping[str, str]:
        nameless = [item.mutation for item in batch.items if item.customer_id is None]
        return await find_owners(
            self._database,
            batch.merchant_id,
            [m.transaction_id for m in nameless if isinstance(m, Reverse)],
            [m.hold_id for m in nameless if isinstance(m, CaptureHold | VoidHold)],
            [m.redemption_id for m in nameless if isinstance(m, CancelRedemption)],
        )

    async def _ask(
        self,
        placed: Mapping[AccountKey, Sequence[Mutation]],
        traces: Iterable[str | None] = UNTRACED,
    ) -> list[Any]:
        """One answer for each account: its results, or the error it could not be asked for."""
        account = self.system.entities(ACCOUNTS).ref
        return await ask_all(
            [(account(key), Apply(tuple(mutations))) for key, mutations in placed.items()],
            traces=traces,
        )

    async def _deliver(self, events: Sequence[OutboxEvent]) -> None:
        """Returns when every order's points are durable. Raises `ActorError` when not sure."""
        orders = [(event, msgspec.convert(event.payload, OrderRecorded)) for event in events]
        rules = await self._rules({(event.merchant_id, order.currency) for event, order in orders})
        told = [(event.merchant_id, order) for event, order in orders]
        totals = await eligible_totals(self.system, told)
        promotions = await promotions_of(self.system, self._last_rules, told)
        placed: dict[AccountKey, list[EarnForOrder]] = defaultdict(list)
        traces: dict[AccountKey, str | None] = {}
        for (event, order), total, promoted in zip(orders, totals, promotions, strict=True):
            rule = rules[event.merchant_id, order.currency]
            earning = earn_for(order, total, rule, promoted, event.event_id)
            key = AccountKey(event.merchant_id, order.customer_id)
            placed[key].append(earning)
            traces.setdefault(key, event.trace_id)
        answers = await self._ask(placed, traces.values())
        for earnings, results in zip(placed.values(), answers, strict=True):
            if isinstance(results, Exception):
                raise results
            _log_refusals(earnings, results)

    async def _rules(self, wanted: Iterable[tuple[str, str]]) -> dict[tuple[str, str], EarnRule]:
        queries = self.system.ref(QUERIES)
        return {key: await queries.ask(GetEarnRule(*key)) for key in wanted}


def _log_refusals(earnings: Sequence[EarnForOrder], results: Sequence[Result]) -> None:
    for earning, result in zip(earnings, results, strict=True):
        if isinstance(result, Refusal):
            log.warning("order_earned_nothing", order=earning.order_id, code=result.code)


def _result(answer: Sequence[Result] | Exception, index: int) -> Result:
    return _unanswered(answer) if isinstance(answer, Exception) else answer[index]


def _unanswered(answer: Exception) -> Refusal:
    """What a client is told of an account that could not be asked."""
    log.warning("account_unavailable", error=str(answer)[:500])
    if database_away(answer):
        return DATABASE_AWAY
    detail = "the account did not answer; the same request with the same key is safe"
    return Refusal(RefusalKind.UNAVAILABLE, "account_unavailable", detail)


def _named(mutation: Mutation) -> str:
    """The transaction or hold that a mutation without a customer is found by."""
    match mutation:
        case Reverse():
            return mutation.transaction_id
        case CaptureHold() | VoidHold():
            return mutation.hold_id
        case CancelRedemption():
            return mutation.redemption_id
    return ""


def _unknown(mutation: Mutation) -> Refusal:
    match mutation:
        case Reverse():
            what, code = f"transaction {mutation.transaction_id}", "transaction_unknown"
        case CaptureHold() | VoidHold():
            what, code = f"hold {mutation.hold_id}", "hold_unknown"
        case CancelRedemption():
            what, code = f"redemption {mutation.redemption_id}", "redemption_unknown"
        case _:
            return Refusal(RefusalKind.INVALID, "customer_missing", "customer_id is missing")
    return Refusal(RefusalKind.NOT_FOUND, code, f"there is no {what}")
