"""What other parts of LoyalNest may say to the auth domain, and what it answers."""

from enum import Enum

import attrs

from runtime.message import Call

KEYS = "auth.keys"
"""Name of the actor that keeps the signing keys."""

ISSUER = "loyalnest"
AUDIENCE = "loyalnest-api"
TOKEN_TYPE = "at+jwt"  # noqa: S105 - the media type of RFC 9068
ALGORITHM = "EdDSA"
"""What every access token says of itself."""

MAX_TTL_S = 24 * 3600
"""Longest life of a token. So long a key is accepted after it was replaced."""


class Role(Enum):
    """Who calls. Only `CUSTOMER` is bound to one customer, only `PLATFORM` to no merchant."""

    PLATFORM = "platform"
    OWNER = "owner"
    MANAGER = "manager"
    SUPPORT = "support"
    CUSTOMER = "customer"
    MACHINE = "machine"


@attrs.frozen
class Principal:
    """The verified caller of a request."""

    subject: str
    role: Role
    merchant_id: str | None
    customer_id: str | None
    expires_at: float
    token_id: str


@attrs.frozen
class VerificationKey:
    """An Ed25519 public key. `public_pem` is PEM text."""

    kid: str
    public_pem: str


@attrs.frozen
class GetVerificationKeys(Call[tuple[VerificationKey, ...]]):
    """The keys whose tokens are accepted now. For a `kid` that is not among them, the key files
    are looked at first."""

    kid: str | None = None
