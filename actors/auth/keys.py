"""Signing keys: an Ed25519 key in a file, the keys that it replaced, and keys that only verify."""

import hashlib
from datetime import datetime
from pathlib import Path

import attrs
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from actors.auth.errors import KeyFileError
from actors.auth.messages import VerificationKey
from actors.auth.records import KeyRecords
from actors.key_files import write_key_file
from config.secret_files import exposure

KEY_FILE = "signing-key.pem"
VERIFY_ONLY = "verify-*.pem"
"""Beside the signing key: keys of which tokens are accepted, and none are signed."""

VERIFY_ONLY_MAX = 16
KEY_MAX_BYTES = 16 * 1024
DERIVED_BYTES = 32


@attrs.frozen
class SigningKey:
    """`kid` is derived from the public key, so the same file always gives the same id."""

    kid: str
    private: Ed25519PrivateKey = attrs.field(repr=False)

    def verification_key(self) -> VerificationKey:
        return VerificationKey(self.kid, _public_pem(self.private.public_key()))

    def derived(self, purpose: bytes) -> bytes:
        """A secret for another purpose, which says nothing about this key (HKDF, RFC 5869)."""
        derivation = HKDF(SHA256(), DERIVED_BYTES, salt=None, info=purpose)
        return derivation.derive(self.private.private_bytes_raw())


@attrs.frozen
class KeySet:
    """The key that signs, and all keys whose tokens are accepted, that one first."""

    signing: SigningKey
    accepted: tuple[VerificationKey, ...]


@attrs.frozen
class KeyStore:
    """Where the keys are: in `directory`, which also keeps the record of those that were replaced,
    or the signing key in `key_file` elsewhere.

    A key is made on first use in `directory`, where `may_make` allows it. Every method blocks on
    the disk and raises `KeyFileError`.
    """

    directory: Path
    key_file: Path | None = None
    may_make: bool = True

    @classmethod
    def of(cls, place: "Path | KeyStore") -> "KeyStore":
        """A store whose keys are all in one directory, unless it is one already."""
        return place if isinstance(place, KeyStore) else cls(place)

    @property
    def path(self) -> Path:
        return self.key_file if self.key_file is not None else self.directory / KEY_FILE

    @property
    def records(self) -> KeyRecords:
        return KeyRecords(self.directory)

    def signing_key(self) -> SigningKey:
        """The key that signs now, made on first use."""
        if self.key_file is None and self.may_make and not self.path.exists():
            _create(self.path, replace=False)
        return _read_private(self.path)

    def read(self, now: datetime) -> KeySet:
        """The keys as they are now. What the signing key has replaced since the last time is
        recorded, and accepted until the last token that it can have signed has expired."""
        signing = self.signing_key()
        mine = signing.verification_key()
        found = [mine, *self._verify_only(), *self.records.note(mine, now)]
        return KeySet(signing, tuple({key.kid: key for key in found}.values()))

    def _verify_only(self) -> list[VerificationKey]:
        paths = sorted(self.path.parent.glob(VERIFY_ONLY))
        return [_read_public(path) for path in paths[:VERIFY_ONLY_MAX]]

    def rotate(self, now: datetime) -> SigningKey:
        """Put a new key in the place of the one that signs, which is still accepted after that."""
        if self.path.exists():
            self.records.note(_read_private(self.path).verification_key(), now)
        _create(self.path, replace=True)
        return self.read(now).signing


def load_signing_key(place: Path | KeyStore) -> SigningKey:
    """Read the key in a directory, made on first use. Blocks on the disk.

    Raises `KeyFileError` when the file is unreadable, not a key, or readable by others.
    """
    return KeyStore.of(place).signing_key()


def _read_private(path: Path) -> SigningKey:
    try:
        problem = exposure(path)
        if problem is not None:
            raise KeyFileError(f"{path}: {problem}")
        private = serialization.load_pem_private_key(_read(path), password=None)
    except OSError as error:
        raise KeyFileError(f"{path}: {error.strerror or error}") from error
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise KeyFileError(f"{path}: not a private key in PEM form") from None
    if not isinstance(private, Ed25519PrivateKey):
        raise KeyFileError(f"{path}: not an Ed25519 key")
    return signing_key(private)


def signing_key(private: Ed25519PrivateKey) -> SigningKey:
    """The key with its id."""
    return SigningKey(_kid(private.public_key()), private)


def _read_public(path: Path) -> VerificationKey:
    """The public half of a key file, of which either half may be given."""
    try:
        raw = _read(path)
        if b"PRIVATE KEY" in raw:
            return _read_private(path).verification_key()
        public = serialization.load_pem_public_key(raw)
    except OSError as error:
        raise KeyFileError(f"{path}: {error.strerror or error}") from error
    except (ValueError, UnsupportedAlgorithm):
        raise KeyFileError(f"{path}: not a key in PEM form") from None
    if not isinstance(public, Ed25519PublicKey):
        raise KeyFileError(f"{path}: not an Ed25519 key")
    return VerificationKey(_kid(public), _public_pem(public))


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(KEY_MAX_BYTES)


def _create(path: Path, *, replace: bool) -> None:
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_key_file(path, pem, replace=replace)
    except OSError as error:
        raise KeyFileError(f"{path}: {error.strerror or error}") from error


def _public_pem(public: Ed25519PublicKey) -> str:
    return public.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode()


def _kid(public: Ed25519PublicKey) -> str:
    raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return hashlib.sha256(raw).hexdigest()[:16]
