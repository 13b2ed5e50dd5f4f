"""The public keys that access tokens are verified with, as the auth domain gives them out."""

from typing import Final

import attrs
import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from actors.auth.messages import KEYS, GetVerificationKeys
from gateway.domains import Domains
from runtime import ActorError
from runtime.policies import PolicyError

REFETCH_KEYS_S: Final = 0.1
"""Unknown key ids make the gateway ask for the keys at most this often. Whoever brings one waits
that long: a key may be some milliseconds old."""

REFRESH_KEYS_S: Final = 10.0
"""How old the keys may get while all ids are known: one may have been withdrawn meanwhile."""

REFRESH_TIMEOUT_S: Final = 0.1


@attrs.define(eq=False)
class VerificationKeys:
    """The keys in force, asked for when they are old or an unknown key id turns up.

    While the auth domain is down, the keys that are known stay. `withdrawn` counts how often one
    of them was not given out any more.
    """

    _domains: Domains
    _timeout_s: float
    withdrawn: int = 0
    _keys: dict[str, Ed25519PublicKey] = attrs.field(factory=dict)
    _asked_at: float = -REFRESH_KEYS_S
    _answered_at: float = -REFRESH_KEYS_S
    """When that was asked which was answered last."""

    _fetching: trio.Lock = attrs.field(factory=trio.Lock)

    async def get(self, kid: str) -> Ed25519PublicKey | None:
        """Raises `ActorError` or `PolicyError` when the key is not known and the keys cannot be
        had."""
        key = self._keys.get(kid)
        if key is not None:
            return key
        came_at = trio.current_time()
        async with self._fetching:
            if kid not in self._keys and self._answered_at < came_at:
                await trio.sleep_until(self._asked_at + REFETCH_KEYS_S)
                await self._fetch(kid, self._timeout_s)
        return self._keys.get(kid)

    @property
    def old(self) -> bool:
        return trio.current_time() - self._asked_at >= REFRESH_KEYS_S

    async def refresh(self) -> None:
        """Ask again, unless somebody does already; those who come meanwhile go by what is known."""
        if self._fetching.locked() or not self._keys:
            return
        async with self._fetching:
            try:
                await self._fetch(None, REFRESH_TIMEOUT_S)
            except (ActorError, PolicyError):
                return

    async def _fetch(self, kid: str | None, timeout_s: float) -> None:
        asked_at = self._asked_at = trio.current_time()
        question = GetVerificationKeys(kid)
        keys = await self._domains.ask(KEYS, question, timeout_s=timeout_s, repeatable=True)
        self._answered_at = asked_at
        before = self._keys
        self._keys = {key.kid: before.get(key.kid) or _public_key(key.public_pem) for key in keys}
        self.withdrawn += bool(before.keys() - self._keys.keys())


def _public_key(pem: str) -> Ed25519PublicKey:
    key = load_pem_public_key(pem.encode())
    if not isinstance(key, Ed25519PublicKey):
        raise TypeError("the auth domain gave out a key that is not Ed25519")
    return key
