"""The routes to a merchant's tiers, and to those of its members."""

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from actors.points.tier_messages import (
    TIERS,
    TIERS_MAX,
    CalendarUnit,
    Downgrade,
    GetStanding,
    GetTiers,
    ListTierChanges,
    Metric,
    PutTiers,
    Standing,
    Tier,
    TierChange,
    TierProgram,
    TierTerms,
    Window,
)
from actors.points.tier_model import MAX_ROLLING_DAYS
from actors.vocabulary import MAX_AMOUNT, Page
from gateway.api_ledger import visible_customer
from gateway.bodies import Body, Currency, Id, PageQuery, Text
from gateway.routes import (
    MEMBERS,
    OWNERS,
    Answer,
    ApiRequest,
    Response,
    Route,
    accepted,
    answer,
)

TAG: Final = "Tiers"
PATH: Final = "/v1/tiers"
STANDING: Final = "/v1/customers/{customer_id}/tier"


class TierBody(Body, frozen=True, kw_only=True):
    """`threshold` in minor units of the currency, or in points."""

    tier_id: Id
    name: Text
    threshold: Annotated[int, Meta(ge=0, le=MAX_AMOUNT)]


class WindowBody(Body, frozen=True, kw_only=True):
    """Either the last `rolling_days`, or the `calendar` unit (UTC) that is under way."""

    rolling_days: Annotated[int, Meta(ge=1, le=MAX_ROLLING_DAYS)] | None = None
    calendar: CalendarUnit | None = None


class TiersBody(Body, frozen=True, kw_only=True):
    """All tiers, the lowest first. `currency` goes with `spend`, and only with it."""

    metric: Metric
    window: WindowBody
    downgrade: Downgrade
    tiers: Annotated[tuple[TierBody, ...], Meta(min_length=1, max_length=TIERS_MAX)]
    currency: Currency | None = None

    def terms(self) -> TierTerms:
        return TierTerms(
            metric=self.metric,
            window=Window(rolling_days=self.window.rolling_days, calendar=self.window.calendar),
            downgrade=self.downgrade,
            tiers=tuple(Tier(**msgspec.structs.asdict(tier)) for tier in self.tiers),
            currency=self.currency,
        )


async def get_tiers(request: ApiRequest) -> Answer:
    return answer(await request.ask(TIERS, GetTiers(request.merchant_id)))


async def put_tiers(request: ApiRequest) -> Answer:
    command = PutTiers(request.merchant_id, request.body.terms())
    return answer(accepted(await request.ask(TIERS, command)))


async def standing(request: ApiRequest) -> Answer:
    question = GetStanding(request.merchant_id, visible_customer(request))
    return answer(accepted(await request.ask(TIERS, question)))


async def changes(request: ApiRequest) -> Answer:
    query: PageQuery = request.query
    customer_id = visible_customer(request)
    question = ListTierChanges(request.merchant_id, customer_id, query.limit, query.cursor)
    return answer(accepted(await request.ask(TIERS, question)))


ROUTES: Final = (
    Route(
        method="GET",
        path=PATH,
        handler=get_tiers,
        summary="The tiers that members can reach, and how",
        tag=TAG,
        roles=MEMBERS,
        responses={200: Response("The program in force; version 0 has no tiers", TierProgram)},
    ),
    Route(
        method="PUT",
        path=PATH,
        handler=put_tiers,
        summary="Set the tiers, how members qualify for them, and when they lose them",
        tag=TAG,
        roles=OWNERS,
        body=TiersBody,
        responses={200: Response("The program in force", TierProgram)},
        problems=(404, 409),
    ),
    Route(
        method="GET",
        path=STANDING,
        handler=standing,
        summary="A member's tier, and what is missing until the next one",
        tag=TAG,
        roles=MEMBERS,
        responses={200: Response("The tier now", Standing)},
    ),
    Route(
        method="GET",
        path=f"{STANDING}/changes",
        handler=changes,
        summary="How a member's tier changed, the latest first",
        tag=TAG,
        roles=MEMBERS,
        query=PageQuery,
        responses={200: Response("One page of changes", Page[TierChange])},
    ),
)
