"""Signing keys: one Ed25519 key in a file only its owner can read."""

import hashlib
import os
from pathlib import Path

import attrs
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from actors.auth.messages import VerificationKey

KEY_FILE = "signing-key.pem"
OWNER_ONLY = 0o600


class KeyFileError(Exception):
    """The signing key cannot be read or made; the text is one line for the operator."""


@attrs.frozen
class SigningKey:
    """`kid` is derived from the public key, so the same file always gives the same id."""

    kid: str
    private: Ed25519PrivateKey = attrs.field(repr=False)

    def verification_key(self) -> VerificationKey:
        return VerificationKey(self.kid, _public_pem(self.private))


def load_signing_key(directory: Path) -> SigningKey:
    """Read the key in `directory`, made on first use. Blocks on the disk.

    Raises `KeyFileError` when the file is unreadable, not a key, or readable by others.
    """
    path = directory / KEY_FILE
    try:
        if not path.exists():
            _create(path)
        if path.stat().st_mode & 0o077:
            raise KeyFileError(f"{path}: readable by others than its owner (chmod 600 it)")
        private = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise KeyFileError(f"{path}: {error.strerror or error}") from error
    except ValueError as error:
        raise KeyFileError(f"{path}: not a private key in PEM form") from error
    if not isinstance(private, Ed25519PrivateKey):
        raise KeyFileError(f"{path}: not an Ed25519 key")
    return signing_key(private)


def signing_key(private: Ed25519PrivateKey) -> SigningKey:
    """The key with its id."""
    return SigningKey(_kid(private), private)


def _create(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, OWNER_ONLY)
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass  # another process was first; its key counts
    finally:
        temporary.unlink()


def _public_pem(private: Ed25519PrivateKey) -> str:
    return (
        private.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )


def _kid(private: Ed25519PrivateKey) -> str:
    raw = private.public_key().public_bytes(
        serialization.Encoding.Raw, serialization.PublicFormat.Raw
    )
    return hashlib.sha256(raw).hexdigest()[:16]
