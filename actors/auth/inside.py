"""What the parts of the auth domain say to each other."""

import attrs

from actors.auth.messages import Revoked
from actors.auth.tokens import Claims
from runtime.message import Call

HASHING = "auth.hashing"
"""Name of the actor that hashes and compares passwords, in threads of its own."""


@attrs.frozen
class SignToken(Call[str]):
    """To `KEYS`: an access token, signed with the key in force."""

    claims: Claims
    ttl_s: int


@attrs.frozen
class GetChallengeKey(Call[bytes]):
    """To `KEYS`: a secret that follows from the key in force, to sign challenges with."""


@attrs.frozen
class HashPassword(Call[str]):
    """To `HASHING`."""

    password: str = attrs.field(repr=False)


@attrs.frozen
class Compared:
    """`rehash`: the password is right, and its hash was made with other parameters than now."""

    right: bool
    rehash: bool = False


@attrs.frozen
class ComparePassword(Call[Compared]):
    """To `HASHING`: without a hash it takes the same time, and is never right."""

    password: str = attrs.field(repr=False)
    hash: str | None = attrs.field(repr=False)


@attrs.frozen
class Spread(Call[None]):
    """To `REVOCATIONS`: these are revoked, durably; let everybody know."""

    revoked: tuple[Revoked, ...]


@attrs.frozen
class Redeem(Call[bool]):
    """To `CAPTCHA`: whether a solution is right, and was not taken before. True only once."""

    solution: str = attrs.field(repr=False)
