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
)
from actors.vocabulary import Page
from gateway.bodies import SKU_PATTERN, Body, Currency, PageQuery, Text
from gateway.problems import Problem, not_found
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

    def product(self) -> Product:
        return Product(self.sku, self.name, self.kind, self.price_minor, self.currency)


class ProductsBody(Body, frozen=True):
    """All of the products are written, or none. A SKU stands in it once."""

    products: Annotated[tuple[ProductBody, ...], Meta(min_length=1, max_length=MAX_PRODUCTS)]


class Written(msgspec.Struct, frozen=True):
    written: int


async def put(request: ApiRequest) -> Answer:
    body: ProductsBody = request.body
    if len({product.sku for product in body.products}) < len(body.products):
        raise Problem(422, "duplicate_sku", "a SKU stands in the list more than once")
    products = tuple(product.product() for product in body.products)
    command = PutProducts(request.merchant_id, products)
    return answer(Written(accepted(await request.ask(CATALOGUE, command, bulk=True))))


async def show(request: ApiRequest) -> Answer:
    question = GetProduct(request.merchant_id, request.path["sku"])
    product = await request.ask(QUERIES, question)
    if product is None:
        raise not_found("there is no such product")
    return answer(product)


async def list_(request: ApiRequest) -> Answer:
    query: PageQuery = request.query
    question = ListProducts(request.merchant_id, query.limit, query.cursor)
    return answer(accepted(await request.ask(QUERIES, question)))


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
            summary="All products, by SKU",
            tag=TAG,
            roles=STAFF,
            query=PageQuery,
            responses={200: Response("One page of products", Page[Product])},
        ),
        Route(
            method="GET",
            path="/v1/products/{sku}",
            handler=show,
            summary="One product",
            tag=TAG,
            roles=STAFF,
            responses={200: Response("The product", Product)},
        ),
    )
