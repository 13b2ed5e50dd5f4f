"""The order routes."""

from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from actors.core.messages import (
    ORDERS,
    QUERIES,
    GetOrder,
    GetOrderTotals,
    ListOrders,
    Order,
    OrderLine,
    OrderResult,
    OrderStatus,
    OrderTotals,
    RecordOrders,
)
from actors.vocabulary import MAX_AMOUNT, Page, Refusal
from gateway.bodies import (
    Body,
    Currency,
    Cursor,
    Id,
    Instant,
    Limit,
    body_decoder,
    utc,
)
from gateway.problems import Problem, ProblemDocument, not_found, problem_of_refusal
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
from gateway.settings import GatewaySettings

TAG: Final = "Orders"
MAX_BATCH_ORDERS: Final = 500
MAX_LINES: Final = 200
MAX_QUANTITY: Final = 10**6

Money = Annotated[int, Meta(ge=0, le=MAX_AMOUNT, description="minor units of the currency")]


class LineBody(Body, frozen=True, kw_only=True):
    sku: Id
    quantity: Annotated[int, Meta(ge=1, le=MAX_QUANTITY)]
    unit_price_minor: Money

    def line(self) -> OrderLine:
        return OrderLine(self.sku, self.quantity, self.unit_price_minor)


class OrderBody(Body, frozen=True, kw_only=True):
    """`items` counts the articles; without it, the quantities of the lines are added up."""

    order_id: Id
    customer_id: Id
    ordered_at: Instant
    currency: Currency
    total_minor: Money
    items: Annotated[int, Meta(ge=0, le=MAX_QUANTITY)] | None = None
    lines: Annotated[tuple[LineBody, ...], Meta(max_length=MAX_LINES)] = ()

    def order(self) -> Order:
        quantity = sum(line.quantity for line in self.lines)
        return Order(
            order_id=self.order_id,
            customer_id=self.customer_id,
            ordered_at=utc(self.ordered_at, "ordered_at"),
            currency=self.currency,
            total_minor=self.total_minor,
            items=self.items if self.items is not None else quantity,
            lines=tuple(line.line() for line in self.lines),
        )


class OrdersBody(Body, frozen=True):
    """Orders are read one by one, so that a bad one does not spoil the rest."""

    orders: Annotated[list[msgspec.Raw], Meta(min_length=1, max_length=MAX_BATCH_ORDERS)]


class DocumentedOrdersBody(Body, frozen=True):
    """Orders, each with its own result."""

    orders: Annotated[list[OrderBody], Meta(min_length=1, max_length=MAX_BATCH_ORDERS)]


class OrdersQuery(Body, frozen=True):
    customer_id: Id | None = None
    limit: Limit = 50
    cursor: Cursor | None = None


class RecordedOrder(msgspec.Struct, frozen=True, kw_only=True):
    """`duplicate`: the same order was recorded before, and nothing was changed."""

    order_id: str
    customer_id: str
    status: OrderStatus
    ordered_at: datetime
    currency: str
    total_minor: int


class OrderItemResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """`status` is what the single request would have been answered with."""

    status: int
    result: RecordedOrder | None = None
    problem: ProblemDocument | None = None


class OrdersResult(msgspec.Struct, frozen=True):
    """One result for each order, in order."""

    items: list[OrderItemResult]


def recorded(result: OrderResult) -> RecordedOrder:
    order = result.order
    return RecordedOrder(
        order_id=order.order_id,
        customer_id=order.customer_id,
        status=result.status,
        ordered_at=order.ordered_at,
        currency=order.currency,
        total_minor=order.total_minor,
    )


async def record(request: ApiRequest) -> Answer:
    orders = (request.body.order(),)
    command = RecordOrders(request.merchant_id, orders, request.idempotency)
    (outcome,) = await request.ask(ORDERS, command)
    result = accepted(outcome)
    duplicate = result.status is OrderStatus.DUPLICATE
    replayed = duplicate or result.replayed
    return answer(recorded(result), 200 if duplicate else 201, replayed=replayed)


read_order = body_decoder(OrderBody)


async def record_batch(request: ApiRequest) -> Answer:
    outcomes: dict[int, OrderResult | Refusal | Problem] = {}
    orders: dict[int, Order] = {}
    for position, raw in enumerate(request.body.orders):
        try:
            orders[position] = read_order(bytes(raw)).order()
        except Problem as problem:
            outcomes[position] = problem
    results: tuple[Any, ...] = ()
    if orders:
        command = RecordOrders(request.merchant_id, tuple(orders.values()))
        results = await request.ask(ORDERS, command, bulk=True)
    outcomes.update(zip(orders, results, strict=True))
    told = [item_result(outcomes[at], request.trace_id) for at in range(len(outcomes))]
    return answer(OrdersResult(told), 207)


def item_result(outcome: OrderResult | Refusal | Problem, trace_id: str) -> OrderItemResult:
    """What became of an order of a batch."""
    if isinstance(outcome, Refusal):
        outcome = problem_of_refusal(outcome)
    if isinstance(outcome, Problem):
        return OrderItemResult(outcome.status, problem=outcome.document(trace_id, None))
    status = 200 if outcome.status is OrderStatus.DUPLICATE else 201
    return OrderItemResult(status, recorded(outcome))


async def show(request: ApiRequest) -> Answer:
    question = GetOrder(request.merchant_id, request.path["order_id"])
    order = await request.ask(QUERIES, question)
    if order is None:
        raise not_found("there is no such order")
    return answer(order)


async def list_(request: ApiRequest) -> Answer:
    query: OrdersQuery = request.query
    question = ListOrders(request.merchant_id, query.customer_id, query.limit, query.cursor)
    return answer(accepted(await request.ask(QUERIES, question)))


async def totals(request: ApiRequest) -> Answer:
    return answer(await request.ask(QUERIES, GetOrderTotals(request.merchant_id), bulk=True))


def order_routes(settings: GatewaySettings) -> tuple[Route, ...]:
    """All routes of this area."""
    return (
        Route(
            method="POST",
            path="/v1/orders",
            handler=record,
            summary="Record an order; the points follow",
            tag=TAG,
            roles=WRITERS,
            body=OrderBody,
            keyed=Keyed.OPTIONAL,
            responses={
                201: Response("The order was recorded", RecordedOrder),
                200: Response("The same order was recorded before", RecordedOrder),
            },
            problems=(404, 409, 422),
        ),
        Route(
            method="POST",
            path="/v1/orders/batch",
            handler=record_batch,
            summary=f"Record up to {MAX_BATCH_ORDERS} orders, each with its own result",
            tag=TAG,
            roles=WRITERS,
            body=OrdersBody,
            documented_body=DocumentedOrdersBody,
            body_max_bytes=settings.batch_body_max_bytes,
            responses={207: Response("One result for each order, in order", OrdersResult)},
        ),
        Route(
            method="GET",
            path="/v1/orders",
            handler=list_,
            summary="Orders, newest first",
            tag=TAG,
            roles=STAFF,
            query=OrdersQuery,
            responses={200: Response("One page of orders", Page[Order])},
        ),
        Route(
            method="GET",
            path="/v1/orders/totals",
            handler=totals,
            summary="Number of orders and customers, and totals by currency",
            tag=TAG,
            roles=STAFF,
            responses={200: Response("The totals", OrderTotals)},
        ),
        Route(
            method="GET",
            path="/v1/orders/{order_id}",
            handler=show,
            summary="One order",
            tag=TAG,
            roles=STAFF,
            responses={200: Response("The order", Order)},
        ),
    )
