"""The product routes."""

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from actors.products.messages import (
    CATALOGUE,
    MAX_PRICE_MINOR,
    QUERIES,
    GetProduct,
    ListProducts,
    Product,
    ProductKind,
    PutProducts,
    Written,
)
from gateway.bodies import SKU_PATTERN, Body, Currency, Cursor, Limit, Text
from gateway.problems import Problem, not_found, unavailable
from gateway.routes import STAFF, WRITERS, Answer, ApiRequest, Response, Route, accepted, answer
from gateway.settings import GatewaySettings

TAG: Final = "Products"
MAX_PRODUCTS: Final = 500

Sku = Annotated[str, Meta(pattern=SKU_PATTERN)]


class ProductBody(Body, frozen=True, kw_only=True):
    sku: Sku
    name: Text
    kind: ProductKind
    price_minor: Annotated[int, Meta(ge=1, le=MAX_PRICE_MINOR)]
    currency: Currency
    earns_points: bool = True
    source_version: Annotated[int, Meta(ge=0, le=2**53)] = 0

    def product(self) -> Product:
        return Product(
            self.sku,
            self.name,
            self.kind,
            self.price_minor,
            self.currency,
            self.earns_points,
            self.source_version,
        )


class ProductsBody(Body, frozen=True):
    """All of the products are written, or none, but for those of which a later version is there. A
    SKU stands in it once. Products whose lines earn no points say so in `earns_points`."""

    products: Annotated[tuple[ProductBody, ...], Meta(min_length=1, max_length=MAX_PRODUCTS)]


class ProductsQuery(Body, frozen=True):
    """`search` is a part of the name, or the beginning of the SKU."""

    search: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    kind: ProductKind | None = None
    limit: Limit = 50
    cursor: Cursor | None = None


async def put(request: ApiRequest) -> Answer:
    body: ProductsBody = request.body
    if len({product.sku for product in body.products}) < len(body.products):
        raise Problem(422, "duplicate_sku", "a SKU stands in the list more than once")
    products = tuple(product.product() for product in body.products)
    command = PutProducts(request.merchant_id, products)
    return answer(accepted(await request.ask(CATALOGUE, command, bulk=True)))


class ProductView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`degraded`: it could not be read now, and this is how it was `age_s` seconds ago."""

    sku: str
    name: str
    kind: ProductKind
    price_minor: int
    currency: str
    earns_points: bool = True
    source_version: int = 0
    degraded: bool = False
    age_s: int = 0


class ProductPage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`degraded`: it could not be read now, and this is how it was `age_s` seconds ago."""

    items: tuple[Product, ...]
    next_cursor: str | None
    degraded: bool = False
    age_s: int = 0


async def show(request: ApiRequest) -> Answer:
    question = GetProduct(request.merchant_id, request.path["sku"])
    found = await request.recall(QUERIES, question)
    product = found.value
    if product is None:
        raise _missing(degraded=found.degraded)
    view = ProductView(
        sku=product.sku,
        name=product.name,
        kind=product.kind,
        price_minor=product.price_minor,
        currency=product.currency,
        earns_points=product.earns_points,
        source_version=product.source_version,
        degraded=found.degraded,
        age_s=round(found.age_s),
    )
    return answer(view)


def _missing(*, degraded: bool) -> Problem:
    """That there was no such product some time ago says little."""
    if degraded:
        return unavailable("unavailable", "the catalogue cannot be read now")
    return not_found("there is no such product")


async def list_(request: ApiRequest) -> Answer:
    query: ProductsQuery = request.query
    question = ListProducts(
        request.merchant_id, query.limit, query.cursor, query.search, query.kind
    )
    found = await request.recall(QUERIES, question)
    products = accepted(found.value)
    view = ProductPage(
        items=products.items,
        next_cursor=products.next_cursor,
        degraded=found.degraded,
        age_s=round(found.age_s),
    )
    return answer(view)


def product_routes(settings: GatewaySettings) -> tuple[Route, ...]:
    """All routes of this area."""
    return (
        Route(
            method="PUT",
            path="/v1/products",
            handler=put,
            summary=f"Create or replace up to {MAX_PRODUCTS} products by SKU",
            tag=TAG,
            roles=WRITERS,
            body=ProductsBody,
            body_max_bytes=settings.batch_body_max_bytes,
            responses={200: Response("How many were written", Written)},
            problems=(404, 409),
        ),
        Route(
            method="GET",
            path="/v1/products",
            handler=list_,
            summary="Products, by SKU",
            tag=TAG,
            roles=STAFF,
            query=ProductsQuery,
            responses={200: Response("One page of products", ProductPage)},
        ),
        Route(
            method="GET",
            path="/v1/products/{sku}",
            handler=show,
            summary="One product",
            tag=TAG,
            roles=STAFF,
            responses={200: Response("The product", ProductView)},
        ),
    )
