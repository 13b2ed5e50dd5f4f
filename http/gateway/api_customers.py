"""The customer routes."""

from typing import Final

from actors.core.messages import (
    CUSTOMERS,
    QUERIES,
    CreateCustomer,
    Customer,
    GetCustomer,
    ListCustomers,
)
from actors.vocabulary import Page
from gateway.bodies import Body, Id, PageQuery, Text
from gateway.problems import not_found
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

TAG: Final = "Customers"


class CustomerBody(Body, frozen=True, kw_only=True):
    """Without `customer_id`, one is made."""

    customer_id: Id | None = None
    display_name: Text | None = None


async def create(request: ApiRequest) -> Answer:
    body: CustomerBody = request.body
    command = CreateCustomer(
        request.merchant_id, body.customer_id, body.display_name, request.idempotency
    )
    created = accepted(await request.ask(CUSTOMERS, command))
    return answer(created.customer, 201, replayed=created.replayed)


async def show(request: ApiRequest) -> Answer:
    question = GetCustomer(request.merchant_id, request.path["customer_id"])
    customer = await request.ask(QUERIES, question)
    if customer is None:
        raise not_found("there is no such customer")
    return answer(customer)


async def list_(request: ApiRequest) -> Answer:
    query: PageQuery = request.query
    question = ListCustomers(request.merchant_id, query.limit, query.cursor)
    return answer(accepted(await request.ask(QUERIES, question)))


ROUTES: Final = (
    Route(
        method="POST",
        path="/v1/customers",
        handler=create,
        summary="Create a customer",
        tag=TAG,
        roles=WRITERS,
        body=CustomerBody,
        keyed=Keyed.OPTIONAL,
        responses={201: Response("The customer", Customer)},
        problems=(404, 409, 422),
    ),
    Route(
        method="GET",
        path="/v1/customers",
        handler=list_,
        summary="All customers, by id",
        tag=TAG,
        roles=STAFF,
        query=PageQuery,
        responses={200: Response("One page of customers", Page[Customer])},
    ),
    Route(
        method="GET",
        path="/v1/customers/{customer_id}",
        handler=show,
        summary="One customer",
        tag=TAG,
        roles=STAFF,
        responses={200: Response("The customer", Customer)},
    ),
)
