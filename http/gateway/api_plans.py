"""The routes of prices over time and of subscription plans."""

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from actors.products.messages import (
    CATALOGUE,
    MAX_PRICE_MINOR,
    QUERIES,
    GetProducts,
    GetSubscriptionPlan,
    Interval,
    ListPlans,
    ListPrices,
    Price,
    PutPlans,
    SetPrice,
    SubscriptionPlan,
    Written,
)
from actors.vocabulary import Page
from gateway.bodies import SKU_PATTERN, Body, Currency, Id, Instant, PageQuery, Text, utc
from gateway.problems import Problem, not_found, unavailable
from gateway.routes import STAFF, WRITERS, Answer, ApiRequest, Response, Route, accepted, answer

TAG: Final = "Products"
MAX_PLANS: Final = 200
MAX_QUOTED: Final = 100
QUOTED_AGE_MAX_S: Final = 300.0
"""Nothing is sold at a price that may have changed five minutes ago."""

Sku = Annotated[str, Meta(pattern=SKU_PATTERN)]
Days = Annotated[int, Meta(ge=0, le=365)]
Version = Annotated[int, Meta(ge=0, le=2**53)]


class PriceBody(Body, frozen=True, kw_only=True):
    """Without `effective_from`, from now on."""

    price_minor: Annotated[int, Meta(ge=1, le=MAX_PRICE_MINOR)]
    currency: Currency
    effective_from: Instant | None = None


class QuoteBody(Body, frozen=True):
    skus: Annotated[tuple[Sku, ...], Meta(min_length=1, max_length=MAX_QUOTED)]


class QuotedPrice(msgspec.Struct, frozen=True):
    sku: str
    price_minor: int
    currency: str


class Quote(msgspec.Struct, frozen=True):
    """Prices to sell at now. `unknown` SKUs have none."""

    prices: tuple[QuotedPrice, ...]
    unknown: tuple[str, ...]
    age_s: int


class PlanBody(Body, frozen=True, kw_only=True):
    """`pause_days_max` 0: it cannot be paused."""

    plan_id: Id
    sku: Sku
    name: Text
    interval: Interval
    interval_count: Annotated[int, Meta(ge=1, le=365)] = 1
    trial_days: Days = 0
    pause_days_max: Days = 0
    source_version: Version = 0

    def plan(self) -> SubscriptionPlan:
        return SubscriptionPlan(
            plan_id=self.plan_id,
            sku=self.sku,
            name=self.name,
            interval=self.interval,
            interval_count=self.interval_count,
            trial_days=self.trial_days,
            pause_days_max=self.pause_days_max,
            source_version=self.source_version,
        )


class PlansBody(Body, frozen=True):
    """An id stands in it once."""

    plans: Annotated[tuple[PlanBody, ...], Meta(min_length=1, max_length=MAX_PLANS)]


async def set_price(request: ApiRequest) -> Answer:
    body: PriceBody = request.body
    now = request.system.clock.now()
    begins = utc(body.effective_from, "effective_from") if body.effective_from else now
    price = Price(begins, body.price_minor, body.currency)
    command = SetPrice(request.merchant_id, request.path["sku"], price)
    return answer(accepted(await request.ask(CATALOGUE, command)))


async def list_prices(request: ApiRequest) -> Answer:
    query: PageQuery = request.query
    sku = request.path["sku"]
    question = ListPrices(request.merchant_id, sku, query.limit, query.cursor)
    return answer(accepted(await request.ask(QUERIES, question)))


async def quote(request: ApiRequest) -> Answer:
    skus = tuple(sorted(set(request.body.skus)))
    found = await request.recall(QUERIES, GetProducts(request.merchant_id, skus))
    if found.age_s > QUOTED_AGE_MAX_S:
        detail = "the prices cannot be read now, and those that are known are too old to sell at"
        raise unavailable("price_too_old", detail)
    prices = tuple(QuotedPrice(p.sku, p.price_minor, p.currency) for p in found.value)
    unknown = tuple(sorted(set(skus) - {price.sku for price in prices}))
    return answer(Quote(prices, unknown, round(found.age_s)))


async def put_plans(request: ApiRequest) -> Answer:
    body: PlansBody = request.body
    if len({plan.plan_id for plan in body.plans}) < len(body.plans):
        raise Problem(422, "duplicate_plan", "a plan stands in the list more than once")
    command = PutPlans(request.merchant_id, tuple(plan.plan() for plan in body.plans))
    return answer(accepted(await request.ask(CATALOGUE, command, bulk=True)))


async def show_plan(request: ApiRequest) -> Answer:
    question = GetSubscriptionPlan(request.merchant_id, request.path["plan_id"])
    found = await request.ask(QUERIES, question)
    if found is None:
        raise not_found("there is no such plan")
    return answer(found)


async def list_plans(request: ApiRequest) -> Answer:
    query: PageQuery = request.query
    question = ListPlans(request.merchant_id, query.limit, query.cursor)
    return answer(accepted(await request.ask(QUERIES, question)))


ROUTES: Final = (
    Route(
        method="POST",
        path="/v1/products/quote",
        handler=quote,
        summary="Prices to sell at now; none that may be older than five minutes",
        tag=TAG,
        roles=STAFF,
        body=QuoteBody,
        responses={200: Response("The prices", Quote)},
    ),
    Route(
        method="PUT",
        path="/v1/products/{sku}/price",
        handler=set_price,
        summary="A price from now on, or from a later time",
        tag=TAG,
        roles=WRITERS,
        body=PriceBody,
        responses={200: Response("The price", Price)},
    ),
    Route(
        method="GET",
        path="/v1/products/{sku}/prices",
        handler=list_prices,
        summary="Past, present and planned prices, the latest first",
        tag=TAG,
        roles=STAFF,
        query=PageQuery,
        responses={200: Response("One page of prices", Page[Price])},
    ),
    Route(
        method="PUT",
        path="/v1/plans",
        handler=put_plans,
        summary=f"Create or replace up to {MAX_PLANS} subscription plans by id",
        tag=TAG,
        roles=WRITERS,
        body=PlansBody,
        responses={200: Response("How many were written", Written)},
        problems=(404, 409),
    ),
    Route(
        method="GET",
        path="/v1/plans",
        handler=list_plans,
        summary="Subscription plans, by id",
        tag=TAG,
        roles=STAFF,
        query=PageQuery,
        responses={200: Response("One page of plans", Page[SubscriptionPlan])},
    ),
    Route(
        method="GET",
        path="/v1/plans/{plan_id}",
        handler=show_plan,
        summary="One subscription plan",
        tag=TAG,
        roles=STAFF,
        responses={200: Response("The plan", SubscriptionPlan)},
    ),
)
