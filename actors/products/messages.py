"""What other parts of LoyalNest may say to the products domain, and what it answers."""

from enum import Enum

import attrs

from actors.vocabulary import Page, Refusal
from runtime.message import Call

CATALOGUE = "products.catalogue"
"""Name of the actor that writes the catalogue."""

QUERIES = "products.queries"
"""Name of the actor that reads it, several questions at a time."""

MAX_PRICE_MINOR = 10**9


class ProductKind(Enum):
    PACKAGE = "package"
    SUBSCRIPTION = "subscription"


@attrs.frozen
class Product:
    """`price_minor` in minor units of `currency`, 1 to `MAX_PRICE_MINOR`."""

    sku: str
    name: str
    kind: ProductKind
    price_minor: int
    currency: str


@attrs.frozen
class PutProducts(Call[int | Refusal]):
    """Create or replace products by SKU; answers how many were written. All or none."""

    merchant_id: str
    products: tuple[Product, ...]


@attrs.frozen
class GetProduct(Call[Product | None]):
    """Asked of `QUERIES`. A change made by another process may be seen up to 5 s late."""

    merchant_id: str
    sku: str


@attrs.frozen
class ListProducts(Call[Page[Product] | Refusal]):
    """Asked of `QUERIES`; in the order of their SKUs."""

    merchant_id: str
    limit: int = 50
    cursor: str | None = None
