"""Signed tokens taken apart: JSON web signatures (RFC 7515) of the one kind that we make.

A library for all kinds takes half as long again, on the way of every request with a new token.
There is nothing to choose here: the algorithm is EdDSA, the key is one of ours, and everything else
about a token is refused.
"""

import base64
import binascii
from functools import lru_cache
from typing import Any, Final

import attrs
import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from actors.auth.messages import ALGORITHM, AUDIENCE, ISSUER, TOKEN_TYPE
from gateway.problems import Headers, Problem

TOKEN_TYPES: Final = frozenset({TOKEN_TYPE, f"application/{TOKEN_TYPE}"})
FOREIGN_KEY_HEADERS: Final = frozenset({"jku", "jwk", "x5u", "x5c", "crit"})
REQUIRED_CLAIMS: Final = frozenset({"iss", "aud", "sub", "exp", "iat", "jti"})

HEADERS_MAX: Final = 256
"""Headers that are remembered with what they say: all tokens of one key have the same."""

INVALID_TOKEN: Final[Headers] = (
    ("www-authenticate", 'Bearer realm="loyalnest", error="invalid_token"'),
)

FOREIGN_KEY: Final = "the token is signed with a key that is not ours"
UNREADABLE: Final = "the token cannot be read"
NOT_OURS: Final = "the token is not one of ours"


def token_problem(detail: str) -> Problem:
    return Problem(401, "invalid_token", detail, INVALID_TOKEN)


@attrs.frozen
class SignedToken:
    """A token that is not verified yet. `kid` names the key that its header says."""

    kid: str
    _signed: bytes
    _payload: str
    _signature: bytes

    @classmethod
    def read(cls, token: str) -> "SignedToken":
        """Take it apart. Raises `Problem` 401."""
        header, _, rest = token.partition(".")
        payload, _, signature = rest.partition(".")
        if not payload or not signature or "." in signature:
            raise token_problem(UNREADABLE)
        signed = f"{header}.{payload}".encode()
        return cls(_key_id_in(header), signed, payload, _raw(signature))

    def claims(self, key: Ed25519PublicKey) -> dict[str, Any]:
        """What it claims, if the key has signed it for us. Raises `Problem` 401."""
        try:
            key.verify(self._signature, self._signed)
        except InvalidSignature:
            raise token_problem(NOT_OURS) from None
        claims = _json(self._payload)
        for_us = claims.get("aud") == AUDIENCE and claims.get("iss") == ISSUER
        if not for_us or not claims.keys() >= REQUIRED_CLAIMS:
            raise token_problem(NOT_OURS)
        return claims


@lru_cache(maxsize=HEADERS_MAX)
def _key_id_in(part: str) -> str:
    """The key id in a token's header, of a token that names no key of its own."""
    header = _json(part)
    kid, type_ = header.get("kid"), header.get("typ")
    if not isinstance(kid, str) or not FOREIGN_KEY_HEADERS.isdisjoint(header):
        raise token_problem(FOREIGN_KEY)
    if not isinstance(type_, str) or type_.lower() not in TOKEN_TYPES:
        raise token_problem("the token is not an access token")
    if header.get("alg") != ALGORITHM:
        raise token_problem(NOT_OURS)
    return kid


def _json(part: str) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(_raw(part))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise token_problem(UNREADABLE) from None
    if not isinstance(value, dict):
        raise token_problem(UNREADABLE)
    return value


def _raw(part: str) -> bytes:
    """Base64 for URLs, without padding."""
    try:
        return base64.b64decode(part + "=" * (-len(part) % 4), b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise token_problem(UNREADABLE) from None
