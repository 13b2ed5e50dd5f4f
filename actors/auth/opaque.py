"""Secrets that mean nothing by themselves: refresh tokens, API keys, tokens of devices.

They have 256 random bits, so that a plain hash of them can neither be guessed nor turned back: what
is slow about hashing passwords is for secrets that people choose.
"""

import hashlib
from random import Random

SECRET_BYTES = 32


def new_secret(secrets: Random, prefix: str) -> str:
    """A fresh secret. `secrets` must be the port for what nobody may guess."""
    return prefix + secrets.randbytes(SECRET_BYTES).hex()


def fingerprint(secret: str) -> str:
    """What is kept of a secret: its SHA-256, as 64 hexadecimal digits."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
