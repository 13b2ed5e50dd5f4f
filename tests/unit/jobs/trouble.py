"""A store that is away, slow, deaf or unlucky when a test says so."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import attrs
import trio

from runtime.storage import ConstraintViolation, DatabaseHandle, Entry, StorageUnavailable


@attrs.define(eq=False)
class Trouble(DatabaseHandle):
    """A handle whose database fails when the test says so."""

    away: bool = False
    deaf: bool = False
    slow_s: float = 0.0
    stale_s: float = 0.0
    hesitant_s: float = 0.0
    collisions: int = 0
    commits: list[Exception | None] = attrs.field(factory=list)
    late_s: float = 0.0
    calls: int = 0

    def __attrs_pre_init__(self) -> None:
        super().__init__()

    def _check(self) -> None:
        self.calls += 1
        if self.away:
            raise StorageUnavailable("the database is away (a test)")

    async def fetch(self, sql: str, *values: Any) -> Any:
        self._check()
        return await super().fetch(sql, *values)

    async def fetch_row(self, sql: str, *values: Any) -> Any:
        self._check()
        await trio.sleep(self.hesitant_s)
        return await super().fetch_row(sql, *values)

    async def fetch_value(self, sql: str, *values: Any) -> Any:
        self._check()
        await trio.sleep(self.hesitant_s)
        value = await super().fetch_value(sql, *values)
        await trio.sleep(self.stale_s)
        return value

    async def execute(self, sql: str, *values: Any) -> Any:
        self._check()
        await trio.sleep(self.slow_s)
        if self.collisions:
            self.collisions -= 1
            raise ConstraintViolation("two of a key (a test)")
        return await super().execute(sql, *values)

    async def append(self, entries: Sequence[Entry]) -> None:
        self._check()
        error = self.commits.pop(0) if self.commits else None
        if error is not None:
            raise error
        await super().append(entries)
        if self.late_s:
            delay_s, self.late_s = self.late_s, 0.0
            await trio.sleep(delay_s)

    def listen(self, channel: str) -> AbstractAsyncContextManager[trio.MemoryReceiveChannel[str]]:
        if self.deaf:
            raise StorageUnavailable("cannot listen (a test)")
        return super().listen(channel)
