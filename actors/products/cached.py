"""Products as they are cached."""

from collections.abc import Awaitable, Callable, Iterable
from typing import TypeAlias

from actors.products.messages import Product
from runtime.cache import Cached, CacheHandle, Kind

PRODUCTS = Kind(
    "products.product", shared_ttl_s=3.0, local_ttl_s=2.0, blind_ttl_s=1.0, copies_max=10_000
)
"""A price change is visible within 5 s, should every notice of it be lost."""

CachedProducts: TypeAlias = Cached[Product | None]


def cached_products(cache: CacheHandle) -> CachedProducts:
    """One for all actors of the domain, so that who writes a product reads it back."""
    return Cached(PRODUCTS, Product | None, cache)


async def cached_product(
    cached: CachedProducts,
    merchant_id: str,
    sku: str,
    loader: Callable[[], Awaitable[Product | None]],
) -> Product | None:
    return await cached.get(_key(merchant_id, sku), loader)


async def outdate_products(cached: CachedProducts, merchant_id: str, skus: Iterable[str]) -> None:
    await cached.outdate(*(_key(merchant_id, sku) for sku in skus))


def _key(merchant_id: str, sku: str) -> str:
    return f"{merchant_id}:{sku}"
