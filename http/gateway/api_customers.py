"""The customer routes."""

from typing import Annotated, Final

from msgspec import UNSET, Meta, UnsetType

from actors.core.messages import (
    CUSTOMERS,
    KEEP,
    QUERIES,
    ChangeCustomer,
    Channel,
    CreateCustomer,
    Customer,
    ExternalId,
    GetCustomer,
    Keep,
    ListCustomers,
    MergeCustomers,
    SearchCustomers,
    SetConsent,
)
from actors.vocabulary import Page
from gateway.auditing import audited
from gateway.bodies import Body, Cursor, Id, Limit, PageQuery, Text
from gateway.customer_views import CustomerPage, CustomerView, page_of, view_of
from gateway.problems import not_found
from gateway.routes import (
    OWNERS,
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
MAX_EXTERNAL_IDS: Final = 50

Email = Annotated[str, Meta(min_length=3, max_length=254, description="an e-mail address")]
Phone = Annotated[
    str, Meta(min_length=7, max_length=40, description="with + and the code of the country")
]
Source = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}(?!\n)$")]
ForeignId = Annotated[str, Meta(pattern=r"^[!-~]{1,128}(?!\n)$")]


class ExternalIdBody(Body, frozen=True):
    source: Source
    external_id: ForeignId

    def value(self) -> ExternalId:
        return ExternalId(self.source, self.external_id)


ExternalIds = Annotated[tuple[ExternalIdBody, ...], Meta(max_length=MAX_EXTERNAL_IDS)]


class CustomerBody(Body, frozen=True, kw_only=True):
    """Without `customer_id`, one is made."""

    customer_id: Id | None = None
    display_name: Text | None = None
    email: Email | None = None
    phone: Phone | None = None
    external_ids: ExternalIds = ()


class CustomerPatch(Body, frozen=True, kw_only=True):
    """What is left out stays; null deletes. `external_ids` replaces all of them."""

    display_name: Text | UnsetType | None = UNSET
    email: Email | UnsetType | None = UNSET
    phone: Phone | UnsetType | None = UNSET
    external_ids: ExternalIds | UnsetType = UNSET


class SearchBody(Body, frozen=True, kw_only=True):
    """Exactly one of `email`, `phone`, `external_id` and `name`, which may be a part of one."""

    email: Email | None = None
    phone: Phone | None = None
    external_id: ExternalIdBody | None = None
    name: Annotated[str, Meta(min_length=2, max_length=200)] | None = None
    limit: Limit = 50
    cursor: Cursor | None = None


class ConsentBody(Body, frozen=True):
    """`origin` says where it was given: a form, a till, a call."""

    granted: bool
    origin: Annotated[str, Meta(pattern=r"^[!-~][ -~]{0,63}(?!\n)$")] = "api"


class MergeBody(Body, frozen=True):
    """The customer that this one turned out to be."""

    into: Id


async def create(request: ApiRequest) -> Answer:
    body: CustomerBody = request.body
    command = CreateCustomer(
        request.merchant_id,
        body.customer_id,
        body.display_name,
        request.idempotency,
        body.email,
        body.phone,
        tuple(each.value() for each in body.external_ids),
    )
    created = accepted(await request.ask(CUSTOMERS, command))
    return answer(view_of(created.customer), 201, replayed=created.replayed)


async def show(request: ApiRequest) -> Answer:
    question = GetCustomer(request.merchant_id, request.path["customer_id"])
    found = await request.recall(QUERIES, question)
    if found.value is None:
        raise not_found("there is no such customer")
    return answer(view_of(found.value, degraded=found.degraded, age_s=found.age_s))


async def change(request: ApiRequest) -> Answer:
    body: CustomerPatch = request.body
    external_ids: tuple[ExternalId, ...] | Keep = KEEP
    if not isinstance(body.external_ids, UnsetType):
        external_ids = tuple(each.value() for each in body.external_ids)
    command = ChangeCustomer(
        merchant_id=request.merchant_id,
        customer_id=request.path["customer_id"],
        display_name=_kept(body.display_name),
        email=_kept(body.email),
        phone=_kept(body.phone),
        external_ids=external_ids,
    )
    return answer(view_of(accepted(await request.ask(CUSTOMERS, command))))


def _kept(value: str | UnsetType | None) -> str | Keep | None:
    return KEEP if isinstance(value, UnsetType) else value


async def list_(request: ApiRequest) -> Answer:
    query: PageQuery = request.query
    question = ListCustomers(request.merchant_id, query.limit, query.cursor)
    return answer(page_of(accepted(await request.ask(QUERIES, question))))


async def search(request: ApiRequest) -> Answer:
    body: SearchBody = request.body
    question = SearchCustomers(
        merchant_id=request.merchant_id,
        email=body.email,
        phone=body.phone,
        external_id=body.external_id.value() if body.external_id is not None else None,
        name=body.name,
        limit=body.limit,
        cursor=body.cursor,
    )
    found: Page[Customer] = accepted(await request.ask(QUERIES, question))
    return answer(page_of(found))


async def set_consent(request: ApiRequest) -> Answer:
    body: ConsentBody = request.body
    try:
        channel = Channel(request.path["channel"])
    except ValueError:
        raise not_found("channels are email, sms and push") from None
    customer_id = request.path["customer_id"]
    command = SetConsent(request.merchant_id, customer_id, channel, body.granted, body.origin)
    return answer(view_of(accepted(await request.ask(CUSTOMERS, command))))


async def merge(request: ApiRequest) -> Answer:
    body: MergeBody = request.body
    customer_id = request.path["customer_id"]
    event = audited(
        request,
        "customer.merge",
        customer_id,
        after={"into": body.into},
        merchant_id=request.merchant_id,
    )
    command = MergeCustomers(request.merchant_id, customer_id, body.into, (event,))
    return answer(view_of(accepted(await request.ask(CUSTOMERS, command))))


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
        responses={201: Response("The customer", CustomerView)},
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
        responses={200: Response("One page of customers", CustomerPage)},
    ),
    Route(
        method="POST",
        path="/v1/customers/search",
        handler=search,
        summary="Find customers by address, number, external id or name",
        tag=TAG,
        roles=STAFF,
        body=SearchBody,
        responses={200: Response("One page of customers", CustomerPage)},
    ),
    Route(
        method="GET",
        path="/v1/customers/{customer_id}",
        handler=show,
        summary="One customer",
        tag=TAG,
        roles=STAFF,
        responses={200: Response("The customer", CustomerView)},
    ),
    Route(
        method="PATCH",
        path="/v1/customers/{customer_id}",
        handler=change,
        summary="Change name, address, number or external ids",
        tag=TAG,
        roles=WRITERS,
        body=CustomerPatch,
        responses={200: Response("The customer", CustomerView)},
        problems=(409,),
    ),
    Route(
        method="PUT",
        path="/v1/customers/{customer_id}/consents/{channel}",
        handler=set_consent,
        summary="Note that a consent was given or withdrawn",
        tag=TAG,
        roles=STAFF,
        body=ConsentBody,
        responses={200: Response("The customer", CustomerView)},
        problems=(409,),
    ),
    Route(
        method="POST",
        path="/v1/customers/{customer_id}/merge",
        handler=merge,
        summary="Make one customer out of two; it cannot be undone",
        tag=TAG,
        roles=OWNERS,
        body=MergeBody,
        responses={200: Response("The customer that is left", CustomerView)},
        problems=(409,),
    ),
)
