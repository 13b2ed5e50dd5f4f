"""Proofs of work as ALTCHA has them: cheap to check, dear to solve by the thousand.

The challenge is SHA-256 over salt and number; the salt says until when it counts, and the signature
that it is ours. Source: the protocol description at altcha.org, version 1.
"""

import base64
import hashlib
import hmac
from datetime import datetime
from random import Random
from urllib.parse import parse_qs

import attrs
import msgspec

from actors.auth.messages import Challenge

ALGORITHM = "SHA-256"
NUMBER_MAX = 50_000
"""Half of it is tried on average, which takes a phone some tenths of a second."""

VALID_S = 600
SALT_BYTES = 12
SOLUTION_CHARACTERS_MAX = 2_000


class Solution(msgspec.Struct, frozen=True):
    """What the client sends back, as JSON in base64."""

    algorithm: str
    challenge: str
    number: int
    salt: str
    signature: str


@attrs.frozen
class Solved:
    """A right solution. It counts until `expires_at`, in seconds since 1970."""

    challenge: str
    expires_at: int


def make_challenge(key: bytes, secrets: Random, now: datetime) -> Challenge:
    """A challenge signed with `key`."""
    expires_at = int(now.timestamp()) + VALID_S
    salt = f"{secrets.randbytes(SALT_BYTES).hex()}?expires={expires_at}&"
    challenge = _digest(salt, secrets.randrange(NUMBER_MAX))
    return Challenge(ALGORITHM, challenge, NUMBER_MAX, salt, _signature(key, challenge))


def check_solution(key: bytes, text: str, now: datetime) -> Solved | None:
    """What was solved; None when it was not, or is too late, or the challenge is not ours."""
    if len(text) > SOLUTION_CHARACTERS_MAX:
        return None
    try:
        raw = base64.b64decode(text.encode("ascii"), validate=True)
        solution = msgspec.json.decode(raw, type=Solution)
        expires_at = int(parse_qs(solution.salt.partition("?")[2])["expires"][0])
        ours = hmac.compare_digest(solution.signature, _signature(key, solution.challenge))
    except (ValueError, KeyError, TypeError, msgspec.MsgspecError, RecursionError):
        return None
    right = (
        solution.algorithm == ALGORITHM
        and 0 <= solution.number <= NUMBER_MAX
        and _digest(solution.salt, solution.number) == solution.challenge
    )
    if not (ours and right and expires_at > now.timestamp()):
        return None
    return Solved(solution.challenge, expires_at)


def solve(challenge: Challenge) -> str:
    """The solution of a challenge, found as clients find it. Takes as long as that takes."""
    numbers, wanted = range(challenge.maxnumber + 1), challenge.challenge
    number = next(each for each in numbers if _digest(challenge.salt, each) == wanted)
    solution = Solution(
        challenge.algorithm, challenge.challenge, number, challenge.salt, challenge.signature
    )
    return base64.b64encode(msgspec.json.encode(solution)).decode()


def _digest(salt: str, number: int) -> str:
    return hashlib.sha256(f"{salt}{number}".encode("utf-8", "surrogatepass")).hexdigest()


def _signature(key: bytes, challenge: str) -> str:
    return hmac.new(key, challenge.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
