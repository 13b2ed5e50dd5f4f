"""What other parts of LoyalNest may say to the products domain, and what it answers."""

from datetime import datetime
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
    """`price_minor` in minor units of `currency`, 1 to `MAX_PRICE_MINOR`, as it is in force now.

    `source_version` counts changes where the product comes from; 0 where nobody counts. What does
    not earn points is left out when the points of an order are computed.
    """

    sku: str
    name: str
    kind: ProductKind
    price_minor: int
    currency: str
    earns_points: bool = True
    source_version: int = 0


@attrs.frozen
class Written:
    """How many were written, how many were like that already, and those of which a later version
    was there."""

    written: int
    unchanged: int = 0
    stale: tuple[str, ...] = ()


@attrs.frozen
class PutProducts(Call[Written | Refusal]):
    """Create or replace products by SKU. All or none, but for those of which a later version is
    there, or the same version with another content: they stay. A new price is in force at once."""

    merchant_id: str
    products: tuple[Product, ...]


@attrs.frozen
class GetProduct(Call[Product | None]):
    """Asked of `QUERIES`. A change made by another process may be seen up to 5 s late."""

    merchant_id: str
    sku: str


@attrs.frozen
class GetProducts(Call[tuple[Product, ...]]):
    """As `GetProduct`, for several SKUs; those that are unknown are left out."""

    merchant_id: str
    skus: tuple[str, ...]


@attrs.frozen
class ListProducts(Call[Page[Product] | Refusal]):
    """Asked of `QUERIES`; in the order of their SKUs. `search`: only those whose name, or the
    beginning of whose SKU, it is a part of, without regard to case."""

    merchant_id: str
    limit: int = 50
    cursor: str | None = None
    search: str | None = None
    kind: ProductKind | None = None


@attrs.frozen
class GetExclusions(Call[frozenset[str]]):
    """Asked of `QUERIES`: which of these SKUs earn no points. Unknown ones do."""

    merchant_id: str
    skus: tuple[str, ...]


@attrs.frozen
class Price:
    """In force from `effective_from` until the next one of the same SKU."""

    effective_from: datetime
    price_minor: int
    currency: str


@attrs.frozen
class SetPrice(Call[Price | Refusal]):
    """To `CATALOGUE`: a price from now on, or from a later time. One that is planned for the same
    time is replaced."""

    merchant_id: str
    sku: str
    price: Price


@attrs.frozen
class ListPrices(Call[Page[Price] | Refusal]):
    """Asked of `QUERIES`: past, present and planned ones of a SKU, the latest first."""

    merchant_id: str
    sku: str
    limit: int = 50
    cursor: str | None = None


class Interval(Enum):
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"


@attrs.frozen(kw_only=True)
class SubscriptionPlan:
    """How a product of the kind `SUBSCRIPTION` is sold: every `interval_count` intervals, after
    `trial_days` for nothing, and paused for at most `pause_days_max` (0: never)."""

    plan_id: str
    sku: str
    name: str
    interval: Interval
    interval_count: int = 1
    trial_days: int = 0
    pause_days_max: int = 0
    source_version: int = 0


@attrs.frozen
class PutPlans(Call[Written | Refusal]):
    """To `CATALOGUE`: create or replace plans by id; as `PutProducts`."""

    merchant_id: str
    plans: tuple[SubscriptionPlan, ...]


@attrs.frozen
class GetSubscriptionPlan(Call[SubscriptionPlan | None]):
    """Asked of `QUERIES`."""

    merchant_id: str
    plan_id: str


@attrs.frozen
class ListPlans(Call[Page[SubscriptionPlan] | Refusal]):
    """Asked of `QUERIES`; in the order of their ids."""

    merchant_id: str
    limit: int = 50
    cursor: str | None = None
