"""The actor that reads each merchant's products."""

from typing import Any, ClassVar

from actors.paging import clamp_limit, decode_cursor, page
from actors.products.cached import CachedProducts, cached_product
from actors.products.messages import GetProduct, ListProducts, Product, ProductKind
from actors.vocabulary import Page, Refusal
from runtime import ActorError, Workers
from runtime.cache import CacheError
from runtime.storage import Database, Row, StorageError

SELECT_PRODUCT = (
    "SELECT sku, name, kind, price_minor, currency FROM products"
    " WHERE merchant_id = $1 AND sku = $2"
)

LIST_PRODUCTS = (
    "SELECT sku, name, kind, price_minor, currency FROM products"
    " WHERE merchant_id = $1 AND sku > $2 ORDER BY sku LIMIT $3"
)


class ProductReaders(Workers):
    """Single products come from the cache, lists from the database."""

    passes_on: ClassVar[tuple[type[Exception], ...]] = (StorageError, ActorError, CacheError)

    def __init__(self, database: Database, cached: CachedProducts) -> None:
        super().__init__()
        self._database = database
        self._cached = cached

    async def started(self) -> None:
        self.start_task(self._cached.follow)

    async def receive(self, message: Any) -> object:
        match message:
            case GetProduct():
                return await self._get(message.merchant_id, message.sku)
            case ListProducts():
                return await self._list(message)
        return await super().receive(message)

    async def _get(self, merchant_id: str, sku: str) -> Product | None:
        async def from_database() -> Product | None:
            row = await self._database.fetch_row(SELECT_PRODUCT, merchant_id, sku)
            return _product(row) if row is not None else None

        return await cached_product(self._cached, merchant_id, sku, from_database)

    async def _list(self, message: ListProducts) -> Page[Product] | Refusal:
        limit = clamp_limit(message.limit)
        after = decode_cursor(message.cursor, tuple[str], ("",))
        if isinstance(after, Refusal):
            return after
        rows = await self._database.fetch(LIST_PRODUCTS, message.merchant_id, *after, limit + 1)
        return page(rows, limit, _product, lambda row: [row["sku"]])


def _product(row: Row) -> Product:
    return Product(row[0], row[1], ProductKind(row[2]), row[3], row[4])
