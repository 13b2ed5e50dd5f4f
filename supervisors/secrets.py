"""Watching the files that secrets come from, so that a replaced one is used without a restart."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import attrs
import structlog
import trio

from config import SettingsError
from runtime import Actor, ChildSpec
from runtime.rotation import RotatingSecret
from runtime.trouble import Trouble

log = structlog.get_logger("loyalnest.secrets")

POLL_S = 5.0
"""How often the files are read. What counts is what is in them: mounted secrets are replaced by
another target of a symbolic link, and times of change say little."""

LOOK_AGAIN_S = 0.5
"""Least time between two readings, however often the login is refused meanwhile."""


@attrs.frozen
class WatchedSecret:
    """A secret, and how its value is read. `read` raises `SettingsError`, which must not quote what
    it read."""

    name: str
    secret: RotatingSecret
    read: Callable[[], Awaitable[str | None]]


class SecretsWatcher(Actor):
    """Reads each secret every `POLL_S`, and at once when all of its values have been refused.

    A file that is missing, or holds nothing of use, changes nothing: it may be in the middle of
    being replaced.
    """

    def __init__(self, watched: Sequence[WatchedSecret]) -> None:
        self._watched = watched

    async def started(self) -> None:
        for each in self._watched:
            self.start_task(self._watch, each)

    async def _watch(self, watched: WatchedSecret) -> None:
        trouble = Trouble(log, "secret_unreadable", "secret_readable_again")
        while True:
            with trio.move_on_after(POLL_S):
                await watched.secret.doubted()
            await self._look(watched, trouble)
            await trio.sleep(LOOK_AGAIN_S)

    async def _look(self, watched: WatchedSecret, trouble: Trouble) -> None:
        try:
            value = await watched.read()
        except SettingsError as error:
            trouble.failed(error, secret=watched.name)
            return
        trouble.ended(secret=watched.name)
        if value is not None and watched.secret.replace(value):
            log.info("secret_replaced", secret=watched.name)


def secrets_child(watched: Sequence[WatchedSecret]) -> ChildSpec:
    """The watcher's place in the platform."""
    return ChildSpec("secrets", partial(SecretsWatcher, tuple(watched)))
