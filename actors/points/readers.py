"""The actor that reads the points tables, and keeps the earn rules."""

from datetime import UTC, datetime
from typing import Any, ClassVar

import structlog

from actors.core.messages import MERCHANTS, GetMerchant, HasCustomer
from actors.core.messages import QUERIES as CORE_QUERIES
from actors.paging import Moment, SequenceNumber, clamp_limit, decode_cursor, page
from actors.points.campaign_questions import CampaignQuestion, answer_campaigns
from actors.points.crediting import credit_states
from actors.points.deferral_messages import Deferral, GetDeferral
from actors.points.deferral_records import find_deferrals
from actors.points.expiring import list_expiring
from actors.points.explaining import explain, ledger_entry
from actors.points.explanation_messages import Explain
from actors.points.ledger import HOLD, MEMBER, PENDING
from actors.points.ledger_metrics import LedgerMetrics
from actors.points.messages import (
    ACCOUNTS,
    DEFAULT_ASSET,
    AccountKey,
    Balance,
    BalanceView,
    CheckCredits,
    EarnRule,
    ExpiringLot,
    GetBalanceAt,
    GetEarnRule,
    LedgerEntry,
    ListExpiring,
    ListLedger,
    ListLots,
    LotView,
    Rounding,
    SetEarnRule,
    Settle,
    TimeAxis,
    Verification,
    Verify,
)
from actors.points.queries import (
    BALANCE_AS_EFFECTIVE,
    BALANCE_AS_RECORDED,
    EXPIRING_AS_RECORDED,
    INSERT_RULE,
    LIST_LEDGER,
    LIST_LOTS,
    SELECT_ACCOUNT,
    SELECT_RULE,
)
from actors.points.records import balance_of
from actors.points.rules import builtin_rule, next_rule
from actors.points.verification import verify
from actors.vocabulary import Page, Refusal, RefusalKind
from runtime import ActorError, Workers
from runtime.journal import JOURNAL, Append, Rejected
from runtime.registries import in_registry
from runtime.storage import Database, Row, StorageError, Write

log = structlog.get_logger("loyalnest.points")

END_OF_TIME = datetime(9999, 12, 31, tzinfo=UTC)
NEWEST = (2**62,)
FIRST_LOT = (datetime.min.replace(tzinfo=UTC), 0)
NO_BALANCE = Balance(0, 0, 0, 0)


