"""The integration routes, and the webhooks of shops."""

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from actors.core.messages import (
    INTEGRATIONS,
    GetIntegration,
    Integration,
    ListIntegrations,
    ListWebhooks,
    Provider,
    PutIntegration,
    ReceiveWebhook,
    RemoveIntegration,
    Webhook,
)
from actors.vocabulary import Page, Refusal
from gateway.auditing import audited
from gateway.bodies import Body, PageQuery
from gateway.problems import Problem, not_found
from gateway.routes import (
    JSON,
    OWNERS,
    STAFF,
    Answer,
    ApiRequest,
    RawBody,
    Response,
    Route,
    accepted,
    answer,
)

TAG: Final = "Integrations"
WEBHOOK_MAX_BYTES: Final = 1024 * 1024
WEBHOOK_DEADLINE_S: Final = 1.0
"""Shopify gives up after five seconds, and a shop is cut off when that happens often."""

SIGNATURE: Final = "x-shopify-hmac-sha256"
SHOP: Final = "x-shopify-shop-domain"
WEBHOOK_ID: Final = "x-shopify-webhook-id"
TOPIC: Final = "x-shopify-topic"


class IntegrationBody(Body, frozen=True):
    """`account` is how the provider names you: for Shopify the domain `….myshopify.com`. The secret
    is what it signs with, or lets you in with; it is never shown again."""

    account: Annotated[str, Meta(pattern=r"^[!-~]{1,255}(?!\n)$")]
    secret: Annotated[str, Meta(min_length=1, max_length=1_000, pattern=r"^[ -~]+(?!\n)$")]


class Integrations(msgspec.Struct, frozen=True):
    items: tuple[Integration, ...]


class Removed(msgspec.Struct, frozen=True):
    removed: bool


class Taken(msgspec.Struct, frozen=True):
    """`duplicate`: it had come before, and nothing was kept."""

    duplicate: bool


def provider_of(request: ApiRequest) -> Provider:
    try:
        return Provider(request.path["provider"])
    except ValueError:
        known = ", ".join(provider.value for provider in Provider)
        raise not_found(f"providers are {known}") from None


async def put(request: ApiRequest) -> Answer:
    body: IntegrationBody = request.body
    provider = provider_of(request)
    event = audited(
        request,
        "integration.put",
        provider.value,
        after={"account": body.account},
        merchant_id=request.merchant_id,
    )
    command = PutIntegration(request.merchant_id, provider, body.account, body.secret, (event,))
    return answer(accepted(await request.ask(INTEGRATIONS, command)))


async def show(request: ApiRequest) -> Answer:
    question = GetIntegration(request.merchant_id, provider_of(request))
    found = await request.ask(INTEGRATIONS, question)
    if found is None:
        raise not_found("there is no such integration")
    return answer(found)


async def list_(request: ApiRequest) -> Answer:
    found = await request.ask(INTEGRATIONS, ListIntegrations(request.merchant_id))
    return answer(Integrations(found))


async def remove(request: ApiRequest) -> Answer:
    provider = provider_of(request)
    event = audited(request, "integration.remove", provider.value, merchant_id=request.merchant_id)
    command = RemoveIntegration(request.merchant_id, provider, (event,))
    if not await request.ask(INTEGRATIONS, command):
        raise not_found("there is no such integration")
    return answer(Removed(True))


async def list_webhooks(request: ApiRequest) -> Answer:
    query: PageQuery = request.query
    question = ListWebhooks(request.merchant_id, provider_of(request), query.limit, query.cursor)
    return answer(accepted(await request.ask(INTEGRATIONS, question)))


async def shopify(request: ApiRequest) -> Answer:
    body: RawBody = request.body
    topic, told = request.path["topic"], body.headers.get(TOPIC)
    if told is not None and told.replace("/", "-") != topic:
        raise Problem(422, "topic_mismatch", f"{TOPIC} names another topic than the path")
    command = ReceiveWebhook(
        Provider.SHOPIFY,
        topic,
        body.headers.get(SHOP, ""),
        body.headers.get(WEBHOOK_ID, ""),
        body.headers.get(SIGNATURE, ""),
        body.data,
    )
    taken = await request.ask(INTEGRATIONS, command)
    if isinstance(taken, Refusal) and taken.code == "signature_invalid":
        raise Problem(401, taken.code, taken.detail)
    return answer(Taken(accepted(taken).duplicate))


ROUTES: Final = (
    Route(
        method="GET",
        path="/v1/integrations",
        handler=list_,
        summary="What is connected, and how it does",
        tag=TAG,
        roles=STAFF,
        responses={200: Response("The integrations", Integrations)},
    ),
    Route(
        method="GET",
        path="/v1/integrations/{provider}",
        handler=show,
        summary="One integration, and how it does",
        tag=TAG,
        roles=STAFF,
        responses={200: Response("The integration", Integration)},
    ),
    Route(
        method="PUT",
        path="/v1/integrations/{provider}",
        handler=put,
        summary="Connect, or change the secret; the one before counts for another day",
        tag=TAG,
        roles=OWNERS,
        body=IntegrationBody,
        responses={200: Response("The integration", Integration)},
        problems=(409,),
    ),
    Route(
        method="DELETE",
        path="/v1/integrations/{provider}",
        handler=remove,
        summary="Disconnect",
        tag=TAG,
        roles=OWNERS,
        responses={200: Response("It is disconnected", Removed)},
    ),
    Route(
        method="GET",
        path="/v1/integrations/{provider}/webhooks",
        handler=list_webhooks,
        summary="What the provider sent, newest first, and what became of it",
        tag=TAG,
        roles=STAFF,
        query=PageQuery,
        responses={200: Response("One page of webhooks", Page[Webhook])},
    ),
    Route(
        method="POST",
        path="/v1/webhooks/shopify/{topic}",
        handler=shopify,
        summary="A webhook of Shopify, whose topic has a hyphen for the slash",
        tag=TAG,
        public=True,
        raw=(JSON,),
        body_max_bytes=WEBHOOK_MAX_BYTES,
        deadline_s=WEBHOOK_DEADLINE_S,
        headers={
            "X-Shopify-Hmac-Sha256": "base 64 of the HMAC-SHA256 of the body",
            "X-Shopify-Shop-Domain": "the shop's domain",
            "X-Shopify-Webhook-Id": "recognises repetitions",
        },
        responses={200: Response("It is kept, and will be worked off", Taken)},
        problems=(401, 404, 422, 504),
    ),
)
