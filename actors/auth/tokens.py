"""Access tokens: JSON web tokens signed with EdDSA (RFC 7519, RFC 8037, RFC 9068)."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import attrs
import jwt

from actors.auth.keys import SigningKey
from actors.auth.messages import ALGORITHM, AUDIENCE, ISSUER, MAX_TTL_S, TOKEN_TYPE, Role


@attrs.frozen(kw_only=True)
class Claims:
    """Whom a token is for. With `permissions` it allows no more than these, of what the role
    allows."""

    subject: str
    role: Role
    merchant_id: str | None
    customer_id: str | None
    token_id: str
    session_id: str | None = None
    permissions: Sequence[str] | None = None


def sign_token(key: SigningKey, claims: Claims, now: datetime, ttl_s: int) -> str:
    """A signed access token, valid from `now` for `ttl_s` seconds.

    Raises `ValueError` when role, merchant and customer do not fit together, or the time to
    live is not 1 to `MAX_TTL_S` seconds.
    """
    _check(claims.role, claims.merchant_id, claims.customer_id, ttl_s)
    encoded: dict[str, object] = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": claims.subject,
        "role": claims.role.value,
        "jti": claims.token_id,
        "iat": now,
        "nbf": now,
        "exp": now + timedelta(seconds=ttl_s),
    }
    scope = " ".join(claims.permissions) if claims.permissions is not None else None
    more = {
        "merchant_id": claims.merchant_id,
        "customer_id": claims.customer_id,
        "sid": claims.session_id,
        "scope": scope,
    }
    encoded |= {name: value for name, value in more.items() if value is not None}
    headers = {"kid": key.kid, "typ": TOKEN_TYPE}
    return jwt.encode(encoded, key.private, algorithm=ALGORITHM, headers=headers)


def issue_token(
    key: SigningKey,
    *,
    subject: str,
    role: Role,
    merchant_id: str | None,
    customer_id: str | None,
    token_id: str,
    now: datetime,
    ttl_s: int,
) -> str:
    """A token without a session, as `sign_token` makes it."""
    claims = Claims(
        subject=subject,
        role=role,
        merchant_id=merchant_id,
        customer_id=customer_id,
        token_id=token_id,
    )
    return sign_token(key, claims, now, ttl_s)


def _check(role: Role, merchant_id: str | None, customer_id: str | None, ttl_s: int) -> None:
    if (merchant_id is None) != (role is Role.PLATFORM):
        raise ValueError("every role but platform needs a merchant, and platform has none")
    if (customer_id is None) != (role is not Role.CUSTOMER):
        raise ValueError("the role customer, and no other, needs a customer")
    if not 1 <= ttl_s <= MAX_TTL_S:
        raise ValueError(f"the time to live must be 1 to {MAX_TTL_S} seconds")
