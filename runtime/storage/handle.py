"""A database that may come and go: what domains hold while the keeper of the real one restarts."""

from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any

import trio

from runtime.errors import Outcome
from runtime.policies import Bulkhead, NotAdmitted, Pipeline, PolicyError
from runtime.ports import system_ports
from runtime.storage.deadlines import patience_s
from runtime.storage.errors import (
    TAKEN_OVER,
    CommitUnknown,
    StorageRejected,
    StorageUnavailable,
    TakenOver,
)
from runtime.storage.guarded import Guarded, Operation
from runtime.storage.policies import WRITE_LIMIT_S, database_pipeline
from runtime.storage.port import Database, Dialect
from runtime.storage.share import DatabaseShare


class DatabaseHandle(Guarded):
    """Passes everything on to the attached database, through its pipeline.

    Raises `StorageUnavailable` while there is none, or when a policy ended the call before a write
    could begin, and `TakenOver` once it is retired. Schema changes, and what listens, have limits
    of their own.
    """

    def __init__(self, pipeline: Pipeline | None = None) -> None:
        if pipeline is None:
            pipeline = database_pipeline(system_ports().random)
        if pipeline.bulkhead is None:
            raise ValueError("the pipeline of a database needs a bulkhead")
        self.pipeline = pipeline
        self.bulkhead: Bulkhead = pipeline.bulkhead
        self._database: Database | None = None
        self._retired = False

    def attach(self, database: Database) -> None:
        self._database = database
        self.bulkhead.resize(database.concurrency)

    def detach(self) -> None:
        self._database = None

    def retire(self) -> None:
        """Another process has the store now: for good, everything here raises `TakenOver`."""
        self._retired = True

    @property
    def retired(self) -> bool:
        return self._retired

    def share(self, name: str) -> DatabaseShare:
        """The store for one domain, which cannot take all of its connections."""
        return DatabaseShare(self, name)

    @property
    def _attached(self) -> Database:
        if self._retired:
            raise TakenOver(TAKEN_OVER)
        if self._database is None:
            raise StorageUnavailable("the database is not open")
        return self._database

    @property
    def dialect(self) -> Dialect:
        return self._attached.dialect

    @property
    def concurrency(self) -> int:
        return self._attached.concurrency

    async def _through(
        self, operation: Operation, *, repeatable: bool = False, counted: bool = True
    ) -> Any:
        return await self.through(operation, None, repeatable=repeatable, counted=counted)

    async def through(
        self, operation: Operation, share: str | None, *, repeatable: bool, counted: bool
    ) -> Any:
        """Do an operation of the attached store for a share of it, past all policies.

        Raises `CommitUnknown` when a policy ended a write that had begun.
        """
        work = partial(operation, self._attached)
        limit_s = patience_s()
        if limit_s is None and not repeatable:
            limit_s = max(WRITE_LIMIT_S, self.pipeline.spec.deadline_s or 0.0)
        try:
            return await self.pipeline.call(
                work, repeatable=repeatable, share=share, limit_s=limit_s, counted=counted
            )
        except NotAdmitted as error:
            raise StorageRejected(error.detail, error.retry_after_s) from error
        except PolicyError as error:
            detail = f"the database took too long: {error.detail}"
            if repeatable or error.outcome is not Outcome.UNKNOWN:
                raise StorageUnavailable(detail) from error
            raise CommitUnknown(detail) from error

    def listen(self, channel: str) -> AbstractAsyncContextManager[trio.MemoryReceiveChannel[str]]:
        return self._attached.listen(channel)

    async def attend(self) -> None:
        await self._attached.attend()

    def as_owner(self) -> AbstractAsyncContextManager[Database]:
        return self._attached.as_owner()

    async def close(self) -> None:
        """Detach. Closing is the keeper's business."""
        self.detach()
