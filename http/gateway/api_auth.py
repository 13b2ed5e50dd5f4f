"""The auth routes: who am I, and the keys that verify access tokens."""

import base64
from datetime import UTC, datetime
from typing import Final

import msgspec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
)

from actors.auth.messages import KEYS, GetVerificationKeys, Role, VerificationKey
from gateway.routes import EVERYONE, Answer, ApiRequest, Response, Route, answer

TAG: Final = "Auth"


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """The caller, as the access token names it. `permissions` are all that it may, null where its
    role alone says that."""

    subject: str
    role: Role
    merchant_id: str | None
    customer_id: str | None
    permissions: tuple[str, ...] | None
    expires_at: datetime


class JsonWebKey(msgspec.Struct, frozen=True):
    """An Ed25519 public key (RFC 8037)."""

    kid: str
    x: str
    kty: str = "OKP"
    crv: str = "Ed25519"
    alg: str = "EdDSA"
    use: str = "sig"


class JsonWebKeySet(msgspec.Struct, frozen=True):
    keys: list[JsonWebKey]


async def me(request: ApiRequest) -> Answer:
    caller = request.caller
    return answer(
        Caller(
            subject=caller.subject,
            role=caller.role,
            merchant_id=caller.merchant_id,
            customer_id=caller.customer_id,
            permissions=_sorted(caller.permissions),
            expires_at=datetime.fromtimestamp(caller.expires_at, UTC),
        )
    )


def _sorted(permissions: frozenset[str] | None) -> tuple[str, ...] | None:
    return tuple(sorted(permissions)) if permissions is not None else None


async def jwks(request: ApiRequest) -> Answer:
    keys = await request.ask(KEYS, GetVerificationKeys())
    return answer(JsonWebKeySet([json_web_key(key) for key in keys]))


def json_web_key(key: VerificationKey) -> JsonWebKey:
    public = load_pem_public_key(key.public_pem.encode())
    raw = public.public_bytes(Encoding.Raw, PublicFormat.Raw)
    return JsonWebKey(key.kid, base64.urlsafe_b64encode(raw).decode().rstrip("="))


ROUTES: Final = (
    Route(
        method="GET",
        path="/v1/auth/me",
        handler=me,
        summary="The caller, as the access token names it",
        tag=TAG,
        roles=EVERYONE,
        personal=True,
        responses={200: Response("The caller", Caller)},
    ),
    Route(
        method="GET",
        path="/v1/auth/jwks.json",
        handler=jwks,
        summary="The public keys that verify access tokens",
        tag=TAG,
        public=True,
        responses={200: Response("A JSON web key set", JsonWebKeySet)},
        problems=(503, 504),
    ),
)
