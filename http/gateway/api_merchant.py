"""The merchant routes: the caller's own merchant, its settings, and its plan."""

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from actors.core.messages import (
    MERCHANTS,
    QUERIES,
    ChangeSettings,
    GetMerchant,
    GetPlanUsage,
    GetSettings,
    ListSettings,
    Merchant,
    MerchantSettings,
    PlanUsage,
    RenameMerchant,
    SettingsVersion,
)
from actors.vocabulary import Page
from gateway.auditing import audited
from gateway.bodies import Body, PageQuery, Text
from gateway.problems import not_found
from gateway.routes import OWNERS, STAFF, Answer, ApiRequest, Response, Route, accepted, answer

TAG: Final = "Merchant"

TimeZone = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_+\-/]{1,64}$", description="IANA name")]
Locale = Annotated[str, Meta(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$")]
Address = Annotated[str, Meta(min_length=3, max_length=254, pattern=r"^[!-~]+@[!-~]+$")]
Website = Annotated[str, Meta(max_length=200, pattern=r"^https?://[!-~]+$")]


class MerchantView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`degraded`: it could not be read now, and this is how it was `age_s` seconds ago."""

    merchant_id: str
    name: str
    currency: str
    created_at: str
    degraded: bool = False
    age_s: int = 0


class ProfileBody(Body, frozen=True):
    name: Text


class SettingsBody(Body, frozen=True, kw_only=True):
    """`based_on` is the version that was read before: a change of somebody else in between is a
    conflict. What is left out goes back to its default."""

    based_on: Annotated[int, Meta(ge=0)]
    time_zone: TimeZone = "UTC"
    locale: Locale = "en"
    support_email: Address | None = None
    website: Website | None = None

    def settings(self) -> MerchantSettings:
        return MerchantSettings(
            time_zone=self.time_zone,
            locale=self.locale,
            support_email=self.support_email,
            website=self.website,
        )


def view_of(merchant: Merchant, *, degraded: bool = False, age_s: float = 0.0) -> MerchantView:
    return MerchantView(
        merchant_id=merchant.merchant_id,
        name=merchant.name,
        currency=merchant.currency,
        created_at=merchant.created_at.isoformat().replace("+00:00", "Z"),
        degraded=degraded,
        age_s=round(age_s),
    )


async def show(request: ApiRequest) -> Answer:
    found = await request.recall(MERCHANTS, GetMerchant(request.merchant_id))
    if found.value is None:
        raise not_found("the merchant is not registered")
    return answer(view_of(found.value, degraded=found.degraded, age_s=found.age_s))


async def rename(request: ApiRequest) -> Answer:
    name = request.body.name
    event = audited(
        request,
        "merchant.rename",
        request.merchant_id,
        after={"name": name},
        merchant_id=request.merchant_id,
    )
    command = RenameMerchant(request.merchant_id, name, (event,))
    return answer(view_of(accepted(await request.ask(MERCHANTS, command))))


async def settings(request: ApiRequest) -> Answer:
    return answer(await request.ask(MERCHANTS, GetSettings(request.merchant_id)))


async def change_settings(request: ApiRequest) -> Answer:
    body: SettingsBody = request.body
    wanted = body.settings()
    event = audited(
        request,
        "merchant.change_settings",
        request.merchant_id,
        after={"based_on": body.based_on, "time_zone": wanted.time_zone, "locale": wanted.locale},
        merchant_id=request.merchant_id,
    )
    command = ChangeSettings(
        request.merchant_id, wanted, body.based_on, request.caller.subject, (event,)
    )
    return answer(accepted(await request.ask(MERCHANTS, command)))


async def settings_history(request: ApiRequest) -> Answer:
    query: PageQuery = request.query
    question = ListSettings(request.merchant_id, query.limit, query.cursor)
    return answer(accepted(await request.ask(QUERIES, question)))


async def plan(request: ApiRequest) -> Answer:
    question = GetPlanUsage(request.merchant_id)
    return answer(await request.ask(QUERIES, question, bulk=True))


ROUTES: Final = (
    Route(
        method="GET",
        path="/v1/merchant",
        handler=show,
        summary="The merchant of the access token",
        tag=TAG,
        roles=STAFF,
        responses={200: Response("The merchant", MerchantView)},
        problems=(404,),
    ),
    Route(
        method="PATCH",
        path="/v1/merchant",
        handler=rename,
        summary="Change the name of the merchant",
        tag=TAG,
        roles=OWNERS,
        body=ProfileBody,
        responses={200: Response("The merchant", MerchantView)},
        problems=(404,),
    ),
    Route(
        method="GET",
        path="/v1/merchant/settings",
        handler=settings,
        summary="The settings in force, and their version",
        tag=TAG,
        roles=STAFF,
        responses={200: Response("The settings", SettingsVersion)},
    ),
    Route(
        method="PUT",
        path="/v1/merchant/settings",
        handler=change_settings,
        summary="Change the settings: a new version",
        tag=TAG,
        roles=OWNERS,
        body=SettingsBody,
        responses={200: Response("The settings", SettingsVersion)},
        problems=(404, 409),
    ),
    Route(
        method="GET",
        path="/v1/merchant/settings/history",
        handler=settings_history,
        summary="All versions of the settings, newest first",
        tag=TAG,
        roles=STAFF,
        query=PageQuery,
        responses={200: Response("One page of versions", Page[SettingsVersion])},
    ),
    Route(
        method="GET",
        path="/v1/merchant/plan",
        handler=plan,
        summary="The plan, and how much of it is used",
        tag=TAG,
        roles=STAFF,
        responses={200: Response("The plan", PlanUsage)},
    ),
)
