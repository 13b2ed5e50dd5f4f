"""The actor that writes each merchant's products."""

import re
from typing import Any, ClassVar

from actors.core.messages import MERCHANTS, GetMerchant
from actors.products.cached import CachedProducts, outdate_products
from actors.products.messages import MAX_PRICE_MINOR, Product, PutProducts
from actors.vocabulary import CURRENCY_PATTERN, SKU_PATTERN, Refusal, RefusalKind
from runtime import Actor, ActorError
from runtime.journal import JOURNAL, Append, Rejected
from runtime.storage import Statement, StorageError, Write

UPSERT_PRODUCT = Statement(
    "products.upsert",
    "INSERT INTO products (merchant_id, sku, name, kind, price_minor, currency, updated_at)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (merchant_id, sku) DO UPDATE SET"
    " name = excluded.name, kind = excluded.kind, price_minor = excluded.price_minor,"
    " currency = excluded.currency, updated_at = excluded.updated_at",
    20,
)


class Catalogue(Actor):
    """Writes products, and has the cached ones forgotten."""

    passes_on: ClassVar[tuple[type[Exception], ...]] = (StorageError, ActorError)

    def __init__(self, cached: CachedProducts) -> None:
        self._cached = cached

    async def receive(self, message: Any) -> object:
        match message:
            case PutProducts():
                return await self._put(message)
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
        skus = [product.sku for product in message.products]
        await outdate_products(self._cached, message.merchant_id, skus)
        return len(entry)


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
