"""A store that fails on purpose, and trees whose children end and come back, for tests."""

from collections import deque
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from random import Random
from typing import Any, TypeVar

import attrs
import trio

from runtime import ActorError, RestartChild, TerminateChild
from runtime.storage import (
    AnyEntry,
    Database,
    DatabaseHandle,
    Dialect,
    Row,
    StorageError,
    StorageFull,
    StorageUnavailable,
)
from runtime.storage.port import ANNOUNCED_S, Query
from tests.trees import Tree

Result = TypeVar("Result")

COMMIT_S = 0.02
TOO_SLOW_S = 6.5
"""Longer than the journal's askers wait."""

CRASHES = 3
CRASH_PERIOD_S = 31.0
"""A failed commit ends the journal. More of them would end the tree, as they should."""

CHILDREN = (
    ("test.platform", "journal"),
    ("test.platform", "relay"),
    ("test.points", "loader"),
    ("test.points", "accounts"),
    ("test.points", "intake"),
    ("test.points", "queries"),
    ("test.core", "orders"),
    ("test.core", "merchants"),
    ("test.core", "customers"),
)


@attrs.define(eq=False)
class Faults:
    """What goes wrong, drawn from `random` while `on`. `seen` counts it. While `away`, the store
    cannot be reached at all."""

    random: Random
    on: bool = False
    away: bool = False
    seen: dict[str, int] = attrs.field(factory=dict)
    _crashes: deque[float] = attrs.field(factory=deque)

    def happens(self, what: str, chance: float) -> bool:
        if not self.on or self.random.random() >= chance:
            return False
        self.seen[what] = self.seen.get(what, 0) + 1
        return True

    def check_reachable(self) -> None:
        if self.away:
            raise StorageUnavailable("the store is away (a test)")

    def crash(self, what: str, chance: float) -> bool:
        """As `happens`, at most `CRASHES` times in `CRASH_PERIOD_S`."""
        now = trio.current_time()
        while self._crashes and self._crashes[0] <= now - CRASH_PERIOD_S:
            self._crashes.popleft()
        if len(self._crashes) >= CRASHES or not self.happens(what, chance):
            return False
        self._crashes.append(now)
        return True


@attrs.define(eq=False)
class FaultyDatabase:
    """Passes on to a real store, with faults before and after."""

    _database: Database
    _faults: Faults

    async def fetch(self, sql: str, *values: Any) -> list[Row]:
        await self._before_read()
        return await self._late(await self._database.fetch(sql, *values))

    async def fetch_row(self, sql: str, *values: Any) -> Row | None:
        await self._before_read()
        return await self._late(await self._database.fetch_row(sql, *values))

    async def fetch_value(self, sql: str, *values: Any) -> Any:
        await self._before_read()
        return await self._late(await self._database.fetch_value(sql, *values))

    async def fetch_many(self, queries: Sequence[Query]) -> list[list[Row]]:
        await self._before_read()
        return await self._late(await self._database.fetch_many(queries))

    @property
    def dialect(self) -> Dialect:
        return self._database.dialect

    @property
    def concurrency(self) -> int:
        return self._database.concurrency

    async def execute(self, sql: str, *values: Any) -> list[Row]:
        self._faults.check_reachable()
        return await self._database.execute(sql, *values)

    async def attend(self) -> None:
        await self._database.attend()

    def as_owner(self) -> AbstractAsyncContextManager[Database]:
        return self._database.as_owner()

    def listen(self, channel: str) -> AbstractAsyncContextManager[trio.MemoryReceiveChannel[str]]:
        return self._database.listen(channel)

    async def notify(self, channel: str, payload: str) -> None:
        await self._database.notify(channel, payload)

    async def transact(self, statements: Sequence[Query]) -> None:
        self._faults.check_reachable()
        await self._database.transact(statements)

    async def append(self, entries: Sequence[AnyEntry], *, synchronous: bool = True) -> None:
        """Not cancelled half way, as the port says."""
        with trio.CancelScope(shield=True):
            await self._append(entries, synchronous)

    async def _append(self, entries: Sequence[AnyEntry], synchronous: bool) -> None:
        faults = self._faults
        await trio.sleep(COMMIT_S * faults.random.random())
        faults.check_reachable()
        if faults.happens("full", 0.03):
            raise StorageFull("no space is left (a test)")
        if faults.crash("commit fails", 0.03):
            raise StorageError("the commit failed (a test)")
        if faults.happens("commit is late", 0.03):
            await trio.sleep(TOO_SLOW_S * faults.random.uniform(0.5, 1.5))
        await self._database.append(entries, synchronous=synchronous)
        if faults.happens("answer is late", 0.03):
            await trio.sleep(TOO_SLOW_S * faults.random.uniform(0.5, 1.5))
        if faults.crash("answer is lost", 0.05):
            raise StorageError("the connection broke during the commit (a test)")

    async def announce(self, address: str | None, owner: str) -> None:
        await self._database.announce(address, owner)

    async def announced(self, within_s: float = ANNOUNCED_S) -> str | None:
        return await self._database.announced(within_s)

    async def close(self) -> None:
        await self._database.close()

    async def _before_read(self) -> None:
        await trio.sleep(COMMIT_S * self._faults.random.random() / 4)
        self._faults.check_reachable()
        if self._faults.happens("read fails", 0.03):
            raise StorageUnavailable("the read failed (a test)")

    async def _late(self, result: Result) -> Result:
        """What was read may be old when it arrives."""
        if self._faults.happens("read is late", 0.02):
            await trio.sleep(TOO_SLOW_S * self._faults.random.random())
        return result


class FaultyHandle(DatabaseHandle):
    """Puts the faults between the tree and whatever store it opens."""

    def __init__(self, faults: Faults) -> None:
        super().__init__()
        self._faults = faults

    def attach(self, database: Database) -> None:
        super().attach(FaultyDatabase(database, self._faults))


async def end_children(tree: Tree, faults: Faults) -> None:
    """End one child after another and start it again, until cancelled or the faults are off."""
    while faults.on:
        await trio.sleep(faults.random.expovariate(1 / 4))
        supervisor, child = faults.random.choice(CHILDREN)
        if not faults.happens(f"{child} ends", 1):
            return
        with trio.CancelScope(shield=True):
            await restart(tree, supervisor, child, faults.random.choice((0, 0.01, 1, 3)))


async def restart(tree: Tree, supervisor: str, child: str, away_s: float = 0) -> None:
    """Terminate a child, and start it again `away_s` later."""
    ref = tree.system.ref(supervisor)
    for message in (TerminateChild(child), RestartChild(child)):
        try:
            await ref.ask(message, timeout_s=60)
        except ActorError as error:
            raise AssertionError(f"{supervisor} is gone") from error
        await trio.sleep(away_s)
