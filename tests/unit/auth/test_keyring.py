"""The keyring, in virtual time: when it looks at its keys again, and what it goes by meanwhile."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

import attrs
import pytest
import trio

from actors.auth.errors import KeyFileError
from actors.auth.keyring import LOOKS_AT_ONCE, LOOKS_WITHIN_S, POLL_S, Keyring
from actors.auth.keys import KeySet, KeyStore
from actors.auth.messages import KEYS, GetVerificationKeys
from runtime import ActorSystem, ChildSpec, StartFailed
from runtime.ports import seeded_ports
from tests.trees import START
from tests.virtual import run_virtually

pytestmark = pytest.mark.trio(run=run_virtually)


@attrs.define
class Files:
    """Stands in for the key files. Counts how often they are read."""

    keys: KeySet | None
    reads: int = 0

    async def read(self, now: datetime) -> KeySet:
        self.reads += 1
        await trio.lowlevel.checkpoint()
        if self.keys is None:
            raise KeyFileError("signing-key.pem: No such file or directory")
        return self.keys


@pytest.fixture
def sets(tmp_path: Path) -> tuple[KeySet, KeySet]:
    """The keys before and after a rotation."""
    store = KeyStore(tmp_path)
    before = store.read(START)
    store.rotate(START)
    return before, store.read(START)


@asynccontextmanager
async def running(files: Files) -> AsyncIterator[ActorSystem]:
    child = ChildSpec("keys", lambda: Keyring(files.read), name=KEYS)
    async with ActorSystem(seeded_ports(1, START)).run(child) as system:
        yield system


async def accepted(system: ActorSystem, kid: str | None = None) -> list[str]:
    return [key.kid for key in await system.ref(KEYS).ask(GetVerificationKeys(kid))]


async def test_a_rotation_is_noticed_in_time(sets: tuple[KeySet, KeySet]) -> None:
    files = Files(sets[0])
    async with running(files) as system:
        files.keys = sets[1]
        assert await accepted(system) == [sets[0].signing.kid]
        await trio.sleep(POLL_S)
        await trio.lowlevel.checkpoint()
        assert await accepted(system) == [sets[1].signing.kid, sets[0].signing.kid]


async def test_an_unknown_key_makes_it_look_at_once(sets: tuple[KeySet, KeySet]) -> None:
    """A token may be signed with the new key before the next look at the files, and a moment after
    the last one."""
    files = Files(sets[0])
    async with running(files) as system:
        await accepted(system, "stranger")
        files.keys = sets[1]
        assert sets[1].signing.kid in await accepted(system, sets[1].signing.kid)


async def test_unknown_keys_do_not_make_it_look_each_time(sets: tuple[KeySet, KeySet]) -> None:
    files = Files(sets[0])
    async with running(files) as system:
        for _ in range(1000):
            await accepted(system, "stranger")
            await trio.sleep(0.001)
        assert files.reads <= 1 + LOOKS_AT_ONCE * (1 + 1 / LOOKS_WITHIN_S)


async def test_files_that_cannot_be_read_change_nothing(sets: tuple[KeySet, KeySet]) -> None:
    files = Files(sets[0])
    async with running(files) as system:
        files.keys = None
        await trio.sleep(60)
        assert await accepted(system, "stranger") == [sets[0].signing.kid]
        files.keys = sets[1]
        await trio.sleep(POLL_S + 1)
        assert len(await accepted(system)) == 2


async def test_without_keys_it_does_not_start() -> None:
    with pytest.raises((KeyFileError, StartFailed), match="No such file"):
        async with running(Files(None)):
            pass
