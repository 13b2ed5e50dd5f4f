"""The actor that reads orders, and what merchants have chosen and used."""

from typing import Any, ClassVar

from actors.core.customer_queries import COUNT_CUSTOMERS
from actors.core.customer_reading import CustomerQuestion, CustomerReading
from actors.core.merchant_store import settings_of
from actors.core.messages import (
    MAX_REFUNDS,
    GetOrder,
    GetOrderTotals,
    GetPlanUsage,
    ListMerchants,
    ListOrders,
    ListReconciliations,
    ListRefunds,
    ListSettings,
    Merchant,
    Order,
    OrderTotals,
    Reconciliation,
    SettingsVersion,
)
from actors.core.mirrors import NEWEST, Mirrors
from actors.core.queries import (
    LIST_CUSTOMER_ORDERS,
    LIST_MERCHANTS,
    LIST_ORDERS,
    LIST_RECONCILIATIONS,
    LIST_REFUNDS,
    LIST_SETTINGS,
    SELECT_ORDER,
    TOTALS_BY_CURRENCY,
)
from actors.core.quotas import plan_usage
from actors.core.reconciling import reconciliation_of
from actors.core.records import containing, merchant_of, order_of
from actors.core.refunding import refund_of
from actors.paging import Moment, SequenceNumber, clamp_limit, decode_cursor, page
from actors.vocabulary import Page, Refusal
from runtime import ActorError, Workers
from runtime.cache import CacheError
from runtime.storage import Database, StorageError

LAST_VERSION = 2**62


class CoreReaders(Workers):
    """Reads, several at a time, without holding up the writers."""

    passes_on: ClassVar[tuple[type[Exception], ...]] = (StorageError, ActorError, CacheError)

    def __init__(self, database: Database, customers: CustomerReading, mirrors: Mirrors) -> None:
        super().__init__()
        self._database = database
        self._customers = customers
        self._mirrors = mirrors

    async def started(self) -> None:
        self.start_task(self._mirrors.merchants.follow)
        self.start_task(self._mirrors.customers.follow)

    async def receive(self, message: Any) -> object:
        match message:
            case GetOrder():
                row = await self._database.fetch_row(
                    SELECT_ORDER, message.merchant_id, message.order_id
                )
                return order_of(row) if row is not None else None
            case ListRefunds():
                values = (message.merchant_id, message.order_id, MAX_REFUNDS)
                return tuple(map(refund_of, await self._database.fetch(LIST_REFUNDS, *values)))
            case GetPlanUsage():
                now = self.system.clock.now()
                return await plan_usage(self._database, message.merchant_id, now)
            case ListSettings():
                return await self._settings(message)
            case ListReconciliations():
                return await self._reconciliations(message)
            case ListOrders():
                return await self._orders(message)
            case GetOrderTotals():
                return await self._totals(message.merchant_id)
            case ListMerchants():
                return await self._merchants(message)
        if isinstance(message, CustomerQuestion):
            return await self._customers.answer(message)
        return await super().receive(message)

    async def _merchants(self, message: ListMerchants) -> Page[Merchant] | Refusal:
        limit = clamp_limit(message.limit)
        after = decode_cursor(message.cursor, tuple[str], ("",))
        if isinstance(after, Refusal):
            return after
        rows = await self._database.fetch(
            LIST_MERCHANTS, *after, containing(message.text), limit + 1
        )
        return page(rows, limit, merchant_of, lambda row: [row["merchant_id"]])

    async def _settings(self, message: ListSettings) -> Page[SettingsVersion] | Refusal:
        limit = clamp_limit(message.limit)
        before = decode_cursor(message.cursor, tuple[SequenceNumber], (LAST_VERSION,))
        if isinstance(before, Refusal):
            return before
        rows = await self._database.fetch(LIST_SETTINGS, message.merchant_id, *before, limit + 1)
        return page(rows, limit, settings_of, lambda row: [row["version"]])

    async def _reconciliations(
        self, message: ListReconciliations
    ) -> Page[Reconciliation] | Refusal:
        limit = clamp_limit(message.limit)
        before = decode_cursor(message.cursor, tuple[Moment], NEWEST[:1])
        if isinstance(before, Refusal):
            return before
        values = (message.merchant_id, *before, limit + 1)
        rows = await self._database.fetch(LIST_RECONCILIATIONS, *values)
        return page(rows, limit, reconciliation_of, lambda row: [row["ran_at"].isoformat()])

    async def _orders(self, message: ListOrders) -> Page[Order] | Refusal:
        limit = clamp_limit(message.limit)
        before = decode_cursor(message.cursor, tuple[Moment, str], NEWEST)
        if isinstance(before, Refusal):
            return before
        arguments = (message.merchant_id, *before, limit + 1)
        if message.customer_id is None:
            rows = await self._database.fetch(LIST_ORDERS, *arguments)
        else:
            rows = await self._database.fetch(LIST_CUSTOMER_ORDERS, *arguments, message.customer_id)
        return page(
            rows, limit, order_of, lambda row: [row["ordered_at"].isoformat(), row["order_id"]]
        )

    async def _totals(self, merchant_id: str) -> OrderTotals:
        customers, totals = await self._database.fetch_many(
            [(COUNT_CUSTOMERS, (merchant_id,)), (TOTALS_BY_CURRENCY, (merchant_id,))]
        )
        return OrderTotals(
            orders=sum(row[1] for row in totals),
            customers=customers[0][0],
            total_minor={row[0]: row[2] for row in totals},
        )
