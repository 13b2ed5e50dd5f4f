"""A domain's share of the store: the bulkhead that keeps it from taking all connections."""

from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

import trio

from runtime.policies import ShareStatistics
from runtime.storage.guarded import Guarded, Operation
from runtime.storage.port import Database, Dialect

if TYPE_CHECKING:
    from runtime.storage.handle import DatabaseHandle


class DatabaseShare(Guarded):
    """The store, for one domain: its queries and writes wait when half of the connections are
    its own already.

    Waiting ends at the deadline in force with `StorageUnavailable`. Journal entries and notices
    do not count: they have connections of their own.
    """

    def __init__(self, handle: "DatabaseHandle", name: str) -> None:
        self._handle = handle
        self._name = name

    @property
    def dialect(self) -> Dialect:
        return self._handle.dialect

    @property
    def concurrency(self) -> int:
        return self._handle.bulkhead.share_limit

    async def _through(
        self, operation: Operation, *, repeatable: bool = False, counted: bool = True
    ) -> Any:
        return await self._handle.through(
            operation, self._name, repeatable=repeatable, counted=counted
        )

    def listen(self, channel: str) -> AbstractAsyncContextManager[trio.MemoryReceiveChannel[str]]:
        return self._handle.listen(channel)

    async def attend(self) -> None:
        await self._handle.attend()

    def as_owner(self) -> AbstractAsyncContextManager[Database]:
        return self._handle.as_owner()

    async def close(self) -> None:
        """Nothing. Closing is the keeper's business."""

    def statistics(self) -> ShareStatistics:
        return self._handle.bulkhead.share_statistics(self._name)
