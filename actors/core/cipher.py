"""Sealing personal data and secrets (AES-256-GCM), and finding them by a blind index (HMAC)."""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from random import Random

import attrs
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from actors.core.errors import Unsealable

KEY_BYTES = 32
NONCE_BYTES = 12

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


@attrs.frozen
class Sealed:
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


class Vault:
    """Seals, opens and indexes with the keys that it was given last.

    What was sealed for one merchant and purpose does not open for another. Equal texts of two
    merchants have different indexes.
    """

    def __init__(self, keys: DataKeys | None = None) -> None:
        self._keys: DataKeys | None = None
        self._ciphers: dict[int, AESGCM] = {}
        if keys is not None:
            self.replace(keys)

    def replace(self, keys: DataKeys) -> bool:
        """Use these from now on; says whether they are others than before."""
        if keys == self._keys:
            return False
        self._keys = keys
        self._ciphers = {version: AESGCM(key) for version, key in keys.versions.items()}
        return True

    @property
    def current(self) -> int:
        """The version that seals."""
        return self._known().current

    def _known(self) -> DataKeys:
        if self._keys is None:
            raise Unsealable("no keys were read yet")
        return self._keys

    def seal(self, merchant_id: str, purpose: str, text: str, random: Random) -> Sealed:
        """`random` makes the nonce, which has to be another one each time, and no secret."""
        version = self.current
        nonce = random.randbytes(NONCE_BYTES)
        about = _about(merchant_id, purpose)
        sealed = self._ciphers[version].encrypt(nonce, text.encode(), about)
        return Sealed(base64.b64encode(nonce + sealed).decode(), version)

    def open(self, merchant_id: str, purpose: str, sealed: Sealed) -> str:
        """The text. Raises `Unsealable`."""
        cipher = self._ciphers.get(sealed.version)
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
        message = len(about).to_bytes(4, "big") + about + text.encode()
        return hmac.new(self._known().index, message, hashlib.sha256).hexdigest()

    def contact_index(self, merchant_id: str, kind: str, key: str) -> str:
        """The beginning of the blind index, by which customers are found."""
        return self.blind_index(merchant_id, kind, key)[:CONTACT_INDEX_DIGITS]


def _about(merchant_id: str, purpose: str) -> bytes:
    return f"{purpose}\0{merchant_id}".encode()
