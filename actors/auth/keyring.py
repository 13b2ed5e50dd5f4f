"""The actor that answers for the signing keys, and signs with them."""

from collections import deque
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog
import trio

from actors.auth.errors import KeyFileError
from actors.auth.inside import GetChallengeKey, SignToken
from actors.auth.keys import KeySet, KeyStore
from actors.auth.messages import KEYS, GetVerificationKeys
from actors.auth.tokens import sign_token
from runtime import Actor, ChildSpec
from runtime.coalescing import until_next
from runtime.parking import monotonic
from runtime.trouble import Trouble

log = structlog.get_logger("loyalnest.auth")

POLL_S = 5.0
"""How often the key files are read, so that a key that was replaced is noticed."""

LOOKS_AT_ONCE = 5
LOOKS_WITHIN_S = 0.5
"""So many readings at most in so long, however often unknown keys are asked for. One more than a
moment ago may be needed: a key can come right after a reading."""


CHALLENGES = b"loyalnest captcha challenges"
"""What the key of challenges is derived for."""


ReadKeys = Callable[[datetime], Awaitable[KeySet]]
"""Gives the keys in force at a time. Raises `KeyFileError`."""


ReadFrom = Callable[[KeyStore], ReadKeys]


class Keyring(Actor):
    """Gives out the public keys; whoever has them verifies tokens without asking again.

    Key files that cannot be used prevent a start. Later they change nothing: they may be in the
    middle of being replaced.
    """

    def __init__(self, read: ReadKeys) -> None:
        self._read_keys = read
        self._keys: KeySet
        self._looked_at: deque[float] = deque(maxlen=LOOKS_AT_ONCE)
        self._trouble = Trouble(log, "keys_unreadable", "keys_readable_again")

    async def started(self) -> None:
        self._keys = await self._read()
        self.start_task(self._keep_looking)

    async def receive(self, message: Any) -> object:
        match message:
            case GetVerificationKeys():
                await self._look_for(message.kid)
                return self._keys.accepted
            case SignToken():
                return self._sign(message)
            case GetChallengeKey():
                return self._keys.signing.derived(CHALLENGES)
        return await super().receive(message)

    def _sign(self, message: SignToken) -> str:
        now = self.system.clock.now()
        return sign_token(self._keys.signing, message.claims, now, message.ttl_s)

    async def _look_for(self, kid: str | None) -> None:
        """A key that is not known may have come a moment ago."""
        known = kid is None or any(key.kid == kid for key in self._keys.accepted)
        if known or not self._may_look():
            return
        self._looked_at.append(monotonic())
        await self._look()

    def _may_look(self) -> bool:
        looked_at = self._looked_at
        return len(looked_at) < LOOKS_AT_ONCE or monotonic() - looked_at[0] >= LOOKS_WITHIN_S

    async def _keep_looking(self) -> None:
        while True:
            await trio.sleep(until_next(POLL_S))
            await self._look()

    async def _look(self) -> None:
        try:
            keys = await self._read()
        except KeyFileError as error:
            self._trouble.failed(error)
            return
        self._trouble.ended()
        before, self._keys = self._keys, keys
        if before.accepted != keys.accepted:
            accepted = [key.kid for key in keys.accepted]
            log.info("keys_changed", signs=keys.signing.kid, accepted=accepted)

    async def _read(self) -> KeySet:
        now = self.system.clock.now()
        return await self._read_keys(now)


def keys_from(store: KeyStore) -> ReadKeys:
    """Reads the keys of a store, in a thread."""

    async def read(now: datetime) -> KeySet:
        return await trio.to_thread.run_sync(store.read, now, abandon_on_cancel=True)

    return read


def keyring_child(keys: KeyStore | Path, read_from: ReadFrom = keys_from) -> ChildSpec:
    """The keyring's place in its domain. `read_from` is another way to the keys, as simulations
    have it."""
    read = read_from(KeyStore.of(keys))
    return ChildSpec("keys", lambda: Keyring(read), name=KEYS)
