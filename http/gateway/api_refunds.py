"""The routes that take orders back: refunds, cancellation, and the daily comparison."""

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from actors.core.messages import (
    ORDERS,
    QUERIES,
    CancelOrder,
    ListReconciliations,
    ListRefunds,
    Order,
    OrderStatus,
    Reconciliation,
    Refund,
    RefundOrder,
)
from actors.vocabulary import MAX_AMOUNT, Page
from gateway.bodies import Body, Id, Instant, PageQuery, Text, utc
from gateway.routes import (
    STAFF,
    WRITERS,
    Answer,
    ApiRequest,
    Keyed,
    Response,
    Route,
    accepted,
    answer,
)

TAG: Final = "Orders"


class RefundBody(Body, frozen=True, kw_only=True):
    """`amount_minor` in minor units of the order's currency."""

    refund_id: Id
    amount_minor: Annotated[int, Meta(ge=1, le=MAX_AMOUNT)]
    refunded_at: Instant
    reason: Text | None = None


class CancelBody(Body, frozen=True):
    cancelled_at: Instant


class RecordedRefund(msgspec.Struct, frozen=True, kw_only=True):
    """`refunded_minor` is what all refunds of the order took back. `duplicate`: the same refund was
    recorded before, and nothing was changed."""

    order_id: str
    refund_id: str
    status: OrderStatus
    amount_minor: int
    refunded_minor: int


class Refunds(msgspec.Struct, frozen=True):
    items: tuple[Refund, ...]


async def refund(request: ApiRequest) -> Answer:
    body: RefundBody = request.body
    wanted = Refund(
        request.path["order_id"],
        body.refund_id,
        body.amount_minor,
        utc(body.refunded_at, "refunded_at"),
        body.reason,
    )
    command = RefundOrder(request.merchant_id, wanted, request.idempotency)
    result = accepted(await request.ask(ORDERS, command))
    duplicate = result.status is OrderStatus.DUPLICATE
    told = RecordedRefund(
        order_id=result.refund.order_id,
        refund_id=result.refund.refund_id,
        status=result.status,
        amount_minor=result.refund.amount_minor,
        refunded_minor=result.refunded_minor,
    )
    return answer(told, 200 if duplicate else 201, replayed=duplicate or result.replayed)


async def list_refunds(request: ApiRequest) -> Answer:
    question = ListRefunds(request.merchant_id, request.path["order_id"])
    return answer(Refunds(await request.ask(QUERIES, question)))


async def cancel(request: ApiRequest) -> Answer:
    at = utc(request.body.cancelled_at, "cancelled_at")
    command = CancelOrder(request.merchant_id, request.path["order_id"], at)
    return answer(accepted(await request.ask(ORDERS, command)))


async def reconciliations(request: ApiRequest) -> Answer:
    query: PageQuery = request.query
    question = ListReconciliations(request.merchant_id, query.limit, query.cursor)
    return answer(accepted(await request.ask(QUERIES, question)))


ROUTES: Final = (
    Route(
        method="GET",
        path="/v1/orders/reconciliations",
        handler=reconciliations,
        summary="What the daily comparisons of orders with the ledger found, newest first",
        tag=TAG,
        roles=STAFF,
        query=PageQuery,
        responses={200: Response("One page of comparisons", Page[Reconciliation])},
    ),
    Route(
        method="POST",
        path="/v1/orders/{order_id}/refunds",
        handler=refund,
        summary="Record a refund; its points are taken back",
        tag=TAG,
        roles=WRITERS,
        body=RefundBody,
        keyed=Keyed.OPTIONAL,
        responses={
            201: Response("The refund was recorded", RecordedRefund),
            200: Response("The same refund was recorded before", RecordedRefund),
        },
        problems=(409,),
    ),
    Route(
        method="GET",
        path="/v1/orders/{order_id}/refunds",
        handler=list_refunds,
        summary="The refunds of an order",
        tag=TAG,
        roles=STAFF,
        responses={200: Response("The refunds, the oldest first", Refunds)},
    ),
    Route(
        method="POST",
        path="/v1/orders/{order_id}/cancel",
        handler=cancel,
        summary="Cancel an order; all of its points are taken back",
        tag=TAG,
        roles=WRITERS,
        body=CancelBody,
        responses={200: Response("The order", Order)},
        problems=(409,),
    ),
)