class PointsReaders(Workers):
    """Reads, several at a time, without holding up the accounts."""

    passes_on: ClassVar[tuple[type[Exception], ...]] = (StorageError, ActorError)

    def __init__(self, database: Database) -> None:
        super().__init__()
        self._database = database

    async def started(self) -> None:
        self._ledger_metrics = in_registry(self.system.metrics.registry, LedgerMetrics)

    async def receive(self, message: Any) -> object:
        match message:
            case ListLedger():
                return await self._ledger(message)
            case ListLots():
                return await self._lots(message)
            case GetBalanceAt():
                return await self._balance_at(message)
            case GetDeferral():
                return await self._deferral(message)
            case Explain():
                return await explain(self._database, message.merchant_id, message.transaction_id)
            case Verify():
                return await self._verify(message.merchant_id)
            case CheckCredits():
                return await credit_states(
                    self.system, self._database, message.merchant_id, message.orders
                )
            case GetEarnRule():
                return await self._rule(message.merchant_id, message.currency)
            case SetEarnRule():
                return await self._set_rule(message)
        return await self._others(message)

    async def _others(self, message: Any) -> object:
        if isinstance(message, ListExpiring):
            return await list_expiring(self._database, message)
        if isinstance(message, CampaignQuestion):
            return await answer_campaigns(self._database, message)
        return await super().receive(message)

    async def _verify(self, merchant_id: str) -> Verification:
        found = await verify(self._database, merchant_id)
        self._ledger_metrics.verified.inc(found.accounts)
        self._ledger_metrics.mismatches.inc(len(found.mismatches))
        if not found.clean:
            log.error("ledger_not_clean", merchant_id=merchant_id, found=len(found.mismatches))
        return found

    async def _ledger(self, message: ListLedger) -> Page[LedgerEntry] | Refusal:
        refusal = await self._bring_up_to_date(message.merchant_id, message.customer_id)
        if refusal is not None:
            return refusal
        limit = clamp_limit(message.limit)
        before = decode_cursor(message.cursor, tuple[SequenceNumber], NEWEST)
        if isinstance(before, Refusal):
            return before
        rows = await self._database.fetch(
            LIST_LEDGER,
            message.merchant_id,
            message.customer_id,
            DEFAULT_ASSET,
            *before,
            limit + 1,
        )
        return page(rows, limit, ledger_entry, lambda row: [row["sequence"]])

    async def _lots(self, message: ListLots) -> Page[LotView] | Refusal:
        refusal = await self._bring_up_to_date(message.merchant_id, message.customer_id)
        if refusal is not None:
            return refusal
        limit = clamp_limit(message.limit)
        after = decode_cursor(message.cursor, tuple[Moment, SequenceNumber], FIRST_LOT)
        if isinstance(after, Refusal):
            return after
        rows = await self._database.fetch(
            LIST_LOTS,
            message.merchant_id,
            message.customer_id,
            DEFAULT_ASSET,
            END_OF_TIME,
            *after,
            limit + 1,
        )
        return page(rows, limit, _lot_view, _lot_key)

    async def _bring_up_to_date(self, merchant_id: str, customer_id: str) -> Refusal | None:
        """Post what is due, so that lists and balances agree. A refusal: no such customer."""
        account = await self._database.fetch_row(
            SELECT_ACCOUNT, merchant_id, customer_id, DEFAULT_ASSET
        )
        if account is None:
            return await self._unknown(merchant_id, customer_id)
        due = account["next_due_at"]
        if due is not None and due <= self.system.clock.now():
            key = AccountKey(merchant_id, customer_id)
            await self.system.entities(ACCOUNTS).ref(key).ask(Settle())
        return None

    async def _unknown(self, merchant_id: str, customer_id: str) -> Refusal | None:
        if await self.system.ref(CORE_QUERIES).ask(HasCustomer(merchant_id, customer_id)):
            return None
        detail = f"there is no customer {customer_id}"
        return Refusal(RefusalKind.NOT_FOUND, "customer_unknown", detail)

    async def _balance_at(self, message: GetBalanceAt) -> BalanceView | Refusal:
        refusal = await self._bring_up_to_date(message.merchant_id, message.customer_id)
        if refusal is not None:
            return refusal
        account = (message.merchant_id, message.customer_id, DEFAULT_ASSET)
        if message.axis is TimeAxis.EFFECTIVE:
            rows = await self._database.fetch(BALANCE_AS_EFFECTIVE, *account, message.at)
            balance = _summed({row[0]: row[1] for row in rows})
            return BalanceView(message.customer_id, balance, None, message.at)
        row = await self._database.fetch_row(BALANCE_AS_RECORDED, *account, message.at)
        if row is None:
            return BalanceView(message.customer_id, NO_BALANCE, None, message.at)
        expiring = await self._expiring_then(account, row["sequence"])
        return BalanceView(message.customer_id, balance_of(row), expiring, message.at)

    async def _expiring_then(
        self, account: tuple[str, str, str], sequence: int
    ) -> ExpiringLot | None:
        rows = await self._database.fetch(EXPIRING_AS_RECORDED, *account, sequence)
        lots = (ExpiringLot(row["remaining_then"], row["expires_at"]) for row in rows)
        return next((lot for lot in lots if lot.amount > 0), None)

    async def _deferral(self, message: GetDeferral) -> Deferral | None:
        ids = [message.deferral_id]
        known = await find_deferrals(self._database, message.merchant_id, ids)
        found = known.get(message.deferral_id)
        return found.deferral if found is not None else None

    async def _rule(self, merchant_id: str, currency: str) -> EarnRule:
        row = await self._database.fetch_row(SELECT_RULE, merchant_id, currency)
        if row is None:
            return builtin_rule(currency)
        version, currency, points, step, days, percent, rounding = row
        return EarnRule(version, currency, points, step, days, percent, Rounding(rounding))

    async def _set_rule(self, message: SetEarnRule) -> EarnRule | Refusal:
        if await self.system.ref(MERCHANTS).ask(GetMerchant(message.merchant_id)) is None:
            detail = f"there is no merchant {message.merchant_id}"
            return Refusal(RefusalKind.NOT_FOUND, "merchant_unknown", detail)
        current = await self._rule(message.merchant_id, message.currency)
        rule = next_rule(current, message)
        if isinstance(rule, Refusal) or rule is current:
            return rule
        row = (
            message.merchant_id,
            rule.currency,
            rule.version,
            rule.points,
            rule.per_amount_minor,
            rule.expires_after_days,
            self.system.clock.now(),
            rule.multiplier_percent,
            rule.rounding.value,
        )
        answer = await self.system.ref(JOURNAL).ask(Append((Write(INSERT_RULE, row),)))
        if isinstance(answer, Rejected):
            detail = "the rule was changed by somebody else at the same time"
            return Refusal(RefusalKind.CONFLICT, "earn_rule_conflict", detail)
        return rule


def _lot_view(row: Row) -> LotView:
    return LotView(
        row["lot_id"],
        row["transaction_id"],
        row["amount"],
        row["remaining"],
        row["earned_at"],
        row["expires_at"],
    )


def _lot_key(row: Row) -> tuple[str, int]:
    return ((row["expires_at"] or END_OF_TIME).isoformat(), row["sequence"])


def _summed(points: dict[str, int]) -> Balance:
    member, hold = points.get(MEMBER, 0), points.get(HOLD, 0)
    return Balance(member + hold, hold, member, points.get(PENDING, 0))
