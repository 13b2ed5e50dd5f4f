"""Products as they are cached: with the price in force, and the next one that is planned."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TypeAlias

import attrs

from actors.products.messages import Price, Product, ProductKind
from actors.products.queries import NEXT_PRICES, PRICES_IN_FORCE, SELECT_PRODUCTS, with_values
from runtime.cache import Cached, CacheHandle, Kind
from runtime.storage import Database, Row

PRODUCTS = Kind(
    "products.product", shared_ttl_s=3.0, local_ttl_s=2.0, blind_ttl_s=1.0, copies_max=10_000
)
"""A price change is visible within 5 s, should every notice of it be lost."""

SKUS_AT_ONCE = 500


@attrs.frozen
class StoredProduct:
    """A product as it was read, and the price that comes next."""

    product: Product
    upcoming: Price | None

    def at(self, now: datetime) -> Product:
        """The product with the price of that moment."""
        price = self.upcoming
        if price is None or price.effective_from > now:
            return self.product
        return attrs.evolve(self.product, price_minor=price.price_minor, currency=price.currency)


CachedProducts: TypeAlias = Cached[StoredProduct | None]


def cached_products(cache: CacheHandle) -> CachedProducts:
    """One for all actors of the domain, so that who writes a product reads it back."""
    return Cached(PRODUCTS, StoredProduct | None, cache)


async def cached_product(
    cached: CachedProducts, database: Database, merchant_id: str, sku: str, now: datetime
) -> Product | None:
    """From the nearest place that has it."""

    async def load() -> StoredProduct | None:
        return (await load_products(database, merchant_id, (sku,), now)).get(sku)

    found = await cached.get(_key(merchant_id, sku), load)
    return found.at(now) if found is not None else None


def product_at_hand(
    cached: CachedProducts, merchant_id: str, sku: str, now: datetime
) -> tuple[Product | None] | None:
    """What `cached_product` would answer from a copy in the process; None where there is none."""
    copy = cached.peek(_key(merchant_id, sku))
    if copy is None:
        return None
    found = copy[0]
    return (found.at(now) if found is not None else None,)


async def outdate_products(cached: CachedProducts, merchant_id: str, skus: Iterable[str]) -> None:
    await cached.outdate(*(_key(merchant_id, sku) for sku in skus))


def _key(merchant_id: str, sku: str) -> str:
    return f"{merchant_id}:{sku}"


async def load_products(
    database: Database, merchant_id: str, skus: Iterable[str], now: datetime
) -> dict[str, StoredProduct]:
    """Those that exist, by SKU, as the database has them."""
    wanted = sorted(set(skus))
    found: dict[str, StoredProduct] = {}
    for start in range(0, len(wanted), SKUS_AT_ONCE):
        some = wanted[start : start + SKUS_AT_ONCE]
        rows, current, upcoming = await database.fetch_many(
            [
                (with_values(SELECT_PRODUCTS, len(some), 2), (merchant_id, *some)),
                (with_values(PRICES_IN_FORCE, len(some), 3), (merchant_id, now, *some)),
                (with_values(NEXT_PRICES, len(some), 3), (merchant_id, now, *some)),
            ]
        )
        found |= _stored(rows, _prices(current), _prices(upcoming))
    return found


def _prices(rows: Sequence[Row]) -> dict[str, Price]:
    return {row[0]: Price(row[1], row[2], row[3]) for row in rows}


def _stored(
    rows: Sequence[Row], current: dict[str, Price], upcoming: dict[str, Price]
) -> dict[str, StoredProduct]:
    found = {}
    for row in rows:
        product = product_of(row)
        price = current.get(product.sku)
        if price is not None:
            product = attrs.evolve(product, price_minor=price.price_minor, currency=price.currency)
        found[product.sku] = StoredProduct(product, upcoming.get(product.sku))
    return found


def product_of(row: Row) -> Product:
    """A row of the table; its price may have been followed by another."""
    return Product(row[0], row[1], ProductKind(row[2]), row[3], row[4], row[5], row[6])
