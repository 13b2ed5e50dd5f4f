"""The simulated store: a database in memory that outlives processes, and their links to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeVar
from zlib import crc32

import msgspec
import trio

from runtime.policies import require_deadline
from runtime.sim.chance import Luck
from runtime.sim.findings import Findings
from runtime.sim.life import Life
from runtime.sim.reality import EMPTY, Reality
from runtime.sim.trace import Trace
from runtime.storage import (
    AnyEntry,
    CommitUnknown,
    ConstraintViolation,
    Database,
    Dialect,
    Entry,
    Row,
    StorageError,
    StorageFull,
    StorageUnavailable,
    unpacked,
)
from runtime.storage.deadlines import until_deadline
from runtime.storage.notices import Notices
from runtime.storage.partitions import COUNT_COMMIT
from runtime.storage.policies import DEPENDENCY
from runtime.storage.port import ANNOUNCED_S, AcrossMerchants, Query
from runtime.storage.sqlite_templates import Schema

Result = TypeVar("Result")

CONNECTIONS = 8
READ_S = (0.0002, 0.002)
COMMIT_S = (0.001, 0.01)
SLOW_S = (0.5, 9.0)
"""Longer, at times, than anybody waits for it."""

LATE_S = (0.01, 3.0)
"""When a commit happens whose connection was lost, if it happens later."""

SELECT_EPOCH = AcrossMerchants("SELECT epoch FROM journal_partitions WHERE partition = $1")


_encode = msgspec.msgpack.Encoder(enc_hook=repr).encode


def fingerprint(values: Any) -> int:
    """The same for the same values, in every process."""
    return crc32(_encode(values))


class SimulatedStore:
    """A database server. It keeps what was committed, whatever becomes of the processes.

    While `away`, nobody reaches it. `writes` counts all there were. `committed` is called with
    the entries of every commit of a journal, when it is durable. It begins with `schema`. A store
    that goes away may have lost its power, and with it the last commits that nobody had synced.
    """

    def __init__(
        self,
        nursery: trio.Nursery,
        luck: Luck,
        trace: Trace,
        findings: Findings,
        schema: Schema = EMPTY,
    ) -> None:
        self.real = Reality(schema)
        self.luck = luck
        self.trace = trace
        self.findings = findings
        self.notices = Notices()
        self.committed: list[Callable[[Sequence[Entry]], None]] = []
        self.writes = 0
        self._nursery = nursery
        self._away = False
        self._unsynced: list[Sequence[Entry]] = []

    @property
    def away(self) -> bool:
        return self._away

    @away.setter
    def away(self, away: bool) -> None:
        self._away = away
        if away:
            self.lose_power()
        self.trace.note("store", "away" if away else "back")
        if not away:
            self.notices.publish_everywhere()

    def connect(self, life: Life) -> SimulatedDatabase:
        """The store as one process reaches it."""
        return SimulatedDatabase(self, life)

    def lose_power(self) -> None:
        """The last commits that nobody has synced may be gone."""
        lost = self.luck.random.randint(0, self.real.unsynced) if self.real.unsynced else 0
        if lost:
            self.trace.note("store", "lost", lost)
            self.real.lose(lost)
            del self._unsynced[-lost:]

    def synced(self) -> None:
        """All that was committed is durable."""
        durable, self._unsynced = self._unsynced, []
        for entries in durable:
            self._tell(entries)

    async def apply(
        self, entries: Sequence[Entry], process: str, *, synchronous: bool = True
    ) -> None:
        """Commit the entries of a journal."""
        self.writes += 1
        await self.real.append(entries, synchronous=synchronous)
        self._unsynced.append(entries)
        rows = [(write.statement.name, write.row) for entry in entries for write in entry]
        self.trace.note("commit", process, len(entries), fingerprint(rows))
        self._check_epoch(entries, process)
        if synchronous:
            self.synced()

    def _tell(self, entries: Sequence[Entry]) -> None:
        for committed in self.committed:
            try:
                committed(entries)
            except Exception as error:
                self.findings.add("the simulation itself", f"{type(error).__name__}: {error}")

    def _check_epoch(self, entries: Sequence[Entry], process: str) -> None:
        for write in entries[0] if entries else ():
            if write.statement.name == COUNT_COMMIT.name:
                epoch = self.real.value_now(SELECT_EPOCH, write.row[0])
                detail = f"{process} commits in epoch {write.row[1]}, it is {epoch}"
                self.findings.check(epoch == write.row[1], "one writer at a time", detail)

    def apply_later(self, entries: Sequence[Entry], process: str, synchronous: bool) -> None:
        """A commit under way whose connection is lost: it happens if it still can."""
        self._nursery.start_soon(self._apply_later, entries, process, synchronous)

    async def _apply_later(self, entries: Sequence[Entry], process: str, synchronous: bool) -> None:
        await self.luck.takes(*LATE_S)
        try:
            await self.apply(entries, process, synchronous=synchronous)
        except ConstraintViolation:
            self.trace.note("too late", process)


class SimulatedDatabase:
    """A process's connections to the store: the `Database` port, with faults on the way."""

    def __init__(self, store: SimulatedStore, life: Life) -> None:
        self._store = store
        self._life = life
        self._luck = store.luck
        self._server = store.real.as_database
        self._closed = False

    @property
    def dialect(self) -> Dialect:
        return Dialect.SQLITE

    @property
    def concurrency(self) -> int:
        return CONNECTIONS

    async def fetch(self, sql: str, *values: Any) -> list[Row]:
        return await self._read(self._server.fetch, sql, *values)

    async def fetch_row(self, sql: str, *values: Any) -> Row | None:
        return await self._read(self._server.fetch_row, sql, *values)

    async def fetch_value(self, sql: str, *values: Any) -> Any:
        return await self._read(self._server.fetch_value, sql, *values)

    async def fetch_many(self, queries: Sequence[Query]) -> list[list[Row]]:
        return await self._read(self._server.fetch_many, queries)

    async def execute(self, sql: str, *values: Any) -> list[Row]:
        async def apply() -> list[Row]:
            self._store.writes += 1
            rows = await self._store.real.execute(sql, *values)
            self._store.synced()
            self._store.trace.note("execute", self._life.name, fingerprint((sql, values)))
            return rows

        return await self._write(apply)

    async def transact(self, statements: Sequence[Query]) -> None:
        async def apply() -> None:
            self._store.writes += 1
            await self._store.real.transact(statements)
            self._store.synced()
            self._store.trace.note("transact", self._life.name, len(statements))

        await self._write(apply)

    async def append(self, entries: Sequence[AnyEntry], *, synchronous: bool = True) -> None:
        plain = [unpacked(entry) for entry in entries]

        async def apply() -> None:
            await self._store.apply(plain, self._life.name, synchronous=synchronous)

        def apply_later() -> None:
            self._store.apply_later(plain, self._life.name, synchronous)

        await self._write(apply, apply_later)

    def _check(self) -> None:
        if self._closed:
            raise StorageError("the database is closed")
        if self._store.away or self._life.cut_off:
            raise StorageUnavailable("the store is away (simulated)")

    async def _read(self, read: Callable[..., Awaitable[Result]], *arguments: Any) -> Result:
        """What comes late is as it was when it was read."""
        require_deadline(DEPENDENCY)
        await self._luck.may_take(*READ_S)
        self._check()
        if self._luck.happens("read_fails"):
            raise StorageUnavailable("the read failed (simulated)")
        result = await read(*arguments)
        if self._luck.happens("read_slow"):
            with until_deadline():
                await self._luck.takes(*SLOW_S)
        return result

    async def _write(
        self,
        apply: Callable[[], Awaitable[Result]],
        apply_later: Callable[[], None] | None = None,
    ) -> Result:
        require_deadline(DEPENDENCY)
        with self._life.protected():
            await self._luck.takes(*COMMIT_S)
            self._check()
            await self._before_commit()
            if self._luck.happens("commit_unknown"):
                await self._lose(apply, apply_later)
            if self._life.commits(-1):
                await trio.sleep_forever()
            result = await apply()
            if self._life.commits(+1):
                await trio.sleep_forever()
            if self._luck.happens("answer_slow"):
                await self._luck.takes(*SLOW_S)
        return result

    async def _before_commit(self) -> None:
        if self._luck.happens("commit_refused"):
            raise StorageUnavailable("no connection (simulated)")
        if self._luck.happens("commit_full"):
            raise StorageFull("no space is left (simulated)")
        if self._luck.happens("commit_breaks"):
            raise StorageError("something unexpected (simulated)")
        if self._luck.happens("commit_slow"):
            await self._luck.takes(*SLOW_S)
            self._check()

    async def _lose(
        self, apply: Callable[[], Awaitable[Any]], apply_later: Callable[[], None] | None
    ) -> None:
        """Lose the connection while the commit is under way."""
        fate = self._luck.random.choice(("lost", "done", "later"))
        self._store.trace.note("in doubt", self._life.name, fate)
        if fate == "done":
            await apply()
        elif fate == "later" and apply_later is not None:
            apply_later()
        elif fate == "lost":
            self._store.lose_power()
        raise CommitUnknown("the connection was lost during the commit (simulated)")

    def listen(self, channel: str) -> AbstractAsyncContextManager[trio.MemoryReceiveChannel[str]]:
        return self._store.notices.listen(channel)

    async def notify(self, channel: str, payload: str) -> None:
        await self._luck.may_take(*READ_S)
        self._check()
        if not self._luck.happens("notice_lost"):
            self._store.notices.publish(channel, payload)

    async def attend(self) -> None:
        await trio.sleep_forever()

    @asynccontextmanager
    async def as_owner(self) -> AsyncIterator[Database]:
        """The store without faults: a migration is one of the operator's, not of a bad day."""
        await trio.lowlevel.checkpoint()
        self._check()
        yield self._store.real.as_database

    async def announce(self, address: str | None, owner: str) -> None:
        await trio.lowlevel.checkpoint()

    async def announced(self, within_s: float = ANNOUNCED_S) -> str | None:
        await trio.lowlevel.checkpoint()
        return None

    async def close(self) -> None:
        """The connections; the store stays."""
        self._closed = True
        await trio.lowlevel.checkpoint()
