"""Passwords hashed with argon2id, in threads of their own that give way to everybody else."""

import base64
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, ClassVar, Protocol, TypeVar

import attrs
import trio
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import ARGON2_VERSION

from actors.auth.inside import Compared, ComparePassword, HashPassword
from runtime import ExitReason, MailboxSpec, Overflow, Workers

Result = TypeVar("Result")

MEMORY_KIB = 47_104
"""46 MiB, what OWASP's cheat sheet on password storage has for one pass."""

PASSES = 1
LANES = 1
SALT_BYTES = 16
DIGEST_BYTES = 32
DECOY_BYTES = SALT_BYTES + DIGEST_BYTES

NICENESS = 5
"""Of the threads, beside 0 of those that answer requests: where both want a processor, a thread
that hashes gets a third of what they get."""

WAITING_MAX = 24
"""Passwords that wait to be hashed. Whoever comes then is turned away at once."""

QUEUE = MailboxSpec(capacity=WAITING_MAX, overflow=Overflow.REJECT)


class Hasher(Protocol):
    """Hashes passwords. `hash` and `compare` block the thread that they are called in."""

    def hash(self, password: str, salt: bytes) -> str: ...

    def compare(self, password: str, hash_: str) -> Compared: ...

    def decoy(self, noise: bytes) -> str:
        """What looks like a hash, takes as long to compare with, and is that of no password.
        `noise` are `DECOY_BYTES` random bytes."""
        ...


@attrs.frozen
class Argon2Hasher:
    """argon2id (RFC 9106). The parameters are part of each hash, so that they may change."""

    _argon2: PasswordHasher = attrs.field(
        factory=lambda: PasswordHasher(PASSES, MEMORY_KIB, LANES, DIGEST_BYTES, SALT_BYTES)
    )

    def hash(self, password: str, salt: bytes) -> str:
        return self._argon2.hash(password, salt=salt)

    def compare(self, password: str, hash_: str) -> Compared:
        try:
            self._argon2.verify(hash_, password)
        except (VerificationError, InvalidHashError):
            return Compared(False)
        return Compared(True, self._argon2.check_needs_rehash(hash_))

    def decoy(self, noise: bytes) -> str:
        of = self._argon2
        parameters = f"m={of.memory_cost},t={of.time_cost},p={of.parallelism}"
        salt, digest = _unpadded(noise[:SALT_BYTES]), _unpadded(noise[SALT_BYTES:])
        return f"$argon2id$v={ARGON2_VERSION}${parameters}${salt}${digest}"


def _unpadded(raw: bytes) -> str:
    return base64.b64encode(raw).decode().rstrip("=")


class HashingThreads:
    """A bounded number of threads. What was begun is waited for, whoever has gone meanwhile."""

    def __init__(self, count: int) -> None:
        self._pool = ThreadPoolExecutor(count, "hashing", initializer=_give_way)

    async def run(self, function: Callable[[], Result]) -> Result:
        """The result of a function that blocks. Cancelled, it ends when the function has."""
        done, token = trio.Event(), trio.lowlevel.current_trio_token()
        future = self._pool.submit(function)

        def tell(_future: Future[Any]) -> None:
            token.run_sync_soon(done.set)

        future.add_done_callback(tell)
        with trio.CancelScope(shield=True):
            await done.wait()
        return future.result()

    def close(self) -> None:
        """Let what runs end by itself."""
        self._pool.shutdown(wait=False, cancel_futures=True)


class InPlace:
    """Runs the function at once, where time is virtual."""

    async def run(self, function: Callable[[], Result]) -> Result:
        await trio.lowlevel.checkpoint()
        return function()

    def close(self) -> None:
        pass


def thread_count() -> int:
    """One processor stays free for everybody else, where there are several."""
    return max(1, len(os.sched_getaffinity(0)) - 1)


def _give_way() -> None:
    """On Linux the niceness of a thread is its own."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)


class Hashing(Workers):
    """The bulkhead of hashing: so many at once as there are threads, a few that wait, no more."""

    concurrency: ClassVar[int] = thread_count()
    batch_max: ClassVar[int] = 1

    def __init__(
        self,
        hasher: Hasher | None = None,
        threads: Callable[[int], HashingThreads | InPlace] = HashingThreads,
    ) -> None:
        super().__init__()
        self._hasher = hasher if hasher is not None else Argon2Hasher()
        self._open = threads
        self._threads: HashingThreads | InPlace
        self._decoy: str

    async def started(self) -> None:
        self._threads = self._open(self.concurrency)
        self._decoy = self._hasher.decoy(self.system.secrets.randbytes(DECOY_BYTES))

    async def stopped(self, reason: ExitReason) -> None:
        self._threads.close()

    async def receive(self, message: Any) -> object:
        match message:
            case HashPassword():
                return await self._hash(message.password)
            case ComparePassword():
                hash_ = message.hash if message.hash is not None else self._decoy
                compare = partial(self._hasher.compare, message.password, hash_)
                compared = await self._threads.run(compare)
                return compared if message.hash is not None else Compared(False)
        return await super().receive(message)

    async def _hash(self, password: str) -> str:
        salt = self.system.secrets.randbytes(SALT_BYTES)
        return await self._threads.run(partial(self._hasher.hash, password, salt))
