"""The routes to what became of a campaign's messages, and the way out of them."""

from typing import Annotated, Final

import attrs
import msgspec
from msgspec import Meta

from actors.campaign.birthdays import Birthday, GetBirthday, SetBirthday, is_a_day
from actors.campaign.delivery_messages import (
    BROADCASTS,
    Delivery,
    DeliveryState,
    DeliveryStats,
    GetDeliveryStats,
    ListDeliveries,
)
from actors.campaign.messages import CampaignStats
from actors.core.messages import CUSTOMERS, Unsubscribe
from actors.vocabulary import Page
from gateway.bodies import Body, PageQuery
from gateway.problems import Problem, not_found
from gateway.routes import (
    STAFF,
    WRITERS,
    Answer,
    ApiRequest,
    Response,
    Route,
    accepted,
    answer,
)
from gateway.unsubscribe_page import ASKING, DONE

TAG: Final = "Campaigns"
DELIVERIES: Final = "/v1/campaigns/{campaign_id}/deliveries"
BIRTHDAY: Final = "/v1/customers/{customer_id}/birthday"
UNSUBSCRIBE: Final = "/v1/unsubscribe"

HTML: Final = "text/html; charset=utf-8"
FORM: Final = "application/x-www-form-urlencoded"
MULTIPART: Final = "multipart/form-data"

UNSUBSCRIBES_PER_MINUTE: Final = 600
"""From one address: mail providers do it for many people."""


@attrs.frozen(kw_only=True)
class CampaignFigures(CampaignStats):
    """`deliveries` is None for a campaign that sends nothing."""

    deliveries: DeliveryStats | None = None


class DeliveriesQuery(PageQuery, frozen=True):
    state: DeliveryState | None = None


class BirthdayBody(Body, frozen=True):
    """Without the year, which nobody needs."""

    month: Annotated[int, Meta(ge=1, le=12)]
    day: Annotated[int, Meta(ge=1, le=31)]


class BirthdayView(msgspec.Struct, frozen=True):
    birthday: Birthday | None


class TokenQuery(Body, frozen=True):
    """The token of a link in a message."""

    token: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,560}\.[0-9a-f]{32}(?!\n)$")]


async def with_deliveries(request: ApiRequest, stats: CampaignStats) -> CampaignFigures:
    """The figures of a campaign, and those of its messages."""
    question = GetDeliveryStats(request.merchant_id, stats.campaign_id)
    deliveries = await request.ask(BROADCASTS, question)
    return CampaignFigures(**attrs.asdict(stats, recurse=False), deliveries=deliveries)


async def list_(request: ApiRequest) -> Answer:
    query: DeliveriesQuery = request.query
    question = ListDeliveries(
        merchant_id=request.merchant_id,
        campaign_id=request.path["campaign_id"],
        state=query.state,
        limit=query.limit,
        cursor=query.cursor,
    )
    return answer(accepted(await request.ask(BROADCASTS, question)))


async def show_birthday(request: ApiRequest) -> Answer:
    question = GetBirthday(request.merchant_id, request.path["customer_id"])
    return answer(BirthdayView(await request.ask(BROADCASTS, question)))


async def put_birthday(request: ApiRequest) -> Answer:
    birthday = Birthday(request.body.month, request.body.day)
    if not is_a_day(birthday):
        raise Problem(422, "invalid_birthday", "there is no such day")
    return await _set_birthday(request, birthday)


async def delete_birthday(request: ApiRequest) -> Answer:
    return await _set_birthday(request, None)


async def _set_birthday(request: ApiRequest, birthday: Birthday | None) -> Answer:
    command = SetBirthday(request.merchant_id, request.path["customer_id"], birthday)
    if not await request.ask(BROADCASTS, command):
        raise not_found("there is no such customer")
    return answer(BirthdayView(birthday))


async def ask_whether(_request: ApiRequest) -> Answer:
    """Programs look at links before people do, so that looking must not unsubscribe anybody."""
    return Answer(ASKING, content_type=HTML)


async def unsubscribe(request: ApiRequest) -> Answer:
    query: TokenQuery = request.query
    if not await request.ask(CUSTOMERS, Unsubscribe(query.token)):
        raise not_found("this link belongs to nobody")
    return Answer(DONE, content_type=HTML)


ROUTES: Final = (
    Route(
        method="GET",
        path=DELIVERIES,
        handler=list_,
        summary="The messages of a campaign, one for each recipient, and what became of them",
        tag=TAG,
        roles=STAFF,
        query=DeliveriesQuery,
        responses={200: Response("One page of deliveries", Page[Delivery])},
    ),
    Route(
        method="GET",
        path=BIRTHDAY,
        handler=show_birthday,
        summary="When a customer has its birthday, if that is known",
        tag=TAG,
        roles=STAFF,
        responses={200: Response("Month and day", BirthdayView)},
    ),
    Route(
        method="PUT",
        path=BIRTHDAY,
        handler=put_birthday,
        summary="Keep a customer's birthday, without the year",
        tag=TAG,
        roles=WRITERS,
        body=BirthdayBody,
        responses={200: Response("Month and day", BirthdayView)},
    ),
    Route(
        method="DELETE",
        path=BIRTHDAY,
        handler=delete_birthday,
        summary="Forget a customer's birthday",
        tag=TAG,
        roles=WRITERS,
        responses={200: Response("It is forgotten", BirthdayView)},
    ),
    Route(
        method="GET",
        path=UNSUBSCRIBE,
        handler=ask_whether,
        summary="The page behind the link in a message, which asks whether it is meant",
        tag=TAG,
        public=True,
        query=TokenQuery,
        limit_per_minute=UNSUBSCRIBES_PER_MINUTE,
        responses={200: Response("A page with one button", content_type=HTML)},
    ),
    Route(
        method="POST",
        path=UNSUBSCRIBE,
        handler=unsubscribe,
        summary="Withdraw the consent to messages of a channel, with one click (RFC 8058)",
        tag=TAG,
        public=True,
        raw=(FORM, MULTIPART),
        query=TokenQuery,
        limit_per_minute=UNSUBSCRIBES_PER_MINUTE,
        responses={200: Response("It is done", content_type=HTML)},
        problems=(404, 504),
    ),
)
