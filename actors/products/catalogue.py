"""The actor that keeps each merchant's products."""

import re
from typing import Any, ClassVar

from actors.core.messages import MERCHANTS, GetMerchant
from actors.paging import clamp_limit, decode_cursor, page
from actors.products.messages import (
    CATALOGUE,
    MAX_PRICE_MINOR,
    GetProduct,
    ListProducts,
    Product,
    ProductKind,
    PutProducts,
)
from actors.vocabulary import CURRENCY_PATTERN, SKU_PATTERN, Page, Refusal, RefusalKind
from runtime import REFUSING, Actor, ActorError, ChildSpec
from runtime.journal import JOURNAL, Append, Rejected
from runtime.storage import Database, Migrations, Row, Statement, StorageError, Write

MIGRATIONS = Migrations("products", "actors.products.migrations")

UPSERT_PRODUCT = Statement(
    "products.upsert",
    "INSERT INTO products (merchant_id, sku, name, kind, price_minor, currency, updated_at)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (merchant_id, sku) DO UPDATE SET"
    " name = excluded.name, kind = excluded.kind, price_minor = excluded.price_minor,"
    " currency = excluded.currency, updated_at = excluded.updated_at",
    20,
)

SELECT_PRODUCT = (
    "SELECT sku, name, kind, price_minor, currency FROM products"
    " WHERE merchant_id = $1 AND sku = $2"
)

LIST_PRODUCTS = (
    "SELECT sku, name, kind, price_minor, currency FROM products"
    " WHERE merchant_id = $1 AND sku > $2 ORDER BY sku LIMIT $3"
)


class Catalogue(Actor):
    """Writes and reads products."""

    passes_on: ClassVar[tuple[type[Exception], ...]] = (StorageError, ActorError)

    def __init__(self, database: Database) -> None:
        self._database = database

    async def receive(self, message: Any) -> object:
        match message:
            case PutProducts():
                return await self._put(message)
            case GetProduct():
                row = await self._database.fetch_row(
                    SELECT_PRODUCT, message.merchant_id, message.sku
                )
                return _product(row) if row is not None else None
            case ListProducts():
                return await self._list(message)
        return await super().receive(message)

    async def _put(self, message: PutProducts) -> int | Refusal:
        refusal = next(filter(None, map(check_product, message.products)), None)
        if refusal is not None:
            return refusal
        if await self.system.ref(MERCHANTS).ask(GetMerchant(message.merchant_id)) is None:
            detail = f"there is no merchant {message.merchant_id}"
            return Refusal(RefusalKind.NOT_FOUND, "merchant_unknown", detail)
        now = self.system.clock.now()
        entry = tuple(
            Write(
                UPSERT_PRODUCT,
                (
                    message.merchant_id,
                    product.sku,
                    product.name,
                    product.kind.value,
                    product.price_minor,
                    product.currency,
                    now,
                ),
            )
            for product in message.products
        )
        answer = await self.system.ref(JOURNAL).ask(Append(entry))
        if isinstance(answer, Rejected):
            raise answer.violation
        return len(entry)

    async def _list(self, message: ListProducts) -> Page[Product] | Refusal:
        limit = clamp_limit(message.limit)
        after = decode_cursor(message.cursor, tuple[str], ("",))
        if isinstance(after, Refusal):
            return after
        rows = await self._database.fetch(LIST_PRODUCTS, message.merchant_id, *after, limit + 1)
        return page(rows, limit, _product, lambda row: [row["sku"]])


def check_product(product: Product) -> Refusal | None:
    """What must hold of a product."""
    if not re.fullmatch(SKU_PATTERN, product.sku):
        return Refusal(RefusalKind.INVALID, "invalid_sku", f"SKU {product.sku[:80]!r}")
    if not 1 <= product.price_minor <= MAX_PRICE_MINOR:
        detail = f"price must be 1 to {MAX_PRICE_MINOR} minor units"
        return Refusal(RefusalKind.INVALID, "invalid_price", detail)
    if not re.fullmatch(CURRENCY_PATTERN, product.currency):
        return Refusal(RefusalKind.INVALID, "invalid_currency", "not an ISO 4217 code")
    return None


def _product(row: Row) -> Product:
    return Product(row[0], row[1], ProductKind(row[2]), row[3], row[4])


def products_children(database: Database) -> tuple[ChildSpec, ...]:
    """The domain's children."""
    return (ChildSpec("catalogue", lambda: Catalogue(database), name=CATALOGUE, mailbox=REFUSING),)
