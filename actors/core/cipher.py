"""Sealing personal data and secrets (AES-256-GCM), and finding them by a blind index (HMAC)."""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from functools import lru_cache
from random import Random
from typing import NamedTuple

import attrs
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from actors.core.errors import Unsealable

KEY_BYTES = 32
NONCE_BYTES = 12

ABOUTS_KEPT = 1_024
"""Of merchants and purposes, which come again and again."""

CONTACT_INDEX_DIGITS = 32
"""128 bits, which nobody hits by chance. An index of random values costs a page for almost each of
them, and the shorter they are, the fewer pages there are."""


@attrs.frozen
class DataKeys:
    """`index` makes the blind indexes, and stays; of `versions` the highest seals, and all open."""

    index: bytes = attrs.field(repr=False)
    versions: Mapping[int, bytes] = attrs.field(repr=False)

    @property
    def current(self) -> int:
        return max(self.versions)


class Sealed(NamedTuple):
    """`text` is base 64 of nonce, ciphertext and tag; `version` says which key it needs."""

    text: str
    version: int


def generated_keys() -> DataKeys:
    """New keys, the first of their kind."""
    index, first = (AESGCM.generate_key(8 * KEY_BYTES) for _ in range(2))
    return DataKeys(index, {1: first})


def with_next_version(keys: DataKeys) -> DataKeys:
    """The same keys and a new one that seals from now on."""
    fresh = AESGCM.generate_key(8 * KEY_BYTES)
    return attrs.evolve(keys, versions={**keys.versions, keys.current + 1: fresh})


@attrs.frozen
class _Tools:
    """Made of keys once, not for each text. `indexer` is to be copied: setting up its key takes as
    long as all the rest."""

    current: int
    ciphers: Mapping[int, AESGCM]
    indexer: hmac.HMAC


class Vault:
    """Seals, opens and indexes with the keys that it was given last.

    What was sealed for one merchant and purpose does not open for another. Equal texts of two
    merchants have different indexes.
    """

    def __init__(self, keys: DataKeys | None = None) -> None:
        self._keys: DataKeys | None = None
        self._tools: _Tools | None = None
        if keys is not None:
            self.replace(keys)

    def replace(self, keys: DataKeys) -> bool:
        """Use these from now on; says whether they are others than before."""
        if keys == self._keys:
            return False
        self._keys = keys
        ciphers = {version: AESGCM(key) for version, key in keys.versions.items()}
        indexer = hmac.new(keys.index, digestmod=hashlib.sha256)
        self._tools = _Tools(keys.current, ciphers, indexer)
        return True

    @property
    def current(self) -> int:
        """The version that seals."""
        return self._known().current

    @property
    def sealing_keys(self) -> DataKeys:
        """What seals now and makes the blind indexes, for another process that does the same."""
        current = self.current
        assert self._keys is not None  # noqa: S101 - else there would be no version
        return DataKeys(self._keys.index, {current: self._keys.versions[current]})

    def _known(self) -> "_Tools":
        if self._tools is None:
            raise Unsealable("no keys were read yet")
        return self._tools

    def seal(self, merchant_id: str, purpose: str, text: str, random: Random) -> Sealed:
        """`random` makes the nonce, which has to be another one each time, and no secret."""
        tools, nonce = self._known(), random.randbytes(NONCE_BYTES)
        about = _about(merchant_id, purpose)
        sealed = tools.ciphers[tools.current].encrypt(nonce, text.encode(), about)
        return Sealed(base64.b64encode(nonce + sealed).decode(), tools.current)

    def open(self, merchant_id: str, purpose: str, sealed: Sealed) -> str:
        """The text. Raises `Unsealable`."""
        cipher = self._known().ciphers.get(sealed.version)
        if cipher is None:
            raise Unsealable(f"{purpose}: there is no key of version {sealed.version}")
        try:
            raw = base64.b64decode(sealed.text, validate=True)
            text = cipher.decrypt(
                raw[:NONCE_BYTES], raw[NONCE_BYTES:], _about(merchant_id, purpose)
            )
            return text.decode()
        except (InvalidTag, ValueError) as error:
            raise Unsealable(f"{purpose}: not what was sealed") from error

    def blind_index(self, merchant_id: str, purpose: str, text: str) -> str:
        """64 hexadecimal digits, the same for the same text of a merchant."""
        about = _about(merchant_id, purpose)
        digest = self._known().indexer.copy()
        digest.update(len(about).to_bytes(4, "big") + about + text.encode())
        return digest.hexdigest()

    def contact_index(self, merchant_id: str, kind: str, key: str) -> str:
        """The beginning of the blind index, by which customers are found."""
        return self.blind_index(merchant_id, kind, key)[:CONTACT_INDEX_DIGITS]


@lru_cache(maxsize=ABOUTS_KEPT)
def _about(merchant_id: str, purpose: str) -> bytes:
    return f"{purpose}\0{merchant_id}".encode()
