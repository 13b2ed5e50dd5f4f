"""The watcher of secrets, in virtual time."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import attrs
import pytest
import trio

from config import SettingsError
from runtime import ActorSystem
from runtime.ports import seeded_ports
from runtime.rotation import RotatingSecret
from supervisors.secrets import LOOK_AGAIN_S, POLL_S, WatchedSecret, secrets_child
from tests.trees import START
from tests.virtual import run_virtually

pytestmark = pytest.mark.trio(run=run_virtually)

PICKED_UP_S = 60.0
"""What is promised."""


@attrs.define
class File:
    """Stands in for a file; counts how often it is read."""

    text: str | None
    reads: int = 0

    async def read(self) -> str | None:
        self.reads += 1
        await trio.lowlevel.checkpoint()
        if self.text is None:
            raise SettingsError("secret file x: No such file or directory")
        return self.text


@asynccontextmanager
async def watching(*files: File) -> AsyncIterator[tuple[RotatingSecret, ...]]:
    secrets = tuple(RotatingSecret(file.text or "") for file in files)
    watched = [WatchedSecret("x", s, f.read) for s, f in zip(secrets, files, strict=True)]
    async with ActorSystem(seeded_ports(1, START)).run(secrets_child(watched)):
        yield secrets


async def taken(condition: Callable[[], bool], within_s: float) -> float:
    """The seconds until the condition holds."""
    begun = trio.current_time()
    with trio.fail_after(within_s):
        while not condition():  # noqa: ASYNC110 - virtual time
            await trio.sleep(0.01)
    return trio.current_time() - begun


async def test_a_changed_file_is_picked_up_in_time() -> None:
    file = File("old")
    async with watching(file) as (secret,):
        await trio.sleep(1)
        file.text = "new"
        assert await taken(lambda: secret.newest == "new", PICKED_UP_S) <= POLL_S + LOOK_AGAIN_S
        assert secret.values() == ("new", "old")


async def test_a_refused_login_makes_it_look_at_once() -> None:
    file = File("old")
    async with watching(file) as (secret,):
        await trio.sleep(1)
        file.text = "new"
        secret.refused()
        assert await taken(lambda: secret.newest == "new", PICKED_UP_S) < 0.1


async def test_many_refused_logins_do_not_make_it_look_each_time() -> None:
    file = File("old")
    async with watching(file) as (secret,):
        for _ in range(1000):
            secret.refused()
            await trio.sleep(0.01)
        assert file.reads <= 10 / LOOK_AGAIN_S + 2


async def test_a_file_that_is_missing_for_a_while_changes_nothing() -> None:
    file = File("old")
    async with watching(file) as (secret,):
        file.text = None
        await trio.sleep(60)
        assert secret.values() == ("old",)
        file.text = "new"
        await trio.sleep(POLL_S + LOOK_AGAIN_S)
        assert secret.newest == "new"


async def test_one_file_that_hangs_holds_up_no_other() -> None:
    class Hanging(File):
        async def read(self) -> str | None:
            await trio.sleep(3_600)
            return None

    slow, file = Hanging("a"), File("old")
    async with watching(slow, file) as (_, secret):
        file.text = "new"
        await trio.sleep(POLL_S + LOOK_AGAIN_S)
        assert secret.newest == "new"
