"""The actor that reads each merchant's products, prices and plans."""

from datetime import UTC, datetime
from typing import Any, ClassVar

from actors.paging import Moment, clamp_limit, decode_cursor, page
from actors.products.cached import (
    CachedProducts,
    cached_product,
    load_products,
    product_at_hand,
    product_of,
)
from actors.products.messages import (
    GetExclusions,
    GetProduct,
    GetProducts,
    GetSubscriptionPlan,
    ListPlans,
    ListPrices,
    ListProducts,
    Price,
    Product,
    ProductKind,
)
from actors.products.model import escaped, search_form
from actors.products.plans import list_plans, load_plans
from actors.products.queries import (
    LIST_PRICES,
    LIST_PRODUCTS,
    SEARCH_PRODUCTS,
    SELECT_EXCLUSIONS,
    with_values,
)
from actors.vocabulary import Page, Refusal
from runtime import ActorError, AtHand, Workers
from runtime.cache import CacheError
from runtime.storage import Database, Row, StorageError

LATEST = (datetime.max.replace(tzinfo=UTC),)
KINDS = tuple(kind.value for kind in ProductKind)
SKUS_AT_ONCE = 500


class ProductReaders(Workers):
    """Single products come from the cache, lists from the database."""

    passes_on: ClassVar[tuple[type[Exception], ...]] = (StorageError, ActorError, CacheError)

    def __init__(self, database: Database, cached: CachedProducts) -> None:
        super().__init__()
        self._database = database
        self._cached = cached

    async def started(self) -> None:
        self.start_task(self._cached.follow)
        self.post(AtHand(self._at_hand))

    def _at_hand(self, question: object) -> tuple[Product | None] | None:
        """Products that were read a moment ago need no turn."""
        if not isinstance(question, GetProduct):
            return None
        now = self.system.clock.now()
        return product_at_hand(self._cached, question.merchant_id, question.sku, now)

    async def receive(self, message: Any) -> object:
        match message:
            case GetProduct():
                return await self._get(message.merchant_id, message.sku)
            case GetProducts():
                found = [await self._get(message.merchant_id, sku) for sku in message.skus]
                return tuple(product for product in found if product is not None)
            case ListProducts():
                return await self._list(message)
            case GetExclusions():
                return await self._exclusions(message)
            case ListPrices():
                return await self._prices(message)
            case GetSubscriptionPlan():
                plans = await load_plans(self._database, message.merchant_id, (message.plan_id,))
                return plans.get(message.plan_id)
            case ListPlans():
                return await list_plans(self._database, message)
        return await super().receive(message)

    async def _get(self, merchant_id: str, sku: str) -> Product | None:
        now = self.system.clock.now()
        return await cached_product(self._cached, self._database, merchant_id, sku, now)

    async def _list(self, message: ListProducts) -> Page[Product] | Refusal:
        limit = clamp_limit(message.limit)
        after = decode_cursor(message.cursor, tuple[str], ("",))
        if isinstance(after, Refusal):
            return after
        arguments = (message.merchant_id, *after, limit + 1)
        if message.search is None and message.kind is None:
            rows = await self._database.fetch(LIST_PRODUCTS, *arguments)
        else:
            rows = await self._database.fetch(SEARCH_PRODUCTS, *arguments, *_conditions(message))
        return await self._priced(message.merchant_id, rows, limit)

    async def _priced(self, merchant_id: str, rows: list[Row], limit: int) -> Page[Product]:
        shown = page(rows, limit, product_of, lambda row: [row["sku"]])
        now = self.system.clock.now()
        skus = [product.sku for product in shown.items]
        loaded = await load_products(self._database, merchant_id, skus, now)
        items = tuple(loaded[sku].at(now) for sku in skus if sku in loaded)
        return Page(items, shown.next_cursor)

    async def _exclusions(self, message: GetExclusions) -> frozenset[str]:
        found: set[str] = set()
        for start in range(0, len(message.skus), SKUS_AT_ONCE):
            some = message.skus[start : start + SKUS_AT_ONCE]
            query = with_values(SELECT_EXCLUSIONS, len(some), 2)
            rows = await self._database.fetch(query, message.merchant_id, *some)
            found |= {row[0] for row in rows}
        return frozenset(found)

    async def _prices(self, message: ListPrices) -> Page[Price] | Refusal:
        limit = clamp_limit(message.limit)
        before = decode_cursor(message.cursor, tuple[Moment], LATEST)
        if isinstance(before, Refusal):
            return before
        rows = await self._database.fetch(
            LIST_PRICES, message.merchant_id, message.sku, *before, limit + 1
        )
        return page(
            rows,
            limit,
            lambda row: Price(row[0], row[1], row[2]),
            lambda row: [row["effective_from"].isoformat()],
        )


def _conditions(message: ListProducts) -> tuple[str, ...]:
    """Two patterns and two kinds, which are the same one where only one is asked for."""
    part = escaped(search_form(message.search)) if message.search is not None else ""
    kinds = (message.kind.value, message.kind.value) if message.kind is not None else KINDS
    return (f"%{part}%", f"{part}%", *kinds)
