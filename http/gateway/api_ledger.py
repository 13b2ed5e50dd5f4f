"""The routes that read the ledger: balances, history, verification, earn rules."""

from typing import Final

from actors.auth.messages import Role
from actors.core.messages import MERCHANTS, GetMerchant, Merchant
from actors.points.explanation_messages import Explain, Explanation
from actors.points.messages import (
    ACCOUNTS,
    QUERIES,
    AccountKey,
    EarnRule,
    GetBalance,
    GetBalanceAt,
    GetEarnRule,
    LedgerEntry,
    ListLedger,
    ListLots,
    LotView,
    SetEarnRule,
    Verification,
    Verify,
)
from actors.vocabulary import Page
from gateway.bodies import PageQuery, utc
from gateway.points_bodies import (
    BalanceQuery,
    CustomerBalance,
    EarnRuleBody,
    EarnRuleQuery,
    customer_balance,
)
from gateway.problems import not_found
from gateway.routes import (
    MEMBERS,
    OWNERS,
    STAFF,
    Answer,
    ApiRequest,
    Handler,
    Response,
    Route,
    accepted,
    answer,
)

VERIFICATIONS_PER_MINUTE: Final = 120
VERIFY_DEADLINE_S: Final = 300.0
"""A verification reads every entry of a merchant."""

TAG: Final = "Points"


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


async def explain(request: ApiRequest) -> Answer:
    question = Explain(request.merchant_id, request.path["transaction_id"])
    explanation = await request.ask(QUERIES, question)
    if explanation is None:
        raise not_found("there is no such transaction")
    return answer(explanation)


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
        body.multiplier_percent,
        body.rounding,
    )
    return answer(accepted(await request.ask(QUERIES, command)))


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


READING: Final = (
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


RULES: Final = (
    Route(
        method="GET",
        path="/v1/points/transactions/{transaction_id}",
        handler=explain,
        summary="One transaction explained: postings, lots, and the rule it earned by",
        tag=TAG,
        roles=STAFF,
        responses={200: Response("The transaction", Explanation)},
    ),
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

ROUTES: Final = (*READING, *RULES)
