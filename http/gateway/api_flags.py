"""The routes to flags: operators define them, everybody may ask what they are."""

from typing import Final

import msgspec

from actors.admin_features.messages import (
    FLAGS,
    KEEPER,
    EvaluateFlags,
    FlagHistory,
    FlagValue,
    GetFlag,
    KillFlag,
    ListFlags,
    OverrideFlag,
    PutFlag,
    Subject,
)
from actors.auth.messages import Role
from actors.vocabulary import Page
from gateway.auditing import audited
from gateway.bodies import PageQuery
from gateway.flag_bodies import (
    EvaluateBody,
    Evaluated,
    FlagBody,
    FlagView,
    KillBody,
    LiftQuery,
    OverrideBody,
    RevisionView,
    flag_view,
    revision_view,
)
from gateway.problems import not_found
from gateway.putting_back import TAG
from gateway.routes import (
    EVERYONE,
    OPERATORS,
    Answer,
    ApiRequest,
    Response,
    Route,
    accepted,
    answer,
)

PATH: Final = "/v1/admin/flags"
ONE: Final = PATH + "/{key}"
OVERRIDE: Final = ONE + "/overrides/{merchant_id}"
EVALUATION_TAG: Final = "Flags"


async def list_(request: ApiRequest) -> Answer:
    query: PageQuery = request.query
    found = accepted(await request.ask(FLAGS, ListFlags(query.limit, query.cursor)))
    return answer(Page(tuple(map(flag_view, found.items)), found.next_cursor))


async def show(request: ApiRequest) -> Answer:
    flag = await request.ask(FLAGS, GetFlag(request.path["key"]))
    if flag is None:
        raise not_found("there is no such flag")
    return answer(flag_view(flag))


async def history(request: ApiRequest) -> Answer:
    query: PageQuery = request.query
    key = request.path["key"]
    found = accepted(await request.ask(FLAGS, FlagHistory(key, query.limit, query.cursor)))
    if not found.items and query.cursor is None:
        raise not_found("there is no such flag")
    told = tuple(revision_view(key, each) for each in found.items)
    return answer(Page(told, found.next_cursor))


async def put(request: ApiRequest) -> Answer:
    body: FlagBody = request.body
    key, terms = request.path["key"], body.terms()
    after = msgspec.to_builtins(terms)
    event = audited(request, "flag.put", key, after=after, reason=body.reason)
    command = PutFlag(key, terms, body.version, request.caller.subject, body.reason, event)
    return answer(flag_view(accepted(await request.ask(FLAGS, command))))


async def kill(request: ApiRequest) -> Answer:
    body: KillBody = request.body
    key = request.path["key"]
    after = {"killed": body.killed}
    event = audited(request, "flag.kill", key, after=after, reason=body.reason)
    command = KillFlag(key, body.killed, request.caller.subject, body.reason, event)
    return answer(flag_view(accepted(await request.ask(FLAGS, command))))


async def override(request: ApiRequest) -> Answer:
    body: OverrideBody = request.body
    return await _override(request, body.value, body.reason)


async def lift_override(request: ApiRequest) -> Answer:
    query: LiftQuery = request.query
    return await _override(request, None, query.reason)


async def _override(request: ApiRequest, value: FlagValue | None, reason: str) -> Answer:
    key, merchant_id = request.path["key"], request.path["merchant_id"]
    after = {"merchant_id": merchant_id, "value": value}
    event = audited(request, "flag.override", key, after=after, reason=reason)
    by = request.caller.subject
    command = OverrideFlag(key, merchant_id, value, by, reason, event)
    return answer(flag_view(accepted(await request.ask(FLAGS, command))))


async def evaluate(request: ApiRequest) -> Answer:
    """The merchant and the role are those of the token, whatever the attributes say."""
    body: EvaluateBody = request.body
    caller = request.caller
    name = caller.customer_id if caller.role is Role.CUSTOMER else body.subject
    attributes = {**body.attributes, "role": caller.role.value}
    subject = Subject(caller.merchant_id, name, attributes)
    only_exposed = caller.role is not Role.PLATFORM
    question = EvaluateFlags(body.keys, subject, only_exposed)
    return answer(Evaluated(await request.ask(KEEPER, question)))


READING: Final = (
    Route(
        method="GET",
        path=PATH,
        handler=list_,
        summary="All flags, by key",
        tag=TAG,
        roles=OPERATORS,
        query=PageQuery,
        responses={200: Response("One page of flags", Page[FlagView])},
    ),
    Route(
        method="GET",
        path=ONE,
        handler=show,
        summary="One flag",
        tag=TAG,
        roles=OPERATORS,
        responses={200: Response("The flag", FlagView)},
    ),
    Route(
        method="GET",
        path=f"{ONE}/history",
        handler=history,
        summary="What a flag was, who changed it and why, the latest first",
        tag=TAG,
        roles=OPERATORS,
        query=PageQuery,
        responses={200: Response("One page of its versions", Page[RevisionView])},
    ),
)

CHANGING: Final = (
    Route(
        method="PUT",
        path=ONE,
        handler=put,
        summary="Create a flag, or change it",
        tag=TAG,
        roles=OPERATORS,
        body=FlagBody,
        responses={200: Response("The flag", FlagView)},
        problems=(409,),
    ),
    Route(
        method="PUT",
        path=f"{ONE}/kill",
        handler=kill,
        summary="Switch a flag to its default for everybody, or let it go on",
        tag=TAG,
        roles=OPERATORS,
        body=KillBody,
        responses={200: Response("The flag", FlagView)},
        problems=(409,),
    ),
    Route(
        method="PUT",
        path=OVERRIDE,
        handler=override,
        summary="Another value for one merchant",
        tag=TAG,
        roles=OPERATORS,
        body=OverrideBody,
        responses={200: Response("The flag", FlagView)},
        problems=(409,),
    ),
    Route(
        method="DELETE",
        path=OVERRIDE,
        handler=lift_override,
        summary="No other value for a merchant any more",
        tag=TAG,
        roles=OPERATORS,
        query=LiftQuery,
        responses={200: Response("The flag", FlagView)},
        problems=(409,),
    ),
)

EVALUATION: Final = Route(
    method="POST",
    path="/v1/flags/evaluate",
    handler=evaluate,
    summary="What flags are for the caller, and why",
    tag=EVALUATION_TAG,
    roles=EVERYONE,
    body=EvaluateBody,
    body_optional=True,
    responses={200: Response("One evaluation for each flag", Evaluated)},
)

ROUTES: Final = (*READING, *CHANGING, EVALUATION)
