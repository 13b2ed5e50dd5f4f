"""The points routes that change balances."""

from typing import Final

import attrs

from actors.auth.messages import Role
from actors.points.deferral_messages import DeferredEarn
from actors.points.messages import (
    ACCOUNTS,
    INTAKE,
    AccountKey,
    Apply,
    ApplyBatch,
    ApplyTransfer,
    BatchItem,
    Mutation,
    Result,
)
from gateway import api_ledger, api_program
from gateway.deferring import (
    STATUS_PATH,
    DeferralView,
    Queued,
    find_one,
    known_answer,
    patience_s,
    put_off,
    status,
    worth_putting_off,
)
from gateway.points_batch import (
    BatchBody,
    BatchResult,
    DocumentedBatchBody,
    ItemOutcome,
    apply_items,
    batch_item,
    item_result,
)
from gateway.points_bodies import (
    AdjustBody,
    CaptureBody,
    EarnBody,
    HoldBody,
    Mutated,
    RedeemBody,
    ReverseBody,
    TransferBody,
    Transferred,
    VoidBody,
    mutated,
    transferred,
)
from gateway.problems import Problem
from gateway.routes import (
    OWNERS,
    STAFF,
    WRITERS,
    Answer,
    ApiRequest,
    Handler,
    Keyed,
    Response,
    Route,
    accepted,
    answer,
)
from gateway.settings import GatewaySettings
from runtime import ActorError
from runtime.policies import PolicyError
from runtime.storage import StorageError

TAG: Final = "Points"


async def mutate(request: ApiRequest) -> Answer:
    """A mutation of the account that the body names."""
    body = request.body
    mutation: Mutation = body.mutation(request.key)
    await find_one(request)
    return receipt(await _apply_to(request, body.customer_id, mutation))


async def earn(request: ApiRequest) -> Answer:
    """An earning, put off while the database is away."""
    body: EarnBody = request.body
    mutation = body.mutation(request.key)
    known, away = await find_one(request)
    if known is not None:
        return known_answer(known)
    earning = DeferredEarn(body.customer_id, mutation)
    if away:
        return await put_off(request, earning, None)
    try:
        result = await _apply_to(request, body.customer_id, mutation, patience_s())
    except (ActorError, StorageError, PolicyError) as error:
        if not worth_putting_off(error):
            raise
        return await put_off(request, earning, error)
    return receipt(result)


async def _apply_to(
    request: ApiRequest, customer_id: str, mutation: Mutation, timeout_s: float | None = None
) -> Result:
    key = AccountKey(request.merchant_id, customer_id)
    message = Apply((mutation,))
    (result,) = await request.ask_entity(ACCOUNTS, key, message, timeout_s=timeout_s)
    return result


async def transfer(request: ApiRequest) -> Answer:
    """Points of one member to another: the intake knows which account leads."""
    await find_one(request)
    command = ApplyTransfer(request.merchant_id, request.body.transfer(request.key))
    done = accepted(await request.ask(INTAKE, command))
    return answer(transferred(done), replayed=done.replayed)


async def reverse(request: ApiRequest) -> Answer:
    return await _by_id(request, request.body.mutation(request.key))


async def settle_hold(request: ApiRequest) -> Answer:
    """Capture or void, by the body."""
    return await _by_id(request, request.body.mutation(request.key, request.path["hold_id"]))


async def _by_id(request: ApiRequest, mutation: Mutation) -> Answer:
    """A mutation that names a transaction or a hold: the intake knows the account."""
    await find_one(request)
    batch = ApplyBatch(request.merchant_id, (BatchItem(mutation),))
    (result,) = await request.ask(INTAKE, batch)
    return receipt(result)


def receipt(result: Result) -> Answer:
    done = accepted(result)
    return answer(mutated(done), replayed=done.replayed)


async def batch(request: ApiRequest) -> Answer:
    outcomes: dict[int, ItemOutcome] = {}
    items: dict[int, BatchItem] = {}
    for position, raw in enumerate(request.body.items):
        try:
            items[position] = batch_item(bytes(raw), request.caller)
        except Problem as problem:
            outcomes[position] = problem
    outcomes |= await apply_items(request, items)
    told = [item_result(outcomes[at], request.trace_id) for at in range(len(outcomes))]
    return answer(BatchResult(told), 207)


def _mutation(
    path: str,
    body: type[object],
    summary: str,
    roles: frozenset[Role],
    *,
    handler: Handler = mutate,
    body_optional: bool = False,
) -> Route:
    return Route(
        method="POST",
        path=path,
        handler=handler,
        summary=summary,
        tag=TAG,
        roles=roles,
        body=body,
        body_optional=body_optional,
        keyed=Keyed.REQUIRED,
        responses={200: Response("What was done, or had been done before", Mutated)},
        problems=(404, 409, 422),
    )


def points_routes(settings: GatewaySettings) -> tuple[Route, ...]:
    """All routes of this area."""
    return (
        *_mutation_routes(),
        _batch_route(settings),
        _deferral_route(),
        *api_ledger.ROUTES,
        *api_program.ROUTES,
    )


def _mutation_routes() -> tuple[Route, ...]:
    return (
        _earning(),
        _mutation(RedeemBody.path, RedeemBody, "Spend a member's points", STAFF),
        _mutation(AdjustBody.path, AdjustBody, "Correct a balance by hand", OWNERS),
        _mutation(
            ReverseBody.path, ReverseBody, "Take back a transaction", WRITERS, handler=reverse
        ),
        _transferring(),
        _mutation(HoldBody.path, HoldBody, "Set points aside", STAFF),
        _mutation(
            CaptureBody.path,
            CaptureBody,
            "Spend the points of a hold",
            STAFF,
            handler=settle_hold,
            body_optional=True,
        ),
        _mutation(
            VoidBody.path,
            VoidBody,
            "Give the points of a hold back",
            STAFF,
            handler=settle_hold,
            body_optional=True,
        ),
    )


def _earning() -> Route:
    route = _mutation(EarnBody.path, EarnBody, "Credit points to a member", WRITERS, handler=earn)
    later = Response("The database is away; the points are promised, and posted later", Queued)
    return attrs.evolve(route, responses={**route.responses, 202: later})


def _transferring() -> Route:
    summary = "Move points from one member to another, with their dates of expiry"
    route = _mutation(TransferBody.path, TransferBody, summary, STAFF, handler=transfer)
    done = Response("What both members have now, or had then", Transferred)
    return attrs.evolve(route, responses={200: done})


def _deferral_route() -> Route:
    return Route(
        method="GET",
        path=STATUS_PATH,
        handler=status,
        summary="What became of an earning that was put off",
        tag=TAG,
        roles=STAFF,
        responses={200: Response("The deferral", DeferralView)},
    )


def _batch_route(settings: GatewaySettings) -> Route:
    return Route(
        method="POST",
        path="/v1/points/batch",
        handler=batch,
        summary="Up to 1,000 mutations, each with its own key and its own result",
        tag=TAG,
        roles=WRITERS,
        body=BatchBody,
        documented_body=DocumentedBatchBody,
        body_max_bytes=settings.batch_body_max_bytes,
        responses={207: Response("One result for each item, in order", BatchResult)},
    )
