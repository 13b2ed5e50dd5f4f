"""The routes to API keys: what a merchant's programs call with."""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from actors.auth.messages import (
    API_KEYS,
    QUERIES,
    ApiKey,
    CreateApiKey,
    CreatedKey,
    ListApiKeys,
    RevokeApiKey,
    Role,
)
from actors.vocabulary import Page
from gateway.api_auth import TAG
from gateway.api_sessions import Done
from gateway.auditing import audited
from gateway.bodies import Body, Instant, PageQuery, Text, utc_or_none
from gateway.permissions import check_known, check_not_more, permissions_of
from gateway.routes import OWNERS, Answer, ApiRequest, Handler, Response, Route, accepted, answer

PATH: Final = "/v1/auth/api-keys"
ONE: Final = PATH + "/{key_id}"

Scope = Annotated[str, Meta(min_length=3, max_length=64, description="such as `orders:write`")]
Scopes = Annotated[tuple[Scope, ...], Meta(min_length=1, max_length=64)]


class ApiKeyBody(Body, frozen=True, kw_only=True):
    """`scopes` are all that the key may; it never expires without `expires_at`."""

    name: Text
    scopes: Scopes
    expires_at: Instant | None = None


class ApiKeyInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A key without its secret. `last_used_at` is right to the minute."""

    key_id: str
    name: str
    scopes: tuple[str, ...]
    created_by: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


class NewApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """`secret` is what to send as Bearer token. It is told this once."""

    key: ApiKeyInfo
    secret: str


def info(key: ApiKey) -> ApiKeyInfo:
    return ApiKeyInfo(
        key_id=key.key_id,
        name=key.name,
        scopes=key.scopes,
        created_by=key.created_by,
        created_at=key.created_at,
        expires_at=key.expires_at,
        last_used_at=key.last_used_at,
    )


def _creating(known: frozenset[str]) -> Handler:
    async def create(request: ApiRequest) -> Answer:
        body: ApiKeyBody = request.body
        scopes = tuple(sorted(set(body.scopes)))
        check_known(scopes, known, "scopes")
        check_not_more(request.caller, scopes)
        key_id = request.system.ids.new("key")
        after = {"name": body.name, "scopes": list(scopes)}
        merchant_id = request.merchant_id
        event = audited(request, "api_key.create", key_id, after=after, merchant_id=merchant_id)
        command = CreateApiKey(
            merchant_id=merchant_id,
            key_id=key_id,
            name=body.name,
            scopes=scopes,
            created_by=request.caller.subject,
            expires_at=utc_or_none(body.expires_at, "expires_at"),
            publishes=(event,),
        )
        created: CreatedKey = accepted(await request.ask(API_KEYS, command))
        return answer(NewApiKey(key=info(created.key), secret=created.secret), 201)

    return create


async def list_(request: ApiRequest) -> Answer:
    query: PageQuery = request.query
    wanted = ListApiKeys(request.merchant_id, query.limit, query.cursor)
    found: Page[ApiKey] = accepted(await request.ask(QUERIES, wanted))
    return answer(Page(tuple(map(info, found.items)), found.next_cursor))


async def revoke(request: ApiRequest) -> Answer:
    key_id, merchant_id = request.path["key_id"], request.merchant_id
    event = audited(request, "api_key.revoke", key_id, merchant_id=merchant_id)
    accepted(await request.ask(API_KEYS, RevokeApiKey(merchant_id, key_id, (event,))))
    return answer(Done())


def api_key_routes(others: Iterable[Route]) -> tuple[Route, ...]:
    """The routes. Scopes are the permissions of the routes that machines may use."""
    return (
        Route(
            method="POST",
            path=PATH,
            handler=_creating(permissions_of(others, Role.MACHINE)),
            summary="Make an API key; its secret is told this once",
            tag=TAG,
            roles=OWNERS,
            body=ApiKeyBody,
            responses={201: Response("The key, and its secret", NewApiKey)},
            problems=(409,),
        ),
        Route(
            method="GET",
            path=PATH,
            handler=list_,
            summary="The merchant's API keys, without their secrets",
            tag=TAG,
            roles=OWNERS,
            query=PageQuery,
            responses={200: Response("One page of keys", Page[ApiKeyInfo])},
        ),
        Route(
            method="DELETE",
            path=ONE,
            handler=revoke,
            summary="Accept an API key no longer",
            tag=TAG,
            roles=OWNERS,
            responses={200: Response("It is revoked", Done)},
        ),
    )
