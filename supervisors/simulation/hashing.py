"""Passwords in simulations: a hash that takes no time and no thread."""

import hashlib

import attrs

from actors.auth.hashing import SALT_BYTES, Hashing, InPlace
from actors.auth.inside import Compared


@attrs.frozen
class QuickHasher:
    """A plain salted hash. Nothing in a simulation is secret."""

    def hash(self, password: str, salt: bytes) -> str:
        digest = hashlib.sha256(salt + password.encode()).hexdigest()
        return f"{salt.hex()}${digest}"

    def compare(self, password: str, hash_: str) -> Compared:
        salt = bytes.fromhex(hash_.partition("$")[0])
        return Compared(self.hash(password, salt) == hash_)

    def decoy(self, noise: bytes) -> str:
        return f"{noise[:SALT_BYTES].hex()}${noise[SALT_BYTES:].hex()}"


def quick_hashing() -> Hashing:
    """The actor, without threads."""
    return Hashing(QuickHasher(), lambda _count: InPlace())
