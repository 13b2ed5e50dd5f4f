"""A store that is away, slow, deaf or unlucky when a test says so."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import attrs
import trio

from runtime.storage import (
    AnyEntry,
    CommitUnknown,
    ConstraintViolation,
    Database,
    DatabaseHandle,
    StorageUnavailable,
)
from runtime.storage.port import Query
from tests.stores import patient_pipeline


@attrs.define(eq=False)
class Trouble(DatabaseHandle):
    """A handle whose database fails when the test says so; no policy of ours helps it."""

    away: bool = False
    deaf: bool = False
    slow_s: float = 0.0
    stale_s: float = 0.0
    hesitant_s: float = 0.0
    collisions: int = 0
    commits: list[Exception | None] = attrs.field(factory=list)
    late_s: float = 0.0
    lost_answers: int = 0
    calls: int = 0

    def __attrs_pre_init__(self) -> None:
        super().__init__(patient_pipeline())

    def attach(self, database: Database) -> None:
        troubled: Any = Troubled(database, self)
        super().attach(troubled)


@attrs.frozen(eq=False)
class Troubled:
    """Passes on to the real store, with the trouble before and after."""

    _database: Database
    _trouble: Trouble

    def _check(self) -> None:
        self._trouble.calls += 1
        if self._trouble.away:
            raise StorageUnavailable("the database is away (a test)")

    async def fetch(self, sql: str, *values: Any) -> Any:
        self._check()
        return await self._database.fetch(sql, *values)

    async def fetch_many(self, queries: Sequence[Query]) -> Any:
        self._check()
        return await self._database.fetch_many(queries)

    async def fetch_row(self, sql: str, *values: Any) -> Any:
        self._check()
        await trio.sleep(self._trouble.hesitant_s)
        return await self._database.fetch_row(sql, *values)

    async def fetch_value(self, sql: str, *values: Any) -> Any:
        self._check()
        await trio.sleep(self._trouble.hesitant_s)
        value = await self._database.fetch_value(sql, *values)
        await trio.sleep(self._trouble.stale_s)
        return value

    async def execute(self, sql: str, *values: Any) -> Any:
        self._check()
        await trio.sleep(self._trouble.slow_s)
        if self._trouble.collisions:
            self._trouble.collisions -= 1
            raise ConstraintViolation("two of a key (a test)")
        return await self._database.execute(sql, *values)

    async def append(self, entries: Sequence[AnyEntry], *, synchronous: bool = True) -> None:
        self._check()
        error = self._trouble.commits.pop(0) if self._trouble.commits else None
        if error is not None:
            raise error
        await self._database.append(entries, synchronous=synchronous)
        if self._trouble.lost_answers:
            self._trouble.lost_answers -= 1
            raise CommitUnknown("cut off (a test)")
        if self._trouble.late_s:
            delay_s, self._trouble.late_s = self._trouble.late_s, 0.0
            await trio.sleep(delay_s)

    def listen(self, channel: str) -> AbstractAsyncContextManager[trio.MemoryReceiveChannel[str]]:
        if self._trouble.deaf:
            raise StorageUnavailable("cannot listen (a test)")
        return self._database.listen(channel)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)
