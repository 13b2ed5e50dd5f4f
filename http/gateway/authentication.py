"""Who sends a request: access tokens (RFC 9068) or API keys in the header `Authorization`."""

import hashlib
from collections import OrderedDict
from typing import Any, Final

import attrs

from actors.auth.messages import (
    API_KEY_PREFIX,
    API_KEYS,
    Principal,
    Role,
    VerifyApiKey,
)
from gateway.domains import Domains
from gateway.problems import Headers, Problem
from gateway.revoked import RevokedTokens
from gateway.signed_tokens import FOREIGN_KEY, UNREADABLE, SignedToken, token_problem
from gateway.verification_keys import VerificationKeys
from runtime import ActorSystem

NOT_BEFORE_LEEWAY_S: Final = 60.0
"""A token may come from a machine whose clock is ahead. Its end is kept to the second."""

API_KEY_CACHED_S: Final = 30.0
"""How long an API key counts without the auth domain being asked."""

CHALLENGE: Final[Headers] = (("www-authenticate", 'Bearer realm="loyalnest"'),)


@attrs.define(eq=False)
class Authenticator:
    """Turns the header into a principal. Verified tokens are remembered until they expire, or a
    key is withdrawn; API keys for some seconds. What is `_revoked` meanwhile is refused."""

    _system: ActorSystem
    _keys: VerificationKeys
    _domains: Domains
    _revoked: RevokedTokens
    _cached_max: int
    _cache: OrderedDict[bytes, Principal] = attrs.field(factory=OrderedDict)
    _withdrawn: int = 0

    async def principal(self, authorization: bytes | None) -> Principal:
        """Raises `Problem` 401 or, for a suspended merchant, 403."""
        if authorization is None:
            raise Problem(401, "token_required", "send an access token", CHALLENGE)
        principal = await self._principal(authorization)
        await self._revoked.looked()
        self._revoked.check(principal)
        return principal

    async def _principal(self, authorization: bytes) -> Principal:
        if self._keys.old:
            await self._keys.refresh()
        if self._keys.withdrawn != self._withdrawn:
            self._withdrawn = self._keys.withdrawn
            self._cache.clear()
        cached = self._cache.get(authorization)
        now_s = self._system.clock.now().timestamp()
        if cached is not None:
            if cached.expires_at > now_s:
                return cached
            del self._cache[authorization]
        token = bearer(authorization)
        if token.startswith(API_KEY_PREFIX):
            principal = await self._of_api_key(token, now_s)
        else:
            principal = await self._verify(token, now_s)
        self._remember(authorization, principal)
        return principal

    async def _of_api_key(self, token: str, now_s: float) -> Principal:
        question = VerifyApiKey(hashlib.sha256(token.encode()).hexdigest())
        key = await self._domains.ask(API_KEYS, question, repeatable=True)
        if key is None:
            raise token_problem("the API key is not one of ours, has expired or was revoked")
        until = now_s + API_KEY_CACHED_S
        if key.expires_at is not None:
            until = min(until, key.expires_at.timestamp())
        return Principal(
            subject=key.key_id,
            role=Role.MACHINE,
            merchant_id=key.merchant_id,
            customer_id=None,
            expires_at=until,
            token_id=key.key_id,
            permissions=frozenset(key.scopes),
        )

    def _remember(self, authorization: bytes, principal: Principal) -> None:
        self._cache[authorization] = principal
        if len(self._cache) > self._cached_max:
            self._cache.popitem(last=False)

    async def _verify(self, token: str, now_s: float) -> Principal:
        signed = SignedToken.read(token)
        key = await self._keys.get(signed.kid)
        if key is None:
            raise token_problem(FOREIGN_KEY)
        claims = signed.claims(key)
        check_times(claims, now_s)
        return principal_of(claims)


def bearer(authorization: bytes) -> str:
    """The token in `Bearer <token>`. Raises `Problem` 401."""
    scheme, _, token = authorization.partition(b" ")
    if scheme.lower() != b"bearer" or not token:
        raise Problem(401, "token_required", "send an access token as Bearer", CHALLENGE)
    try:
        return token.strip().decode("ascii")
    except UnicodeDecodeError:
        raise token_problem(UNREADABLE) from None


def check_times(claims: dict[str, Any], now_s: float) -> None:
    """Go by the system's clock, which a simulation may run. Raises `Problem` 401."""
    expires_at = claims["exp"]
    starts_at = (claims.get("nbf", claims["iat"]), claims["iat"])
    if not all(_is_number(value) for value in (expires_at, *starts_at)):
        raise token_problem("the token's times are not numbers")
    if expires_at <= now_s:
        raise token_problem("the token has expired")
    if max(starts_at) > now_s + NOT_BEFORE_LEEWAY_S:
        raise token_problem("the token is not valid yet")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def principal_of(claims: dict[str, Any]) -> Principal:
    """The caller, if role, merchant and customer fit together. Raises `Problem` 401."""
    merchant_id, customer_id = claims.get("merchant_id"), claims.get("customer_id")
    scope = claims.get("scope")
    try:
        role = Role(claims.get("role"))
    except ValueError:
        raise token_problem("the token names no role we know") from None
    fits = (
        _fits(merchant_id, role is not Role.PLATFORM)
        and _fits(customer_id, role is Role.CUSTOMER)
        and _fits(claims["sub"], True)
        and _fits(claims["jti"], True)
        and isinstance(claims.get("sid"), str | None)
        and isinstance(scope, str | None)
    )
    if not fits:
        raise token_problem("the token's role, merchant and customer do not fit together")
    return Principal(
        claims["sub"],
        role,
        merchant_id,
        customer_id,
        float(claims["exp"]),
        claims["jti"],
        claims.get("sid"),
        frozenset(scope.split()) if scope is not None else None,
    )


def _fits(value: object, wanted: bool) -> bool:
    return isinstance(value, str) and bool(value) if wanted else value is None
