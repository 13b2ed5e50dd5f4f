"""The actor that answers for the signing keys."""

from pathlib import Path
from typing import Any

import trio

from actors.auth.keys import load_signing_key
from actors.auth.messages import KEYS, GetVerificationKeys, VerificationKey
from runtime import Actor, ChildSpec


class Keyring(Actor):
    """Gives out the public keys; whoever has them verifies tokens without asking again."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._keys: tuple[VerificationKey, ...] = ()

    async def started(self) -> None:
        key = await trio.to_thread.run_sync(load_signing_key, self._directory)
        self._keys = (key.verification_key(),)

    async def receive(self, message: Any) -> object:
        if isinstance(message, GetVerificationKeys):
            return self._keys
        return await super().receive(message)


def auth_children(key_directory: Path) -> tuple[ChildSpec, ...]:
    """The domain's children."""
    return (ChildSpec("keys", lambda: Keyring(key_directory), name=KEYS),)
