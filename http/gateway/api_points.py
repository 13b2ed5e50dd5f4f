"""The points routes: mutations, balances, history, verification, earn rules."""

from typing import Final

import attrs

from actors.auth.messages import Role
from actors.core.messages import MERCHANTS, GetMerchant, Merchant
from actors.points.messages import (
    ACCOUNTS,
    INTAKE,
    QUERIES,
    AccountKey,
    Apply,
    ApplyBatch,
    BatchItem,
    DeferredEarn,
    EarnRule,
    GetBalance,
    GetBalanceAt,
    GetEarnRule,
    LedgerEntry,
    ListLedger,
    ListLots,
    LotView,
    Mutation,
    Result,
    SetEarnRule,
    Verification,
    Verify,
)
from actors.vocabulary import Page
from gateway.bodies import PageQuery, utc
from gateway.deferring import (
    STATUS_PATH,
    DeferralView,
    Queued,
    find_one,
    patience_s,
    put_off,
    queued_answer,
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
    BalanceQuery,
    CaptureBody,
    CustomerBalance,
    EarnBody,
    EarnRuleBody,
    EarnRuleQuery,
    HoldBody,
    Mutated,
    RedeemBody,
    ReverseBody,
    VoidBody,
    customer_balance,
    mutated,
)
from gateway.problems import Problem, not_found
from gateway.routes import (
    MEMBERS,
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

VERIFICATIONS_PER_MINUTE: Final = 120
VERIFY_DEADLINE_S: Final = 300.0
"""A verification reads every entry of a merchant."""

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
    deferral, away = await find_one(request)
    if deferral is not None:
        return queued_answer(deferral)
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


def visible_customer(request: ApiRequest) -> str:
    """The customer in the path. Customers see none but themselves. Raises `Problem`."""
    customer_id = request.path["customer_id"]
    if request.caller.role is Role.CUSTOMER and request.caller.customer_id != customer_id:
        raise not_found("there is no such customer")
    return customer_id


async def balance(request: ApiRequest) -> Answer:
    customer_id = visible_customer(request)
    query: BalanceQuery = request.query
    if query.at is None:
        key = AccountKey(request.merchant_id, customer_id)
        view = await request.ask_entity(ACCOUNTS, key, GetBalance())
    else:
        at = utc(query.at, "at")
        question = GetBalanceAt(request.merchant_id, customer_id, at, query.axis)
        view = await request.ask(QUERIES, question)
    return answer(customer_balance(accepted(view)))


async def ledger(request: ApiRequest) -> Answer:
    query: PageQuery = request.query
    question = ListLedger(request.merchant_id, visible_customer(request), query.limit, query.cursor)
    return answer(accepted(await request.ask(QUERIES, question)))


async def lots(request: ApiRequest) -> Answer:
    query: PageQuery = request.query
    question = ListLots(request.merchant_id, visible_customer(request), query.limit, query.cursor)
    return answer(accepted(await request.ask(QUERIES, question)))


async def verify(request: ApiRequest) -> Answer:
    await _merchant(request)
    return answer(await request.ask(QUERIES, Verify(request.merchant_id), bulk=True))


async def get_earn_rule(request: ApiRequest) -> Answer:
    query: EarnRuleQuery = request.query
    currency = query.currency or (await _merchant(request)).currency
    question = GetEarnRule(request.merchant_id, currency)
    return answer(await request.ask(QUERIES, question))


async def _merchant(request: ApiRequest) -> Merchant:
    merchant = await request.ask(MERCHANTS, GetMerchant(request.merchant_id))
    if merchant is None:
        raise not_found("the merchant is not registered")
    return merchant


async def put_earn_rule(request: ApiRequest) -> Answer:
    body: EarnRuleBody = request.body
    command = SetEarnRule(
        request.merchant_id,
        body.currency,
        body.points,
        body.per_amount_minor,
        body.expires_after_days,
    )
    return answer(accepted(await request.ask(QUERIES, command)))


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


def _reading(path: str, handler: Handler, summary: str, type_: object, query: object) -> Route:
    return Route(
        method="GET",
        path=path,
        handler=handler,
        summary=summary,
        tag=TAG,
        roles=MEMBERS,
        query=query,
        responses={200: Response(summary, type_)},
    )


def points_routes(settings: GatewaySettings) -> tuple[Route, ...]:
    """All routes of this area."""
    return (
        *_mutation_routes(),
        _batch_route(settings),
        _deferral_route(),
        *_reading_routes(),
        *_program_routes(),
    )


def _mutation_routes() -> tuple[Route, ...]:
    return (
        _earning(),
        _mutation(RedeemBody.path, RedeemBody, "Spend a member's points", STAFF),
        _mutation(AdjustBody.path, AdjustBody, "Correct a balance by hand", OWNERS),
        _mutation(
            ReverseBody.path, ReverseBody, "Take back a transaction", WRITERS, handler=reverse
        ),
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


def _reading_routes() -> tuple[Route, ...]:
    return (
        _reading(
            "/v1/customers/{customer_id}/balance",
            balance,
            "A member's balance, now or in the past",
            CustomerBalance,
            BalanceQuery,
        ),
        _reading(
            "/v1/customers/{customer_id}/ledger",
            ledger,
            "A member's transactions, newest first",
            Page[LedgerEntry],
            PageQuery,
        ),
        _reading(
            "/v1/customers/{customer_id}/lots",
            lots,
            "What is left of a member's earnings, in the order in which it is spent",
            Page[LotView],
            PageQuery,
        ),
    )


def _program_routes() -> tuple[Route, ...]:
    return (
        Route(
            method="GET",
            path="/v1/points/verify",
            limit_per_minute=VERIFICATIONS_PER_MINUTE,
            handler=verify,
            summary="Recompute every balance, lot and hash chain from the entries",
            tag=TAG,
            roles=OWNERS,
            deadline_s=VERIFY_DEADLINE_S,
            problems=(404,),
            responses={200: Response("What was found", Verification)},
        ),
        Route(
            method="GET",
            path="/v1/points/earn-rule",
            handler=get_earn_rule,
            summary="The rule by which orders earn points",
            tag=TAG,
            roles=STAFF,
            query=EarnRuleQuery,
            responses={200: Response("The rule in force", EarnRule)},
            problems=(404,),
        ),
        Route(
            method="PUT",
            path="/v1/points/earn-rule",
            handler=put_earn_rule,
            summary="Set the rule; entries made before keep theirs",
            tag=TAG,
            roles=OWNERS,
            body=EarnRuleBody,
            responses={200: Response("The rule in force", EarnRule)},
            problems=(404, 409),
        ),
    )
