"""The platform's routes to what customers ask for about their data."""

from typing import Final

from actors.admin_core.messages import (
    PRIVACY,
    QUERIES,
    CompletePrivacy,
    GetPrivacyRequest,
    ListPrivacyRequests,
    PrivacyKind,
    PrivacyRequest,
    RequestPrivacy,
)
from actors.vocabulary import Page
from gateway.auditing import audited
from gateway.bodies import Body, Id, Instant, PageQuery, Text, utc_or_none
from gateway.customer_file import CustomerFile, file_of
from gateway.problems import Problem, not_found
from gateway.routes import OPERATORS, Answer, ApiRequest, Response, Route, accepted, answer

TAG: Final = "Privacy"
PATH: Final = "/v1/admin/privacy-requests"
ONE: Final = PATH + "/{request_id}"

EXPORT_DEADLINE_S: Final = 60.0


class PrivacyBody(Body, frozen=True, kw_only=True):
    """`received_at` is when the customer asked, from which the due date follows; now, without it.
    `reason` is kept with the request and in the audit log."""

    merchant_id: Id
    customer_id: Id
    kind: PrivacyKind
    reason: Text
    received_at: Instant | None = None


class CompleteBody(Body, frozen=True, kw_only=True):
    """`outcome`: how the customer got it."""

    outcome: Text


class PrivacyQuery(PageQuery, frozen=True):
    """`unfinished`: only what is still to be done."""

    merchant_id: Id | None = None
    unfinished: bool = False


async def create(request: ApiRequest) -> Answer:
    body: PrivacyBody = request.body
    request_id = request.system.ids.new("prv")
    event = audited(
        request,
        "privacy.request",
        body.customer_id,
        after={"request_id": request_id, "kind": body.kind.value},
        reason=body.reason,
        merchant_id=body.merchant_id,
    )
    command = RequestPrivacy(
        merchant_id=body.merchant_id,
        request_id=request_id,
        customer_id=body.customer_id,
        kind=body.kind,
        reason=body.reason,
        requested_by=request.caller.subject,
        received_at=utc_or_none(body.received_at, "received_at"),
        publishes=(event,),
    )
    return answer(accepted(await request.ask(PRIVACY, command)), 201)


async def list_(request: ApiRequest) -> Answer:
    query: PrivacyQuery = request.query
    wanted = ListPrivacyRequests(
        merchant_id=query.merchant_id,
        unfinished=query.unfinished,
        limit=query.limit,
        cursor=query.cursor,
    )
    return answer(accepted(await request.ask(QUERIES, wanted)))


async def _found(request: ApiRequest) -> PrivacyRequest:
    found = await request.ask(QUERIES, GetPrivacyRequest(request.path["request_id"]))
    if found is None:
        raise not_found("there is no such request")
    return found


async def show(request: ApiRequest) -> Answer:
    return answer(await _found(request))


async def export(request: ApiRequest) -> Answer:
    """Made when it is asked for, so that no copy of it lies anywhere."""
    found = await _found(request)
    if found.kind is not PrivacyKind.EXPORT:
        raise Problem(409, "not_an_export", "what was asked for is no export")
    return answer(await file_of(request, found.request_id, found.merchant_id, found.customer_id))


async def complete(request: ApiRequest) -> Answer:
    body: CompleteBody = request.body
    found = await _found(request)
    event = audited(
        request,
        "privacy.complete",
        found.customer_id,
        after={"request_id": found.request_id},
        reason=body.outcome,
        merchant_id=found.merchant_id,
    )
    command = CompletePrivacy(found.request_id, body.outcome, (event,))
    return answer(accepted(await request.ask(PRIVACY, command)))


ROUTES: Final = (
    Route(
        method="POST",
        path=PATH,
        handler=create,
        summary="Note that a customer wants its data, or wants it gone; an erasure begins at once",
        tag=TAG,
        roles=OPERATORS,
        body=PrivacyBody,
        responses={201: Response("The request, with its due date", PrivacyRequest)},
        problems=(404,),
    ),
    Route(
        method="GET",
        path=PATH,
        handler=list_,
        summary="What customers asked for about their data; what is due first, first",
        tag=TAG,
        roles=OPERATORS,
        query=PrivacyQuery,
        responses={200: Response("One page of requests", Page[PrivacyRequest])},
    ),
    Route(
        method="GET",
        path=ONE,
        handler=show,
        summary="One request, and what became of it",
        tag=TAG,
        roles=OPERATORS,
        responses={200: Response("The request", PrivacyRequest)},
    ),
    Route(
        method="GET",
        path=f"{ONE}/export",
        handler=export,
        summary="All that is kept about the customer, made now",
        tag=TAG,
        roles=OPERATORS,
        deadline_s=EXPORT_DEADLINE_S,
        responses={200: Response("The customer's data", CustomerFile)},
        problems=(409,),
    ),
    Route(
        method="POST",
        path=f"{ONE}/complete",
        handler=complete,
        summary="Note that the customer has the export",
        tag=TAG,
        roles=OPERATORS,
        body=CompleteBody,
        responses={200: Response("The request as it is now", PrivacyRequest)},
        problems=(409,),
    ),
)
