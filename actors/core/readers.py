"""The actor that reads the core domain's tables."""

from datetime import UTC, datetime
from typing import Any, ClassVar

from actors.core.messages import (
    Customer,
    GetCustomer,
    GetOrder,
    GetOrderTotals,
    ListCustomers,
    ListOrders,
    Order,
    OrderTotals,
)
from actors.core.queries import (
    COUNT_CUSTOMERS,
    LIST_CUSTOMER_ORDERS,
    LIST_CUSTOMERS,
    LIST_ORDERS,
    SELECT_CUSTOMER,
    SELECT_ORDER,
    TOTALS_BY_CURRENCY,
)
from actors.core.records import customer_of, order_of
from actors.paging import Moment, clamp_limit, decode_cursor, page
from actors.vocabulary import Page, Refusal
from runtime import ActorError, Workers
from runtime.storage import Database, StorageError

NEWEST = (datetime.max.replace(tzinfo=UTC), "")


class CoreReaders(Workers):
    """Reads, several at a time, without holding up the writers."""

    passes_on: ClassVar[tuple[type[Exception], ...]] = (StorageError, ActorError)

    def __init__(self, database: Database) -> None:
        super().__init__()
        self._database = database

    async def receive(self, message: Any) -> object:
        match message:
            case GetCustomer():
                row = await self._database.fetch_row(
                    SELECT_CUSTOMER, message.merchant_id, message.customer_id
                )
                return customer_of(row) if row is not None else None
            case GetOrder():
                row = await self._database.fetch_row(
                    SELECT_ORDER, message.merchant_id, message.order_id
                )
                return order_of(row) if row is not None else None
            case ListCustomers():
                return await self._customers(message)
            case ListOrders():
                return await self._orders(message)
            case GetOrderTotals():
                return await self._totals(message.merchant_id)
        return await super().receive(message)

    async def _customers(self, message: ListCustomers) -> Page[Customer] | Refusal:
        limit = clamp_limit(message.limit)
        after = decode_cursor(message.cursor, tuple[str], ("",))
        if isinstance(after, Refusal):
            return after
        rows = await self._database.fetch(LIST_CUSTOMERS, message.merchant_id, *after, limit + 1)
        return page(rows, limit, customer_of, lambda row: [row["customer_id"]])

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
