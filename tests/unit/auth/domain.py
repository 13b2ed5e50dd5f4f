"""The auth domain over a platform in memory, in virtual time, with a hash that costs nothing."""

import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import attrs
import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from trio.lowlevel import checkpoint

from actors.auth.hashing import Hashing, InPlace
from actors.auth.inside import Compared
from actors.auth.keyring import ReadKeys
from actors.auth.keys import KeySet, KeyStore, signing_key
from actors.auth.messages import (
    ACCOUNTS,
    LOGINS,
    SESSIONS,
    Account,
    CreateAccount,
    Denial,
    Grant,
    LogIn,
    LogOut,
    Principal,
    Refresh,
    Role,
)
from actors.auth.supervisor import auth_children
from gateway.authentication import principal_of
from runtime import INFINITE, ActorSystem, ChildSpec, Supervisor
from runtime.cache import CacheHandle
from runtime.ownership import Ownership
from runtime.ports import seeded_ports
from runtime.storage import DatabaseHandle
from supervisors.application import MIGRATIONS, SUBSCRIPTIONS
from supervisors.cache import cache_child
from supervisors.platform import DatabaseSpec, platform
from tests.stores import open_migrated
from tests.trees import MEMORY, START

MERCHANT = "flora"
EMAIL = "ada@flora.example"
PASSWORD = "nine green bicycles"
ADDRESS = "192.0.2.7"
KEY = signing_key(Ed25519PrivateKey.from_private_bytes(b"k" * 32))


@attrs.define
class CheapHasher:
    """Keeps the contract of a hasher, and nothing secret. Counts what it compares."""

    version: int = 1
    compared: int = 0

    def hash(self, password: str, salt: bytes) -> str:
        digest = hashlib.sha256(salt + password.encode()).hexdigest()
        return f"cheap${self.version}${salt.hex()}${digest}"

    def compare(self, password: str, hash_: str) -> Compared:
        self.compared += 1
        _, version, salt, digest = hash_.split("$")
        found = hashlib.sha256(bytes.fromhex(salt) + password.encode()).hexdigest()
        return Compared(found == digest, found == digest and int(version) != self.version)

    def decoy(self, noise: bytes) -> str:
        return f"cheap${self.version}${noise[:16].hex()}${noise[16:].hex()}"


def fixed_keys(_store: KeyStore) -> ReadKeys:
    """One signing key, from nowhere."""

    async def read(_now: datetime) -> KeySet:
        await checkpoint()
        return KeySet(KEY, (KEY.verification_key(),))

    return read


@attrs.define
class Domain:
    """A running domain, with short ways to say what tests say often."""

    system: ActorSystem
    database: DatabaseHandle
    cache: CacheHandle
    hasher: CheapHasher

    async def create(
        self,
        role: Role = Role.OWNER,
        email: str = EMAIL,
        password: str = PASSWORD,
        **rest: Any,
    ) -> Account:
        merchant_id = None if role is Role.PLATFORM else MERCHANT
        account_id = self.system.ids.new("acc")
        command = CreateAccount(
            merchant_id=rest.pop("merchant_id", merchant_id),
            account_id=account_id,
            email=email,
            password=password,
            role=role,
            **rest,
        )
        account = await self.system.ref(ACCOUNTS).ask(command)
        assert isinstance(account, Account), account
        return account

    async def try_login(self, password: str = PASSWORD, **rest: Any) -> Grant | Denial:
        login = {"merchant_id": MERCHANT, "email": EMAIL, "address": ADDRESS} | rest
        return await self.system.ref(LOGINS).ask(LogIn(password=password, **login))

    async def log_in(self, password: str = PASSWORD, **rest: Any) -> Grant:
        answer = await self.try_login(password, **rest)
        assert isinstance(answer, Grant), answer
        return answer

    async def denied(self, password: str = "wrong", **rest: Any) -> str:
        """The code that a login is denied with."""
        answer = await self.try_login(password, **rest)
        assert isinstance(answer, Denial), answer
        return answer.code

    async def refresh(self, token: str) -> Grant | Denial:
        return await self.system.ref(SESSIONS).ask(Refresh(token))

    async def log_out(self, access_token: str) -> None:
        await self.system.ref(SESSIONS).ask(LogOut(caller_of(access_token)))


def caller_of(access_token: str) -> Principal:
    """The caller that a token names, without any check."""
    return principal_of(jwt.decode(access_token, options={"verify_signature": False}))


@asynccontextmanager
async def running_domain(
    *,
    url: str = MEMORY,
    cache: CacheHandle | None = None,
    hasher: CheapHasher | None = None,
    start_hashing: Callable[[], Hashing] | None = None,
    seed: int = 1,
) -> AsyncIterator[Domain]:
    """Platform and auth domain. In memory they run in virtual time."""
    handle = DatabaseHandle()
    shared = cache if cache is not None else CacheHandle()
    cheap = hasher if hasher is not None else CheapHasher()
    hashing = start_hashing or (lambda: Hashing(cheap, lambda _count: InPlace()))

    def below() -> Supervisor:
        ownership = Ownership(on_loss=handle.retire)
        kept = cache_child(None, shared)
        spec = DatabaseSpec(url, opener=open_migrated)
        return platform(spec, handle, MIGRATIONS, SUBSCRIPTIONS, ownership, kept)

    def domain() -> Supervisor:
        children = auth_children(Path("nowhere"), handle, shared, fixed_keys, hashing)
        return Supervisor(children, intensity=5)

    root = ChildSpec(
        "test",
        lambda: Supervisor(
            (
                ChildSpec("platform", below, shutdown_s=INFINITE, start_timeout_s=INFINITE),
                ChildSpec("auth", domain, name="test.auth", shutdown_s=INFINITE),
            )
        ),
        name="test",
        shutdown_s=INFINITE,
        start_timeout_s=INFINITE,
    )
    system = ActorSystem(seeded_ports(seed, START))
    async with system.run(root):
        yield Domain(system, handle, shared, cheap)
