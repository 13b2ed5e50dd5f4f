"""The actor that answers for the signing keys."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import trio

from actors.auth.keys import SigningKey, load_signing_key
from actors.auth.messages import KEYS, GetVerificationKeys, VerificationKey
from runtime import Actor, ChildSpec

LoadKey = Callable[[Path], Awaitable[SigningKey]]


async def load_from_disk(directory: Path) -> SigningKey:
    """See `load_signing_key`; in a thread."""
    return await trio.to_thread.run_sync(load_signing_key, directory)


class Keyring(Actor):
    """Gives out the public keys; whoever has them verifies tokens without asking again."""

    def __init__(self, directory: Path, load: LoadKey = load_from_disk) -> None:
        self._directory = directory
        self._load = load
        self._keys: tuple[VerificationKey, ...] = ()

    async def started(self) -> None:
        key = await self._load(self._directory)
        self._keys = (key.verification_key(),)

    async def receive(self, message: Any) -> object:
        if isinstance(message, GetVerificationKeys):
            return self._keys
        return await super().receive(message)


def auth_children(key_directory: Path, load: LoadKey = load_from_disk) -> tuple[ChildSpec, ...]:
    """The domain's children. `load` is another way to the key, as simulations have it."""
    return (ChildSpec("keys", lambda: Keyring(key_directory, load), name=KEYS),)
