"""The actor that keeps the vault's keys as they are in their file."""

from collections.abc import Awaitable, Callable

import structlog
import trio

from actors.core.cipher import DataKeys, Vault
from actors.core.data_keys import DataKeyStore
from actors.core.errors import DataKeyError
from runtime import Actor
from runtime.coalescing import until_next
from runtime.trouble import Trouble

log = structlog.get_logger("loyalnest.core")

POLL_S = 5.0
"""How often the file is read, so that another key is noticed."""

ReadDataKeys = Callable[[], Awaitable[DataKeys]]
"""Gives the keys in force. Raises `DataKeyError`."""

ReadDataKeysFrom = Callable[[DataKeyStore], ReadDataKeys]


class DataKeyring(Actor):
    """Puts the keys into the vault before anybody of the domain starts, and follows their file.

    A file that cannot be used prevents a start. Later it changes nothing: it may be in the middle
    of being replaced.
    """

    def __init__(self, vault: Vault, read: ReadDataKeys) -> None:
        self._vault = vault
        self._read = read
        self._trouble = Trouble(log, "data_keys_unreadable", "data_keys_readable_again")

    async def started(self) -> None:
        self._vault.replace(await self._read())
        self.start_task(self._keep_looking)

    async def _keep_looking(self) -> None:
        while True:
            await trio.sleep(until_next(POLL_S))
            await self._look()

    async def _look(self) -> None:
        try:
            keys = await self._read()
        except DataKeyError as error:
            self._trouble.failed(error)
            return
        self._trouble.ended()
        if self._vault.replace(keys):
            log.info("data_keys_changed", seals=keys.current, opens=sorted(keys.versions))


def data_keys_from(store: DataKeyStore) -> ReadDataKeys:
    """Reads the keys of a store, in a thread."""

    async def read() -> DataKeys:
        return await trio.to_thread.run_sync(store.read, abandon_on_cancel=True)

    return read
