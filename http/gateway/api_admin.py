"""The platform's routes to merchants: registering, finding, their plan, letting them in or not."""

from datetime import datetime
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from actors.auth.messages import REVOCATIONS, ListSuspended, ResumeMerchant, SuspendMerchant
from actors.core.messages import (
    MERCHANTS,
    QUERIES,
    ChangePlan,
    GetMerchant,
    GetPlanUsage,
    ListMerchants,
    Merchant,
    Plan,
    PlanUsage,
    RegisterMerchant,
)
from actors.vocabulary import Page
from gateway.auditing import audited
from gateway.bodies import Body, Currency, Id, PageQuery, Text
from gateway.problems import not_found
from gateway.putting_back import TAG
from gateway.routes import OPERATORS, Answer, ApiRequest, Response, Route, accepted, answer

PATH: Final = "/v1/admin/merchants"
ONE: Final = PATH + "/{merchant_id}"


class MerchantBody(Body, frozen=True, kw_only=True):
    merchant_id: Id
    name: Text
    currency: Currency


class MerchantQuery(PageQuery, frozen=True):
    """`text` is part of the id or of the name, in upper or lower case."""

    text: Annotated[str, Meta(max_length=100)] = ""


class ReasonBody(Body, frozen=True, kw_only=True):
    """`reason` is kept in the audit log."""

    reason: Text


class PlanBody(ReasonBody, frozen=True, kw_only=True):
    plan: Plan


class MerchantInfo(msgspec.Struct, frozen=True, kw_only=True):
    merchant_id: str
    name: str
    currency: str
    created_at: datetime
    suspended: bool


class MerchantDetails(msgspec.Struct, frozen=True, kw_only=True):
    """A merchant, with what its plan allows and what it uses of it."""

    merchant_id: str
    name: str
    currency: str
    created_at: datetime
    suspended: bool
    usage: PlanUsage


def _info(merchant: Merchant, suspended: frozenset[str]) -> MerchantInfo:
    return MerchantInfo(
        merchant_id=merchant.merchant_id,
        name=merchant.name,
        currency=merchant.currency,
        created_at=merchant.created_at,
        suspended=merchant.merchant_id in suspended,
    )


async def register(request: ApiRequest) -> Answer:
    body: MerchantBody = request.body
    event = audited(
        request,
        "merchant.register",
        body.merchant_id,
        after={"name": body.name, "currency": body.currency},
        merchant_id=body.merchant_id,
    )
    command = RegisterMerchant(body.merchant_id, body.name, body.currency, (event,))
    return answer(accepted(await request.ask(MERCHANTS, command)), 201)


async def list_(request: ApiRequest) -> Answer:
    query: MerchantQuery = request.query
    wanted = ListMerchants(query.text, query.limit, query.cursor)
    found: Page[Merchant] = accepted(await request.ask(QUERIES, wanted))
    suspended = await request.ask(REVOCATIONS, ListSuspended())
    return answer(Page(tuple(_info(each, suspended) for each in found.items), found.next_cursor))


async def _merchant(request: ApiRequest) -> Merchant:
    merchant = await request.ask(MERCHANTS, GetMerchant(request.path["merchant_id"]))
    if merchant is None:
        raise not_found("there is no such merchant")
    return merchant


async def _details(request: ApiRequest, merchant: Merchant) -> MerchantDetails:
    info = _info(merchant, await request.ask(REVOCATIONS, ListSuspended()))
    usage = await request.ask(QUERIES, GetPlanUsage(merchant.merchant_id))
    fields = {name: getattr(info, name) for name in info.__struct_fields__}
    return MerchantDetails(usage=usage, **fields)


async def show(request: ApiRequest) -> Answer:
    return answer(await _details(request, await _merchant(request)))


async def change_plan(request: ApiRequest) -> Answer:
    body: PlanBody = request.body
    merchant = await _merchant(request)
    usage = await request.ask(QUERIES, GetPlanUsage(merchant.merchant_id))
    event = audited(
        request,
        "merchant.plan",
        merchant.merchant_id,
        before={"plan": usage.plan.value},
        after={"plan": body.plan.value},
        reason=body.reason,
        merchant_id=merchant.merchant_id,
    )
    accepted(await request.ask(MERCHANTS, ChangePlan(merchant.merchant_id, body.plan, (event,))))
    return answer(await _details(request, merchant))


async def suspend(request: ApiRequest) -> Answer:
    return await _switch(request, suspending=True)


async def resume(request: ApiRequest) -> Answer:
    return await _switch(request, suspending=False)


async def _switch(request: ApiRequest, *, suspending: bool) -> Answer:
    body: ReasonBody = request.body
    merchant = await _merchant(request)
    merchant_id = merchant.merchant_id
    was = merchant_id in await request.ask(REVOCATIONS, ListSuspended())
    event = audited(
        request,
        "merchant.suspend" if suspending else "merchant.resume",
        merchant_id,
        before={"suspended": was},
        after={"suspended": suspending},
        reason=body.reason,
        merchant_id=merchant_id,
    )
    if suspending:
        command = SuspendMerchant(merchant_id, body.reason, (event,))
        accepted(await request.ask(REVOCATIONS, command))
    else:
        accepted(await request.ask(REVOCATIONS, ResumeMerchant(merchant_id, (event,))))
    return answer(await _details(request, merchant))


ROUTES: Final = (
    Route(
        method="POST",
        path=PATH,
        handler=register,
        summary="Register a merchant; the same registration again changes nothing",
        tag=TAG,
        roles=OPERATORS,
        body=MerchantBody,
        responses={201: Response("The merchant", Merchant)},
        problems=(409, 422),
    ),
    Route(
        method="GET",
        path=PATH,
        handler=list_,
        summary="Merchants, in the order of their ids; all, or those that a text is found in",
        tag=TAG,
        roles=OPERATORS,
        query=MerchantQuery,
        responses={200: Response("One page of merchants", Page[MerchantInfo])},
    ),
    Route(
        method="GET",
        path=ONE,
        handler=show,
        summary="One merchant, with its plan and what it uses of it",
        tag=TAG,
        roles=OPERATORS,
        responses={200: Response("The merchant", MerchantDetails)},
    ),
    Route(
        method="PUT",
        path=f"{ONE}/plan",
        handler=change_plan,
        summary="Give a merchant another plan; what it has already stays",
        tag=TAG,
        roles=OPERATORS,
        body=PlanBody,
        responses={200: Response("The merchant as it is now", MerchantDetails)},
        problems=(409,),
    ),
    Route(
        method="POST",
        path=f"{ONE}/suspend",
        handler=suspend,
        summary="Let nobody of a merchant in, from within seconds on",
        tag=TAG,
        roles=OPERATORS,
        body=ReasonBody,
        responses={200: Response("The merchant as it is now", MerchantDetails)},
    ),
    Route(
        method="POST",
        path=f"{ONE}/resume",
        handler=resume,
        summary="Let those of a suspended merchant in again",
        tag=TAG,
        roles=OPERATORS,
        body=ReasonBody,
        responses={200: Response("The merchant as it is now", MerchantDetails)},
    ),
)
