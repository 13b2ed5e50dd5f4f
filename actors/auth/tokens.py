"""Access tokens: JSON web tokens signed with EdDSA (RFC 7519, RFC 8037, RFC 9068)."""

from datetime import datetime, timedelta

import jwt

from actors.auth.keys import SigningKey
from actors.auth.messages import ALGORITHM, AUDIENCE, ISSUER, MAX_TTL_S, TOKEN_TYPE, Role


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
    """A signed access token, valid from `now` for `ttl_s` seconds.

    Raises `ValueError` when role, merchant and customer do not fit together, or the time to
    live is not 1 to `MAX_TTL_S` seconds.
    """
    _check(role, merchant_id, customer_id, ttl_s)
    claims: dict[str, object] = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": subject,
        "role": role.value,
        "jti": token_id,
        "iat": now,
        "nbf": now,
        "exp": now + timedelta(seconds=ttl_s),
    }
    if merchant_id is not None:
        claims["merchant_id"] = merchant_id
    if customer_id is not None:
        claims["customer_id"] = customer_id
    headers = {"kid": key.kid, "typ": TOKEN_TYPE}
    return jwt.encode(claims, key.private, algorithm=ALGORITHM, headers=headers)


def _check(role: Role, merchant_id: str | None, customer_id: str | None, ttl_s: int) -> None:
    if (merchant_id is None) != (role is Role.PLATFORM):
        raise ValueError("every role but platform needs a merchant, and platform has none")
    if (customer_id is None) != (role is not Role.CUSTOMER):
        raise ValueError("the role customer, and no other, needs a customer")
    if not 1 <= ttl_s <= MAX_TTL_S:
        raise ValueError(f"the time to live must be 1 to {MAX_TTL_S} seconds")
