"""The SQLite adapter: one writer with durable commits, several readers, all in threads."""

import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    asynccontextmanager,
    suppress,
)
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import trio

from runtime.policies import require_deadline
from runtime.storage.errors import ConstraintViolation, StorageError, StorageFull, Superseded
from runtime.storage.grouping import Group, grouped
from runtime.storage.lockfile import LockFile
from runtime.storage.notices import Notices
from runtime.storage.policies import DEPENDENCY
from runtime.storage.port import ANNOUNCED_S, AnyEntry, Database, Dialect, Query, Row
from runtime.storage.sqlite_checkpoints import LOG_BYTES_KEPT, LOG_PAGES_MAX, Checkpoints
from runtime.storage.sqlite_values import register, sqlite_sql

Result = TypeVar("Result")

READERS = 3
"""Connections for queries, beside the writer's."""

CACHED_STATEMENTS = 1_024
"""Of one connection: more than the program has, so that each is compiled once."""

CANCEL_CHECK_STEPS = 20_000
"""Steps of SQLite's machine between two looks whether a query was cancelled."""

CACHE_KIB, READER_CACHE_KIB = 64 * 1024, 8 * 1024
"""Pages that the writer, and each reader, keeps at most. What a transaction changes beyond that is
written to the log before its end, and read again."""

BUSY_TIMEOUT_S = 5.0
OWNER_ONLY = 0o600

CANNOT_GROW = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE})
"""A failed write undoes the transaction. What a failed *sync* leaves behind is not known."""

register()


class SqliteDatabase:
    """A database in a file, for one process, or in memory.

    Commits are durable when they return (write-ahead log, `synchronous = FULL`), unless they need
    not be (`NORMAL`). The one in memory runs without threads, so that it fits into virtual time;
    a query then blocks the loop.
    """

    def __init__(
        self,
        writer: sqlite3.Connection,
        readers: Sequence[sqlite3.Connection],
        lock: LockFile | None,
        checkpoints: Checkpoints | None = None,
        *,
        yields: bool = True,
    ) -> None:
        self._writer = writer
        self._write_lock = checkpoints.write_lock if checkpoints is not None else trio.Lock()
        self._readers = list(readers)
        self._reader_count = len(readers)
        self._reading = trio.Semaphore(max(1, len(readers)))
        self._threads = trio.CapacityLimiter(1 + len(readers))
        self._lock = lock
        self._yields = yields
        self._fetch_many = _fetch_at_once if readers else _fetch_each
        self._closed = False
        self._notices = Notices()
        self._checkpoints = checkpoints
        self._synchronous = True

    @property
    def dialect(self) -> Dialect:
        return Dialect.SQLITE

    @property
    def concurrency(self) -> int:
        return max(1, self._reader_count)

    async def fetch(self, sql: str, *values: Any) -> list[Row]:
        return await self._read(_fetch, sqlite_sql(sql), values)

    async def fetch_row(self, sql: str, *values: Any) -> Row | None:
        return await self._read(_fetch_row, sqlite_sql(sql), values)

    async def fetch_value(self, sql: str, *values: Any) -> Any:
        row = await self.fetch_row(sql, *values)
        return row[0] if row is not None else None

    async def fetch_many(self, queries: Sequence[Query]) -> list[list[Row]]:
        rewritten = [(sqlite_sql(sql), values) for sql, values in queries]
        return await self._read(self._fetch_many, rewritten)

    async def execute(self, sql: str, *values: Any) -> list[Row]:
        return await self._write(_fetch, sqlite_sql(sql), values)

    async def transact(self, statements: Sequence[Query]) -> None:
        await self._write(_transact, [(sqlite_sql(sql), values) for sql, values in statements])

    async def append(self, entries: Sequence[AnyEntry], *, synchronous: bool = True) -> None:
        await self._write(_append, grouped(entries), synchronous=synchronous)

    def listen(self, channel: str) -> AbstractAsyncContextManager[trio.MemoryReceiveChannel[str]]:
        return self._notices.listen(channel)

    async def notify(self, channel: str, payload: str) -> None:
        await trio.lowlevel.checkpoint()
        self._notices.publish(channel, payload)

    async def attend(self) -> None:
        """Keep the log short, where there is one."""
        if self._checkpoints is None:
            await trio.sleep_forever()
        else:
            await self._checkpoints.run()

    @asynccontextmanager
    async def as_owner(self) -> AsyncIterator[Database]:
        """Itself: the file is locked for this process."""
        await trio.lowlevel.checkpoint()
        yield self

    async def announce(self, address: str | None, owner: str) -> None:
        await trio.lowlevel.checkpoint()
        if self._lock is not None:
            self._lock.announce(address)

    async def announced(self, within_s: float = ANNOUNCED_S) -> str | None:
        """Nowhere: whoever has the file open is alone."""
        await trio.lowlevel.checkpoint()
        return None

    async def close(self) -> None:
        """Idempotent. Not cancelled half way."""
        with trio.CancelScope(shield=True):
            async with self._write_lock:
                if self._closed:
                    return
                self._closed = True
                if self._checkpoints is not None:
                    await self._checkpoints.close()
                for _ in range(self._reader_count):
                    await self._reading.acquire()
                await self._run(self._close)
                for _ in range(self._reader_count):
                    self._reading.release()

    def _close(self) -> None:
        for connection in (*self._readers, self._writer):
            connection.close()
        if self._checkpoints is not None:
            self._checkpoints.release()
        if self._lock is not None:
            self._lock.release()

    async def _write(
        self, work: Callable[..., Result], *arguments: Any, synchronous: bool = True
    ) -> Result:
        if not self._yields:
            self._check_open()
            return _write_nested(self._writer, work, arguments)
        if not self._reader_count:
            return await self._in_memory(_write_nested, work, arguments)
        require_deadline(DEPENDENCY)
        async with _AtHand(self._write_lock):
            self._check_open()
            result: Result = await self._run(self._write_durably, synchronous, work, arguments)
            if self._checkpoints is not None:
                self._checkpoints.written()
            return result

    def _write_durably(
        self, synchronous: bool, work: Callable[..., Result], arguments: Any
    ) -> Result:
        """The sync of a later commit is one of the whole log, and so of all commits before it."""
        if synchronous is not self._synchronous:
            with TRANSLATED:
                _set_synchronous(self._writer, synchronous)
            self._synchronous = synchronous
        return _write(self._writer, work, arguments)

    async def _read(self, work: Callable[..., Result], *arguments: Any) -> Result:
        if not self._yields:
            self._check_open()
            return _read(self._writer, work, arguments)
        if not self._reader_count:
            return await self._in_memory(_read, work, arguments)
        require_deadline(DEPENDENCY)
        async with _AtHand(self._reading):
            self._check_open()
            connection = self._readers.pop()
            try:
                return await self._run(_read_cancellably, connection, work, arguments)
            finally:
                self._readers.append(connection)

    async def _in_memory(
        self, way: Callable[..., Result], work: Callable[..., Result], arguments: Any
    ) -> Result:
        """Here and now: nobody gets in between, so that nothing needs a lock."""
        require_deadline(DEPENDENCY)
        await trio.lowlevel.checkpoint()
        self._check_open()
        return way(self._writer, work, arguments)

    async def _run(self, work: Callable[..., Result], *arguments: Any) -> Result:
        if not self._reader_count:
            await trio.lowlevel.checkpoint()
            return work(*arguments)
        return await trio.to_thread.run_sync(work, *arguments, limiter=self._threads)

    def _check_open(self) -> None:
        if self._closed:
            raise StorageError("the database is closed")


class _AtHand:
    """A block within a lock, or a place of a semaphore. Where nobody has it, getting it is not a
    checkpoint: what follows is one, and a round of the loop is a tenth of what a query takes."""

    __slots__ = ("_lock",)

    def __init__(self, lock: trio.Lock | trio.Semaphore) -> None:
        self._lock = lock

    async def __aenter__(self) -> None:
        try:
            self._lock.acquire_nowait()
        except trio.WouldBlock:
            await self._lock.acquire()

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._lock.release()


class _Translation:
    """A block in which errors of `sqlite3` become ours; the original is kept as the cause."""

    __slots__ = ()

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if error is not None:
            ours = _translation_of(error)
            if ours is not None:
                raise ours from error


TRANSLATED = _Translation()


def _translation_of(error: BaseException) -> StorageError | None:
    match error:
        case sqlite3.IntegrityError():
            return ConstraintViolation(str(error))
        case OverflowError() | ValueError():
            return ConstraintViolation(f"a value the database cannot keep: {error}")
        case sqlite3.Error():
            if getattr(error, "sqlite_errorcode", None) in CANNOT_GROW:
                return StorageFull("no space is left for the database")
            return StorageError(f"database: {error}")
    return None


def _set_synchronous(connection: sqlite3.Connection, synchronous: bool) -> None:
    """Between transactions. As a script, since SQLite heeds it while it is compiled, which a
    statement that the driver remembers is not again."""
    connection.executescript(f"PRAGMA synchronous = {'FULL' if synchronous else 'NORMAL'}")


def _write(connection: sqlite3.Connection, work: Callable[..., Result], arguments: Any) -> Result:
    with TRANSLATED:
        connection.execute("BEGIN IMMEDIATE")
        try:
            result = work(connection, *arguments)
            connection.execute("COMMIT")
            return result
        except BaseException:
            if connection.in_transaction:
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
            raise


def _write_nested(
    connection: sqlite3.Connection, work: Callable[..., Result], arguments: Any
) -> Result:
    """As `_write`, also within a transaction that somebody will undo."""
    with TRANSLATED:
        connection.execute("SAVEPOINT written")
        try:
            result = work(connection, *arguments)
        except BaseException:
            connection.execute("ROLLBACK TO written")
            connection.execute("RELEASE written")
            raise
        connection.execute("RELEASE written")
        return result


def _read(connection: sqlite3.Connection, work: Callable[..., Result], arguments: Any) -> Result:
    with TRANSLATED:
        return work(connection, *arguments)


def _read_cancellably(
    connection: sqlite3.Connection, work: Callable[..., Result], arguments: Any
) -> Result:
    """Ends early when the caller was cancelled, with the cancellation."""
    connection.set_progress_handler(_cancelled, CANCEL_CHECK_STEPS)
    try:
        return _read(connection, work, arguments)
    except StorageError:
        trio.from_thread.check_cancelled()
        raise


def _cancelled() -> bool:
    try:
        trio.from_thread.check_cancelled()
    except trio.Cancelled:
        return True
    return False


def _fetch(connection: sqlite3.Connection, sql: str, values: Sequence[Any]) -> list[Row]:
    return connection.execute(sql, values).fetchall()


def _fetch_row(connection: sqlite3.Connection, sql: str, values: Sequence[Any]) -> Row | None:
    cursor = connection.execute(sql, values)
    row: Row | None = cursor.fetchone()
    cursor.close()
    return row


def _fetch_each(connection: sqlite3.Connection, queries: Sequence[Query]) -> list[list[Row]]:
    return [_fetch(connection, sql, values) for sql, values in queries]


def _fetch_at_once(connection: sqlite3.Connection, queries: Sequence[Query]) -> list[list[Row]]:
    """All of them see the same moment, whoever writes meanwhile."""
    if len(queries) == 1:
        return _fetch_each(connection, queries)
    connection.execute("BEGIN")
    try:
        return _fetch_each(connection, queries)
    finally:
        connection.execute("ROLLBACK")


def _transact(connection: sqlite3.Connection, statements: Sequence[Query]) -> None:
    for sql, values in statements:
        connection.execute(sql, values)


def _append(connection: sqlite3.Connection, groups: Sequence[Group]) -> None:
    for statement, rows in groups:
        sql = sqlite_sql(statement.sql)
        one = len(rows) == 1  # which costs half of what several at once cost for one
        cursor = connection.execute(sql, rows[0]) if one else connection.executemany(sql, rows)
        done = cursor.rowcount
        cursor.close()  # else an error's traceback keeps it, and its end resets a later execution
        if statement.exact and done != len(rows):
            raise Superseded(statement.name)


async def open_sqlite_file(path: Path) -> SqliteDatabase:
    """Open or create the database file, for this process alone.

    Raises `StorageLocked` when another process has it, `StorageError` when it cannot be used.
    """
    return await trio.to_thread.run_sync(_open_file, path)


def _open_file(path: Path) -> SqliteDatabase:
    lock = None
    opened: list[sqlite3.Connection] = []
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = LockFile(path)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, OWNER_ONLY))
        with TRANSLATED:
            opened.extend(_connect(str(path)) for _ in range(2 + READERS))
            writer, checkpointer, *readers = opened
            _prepare_writer(writer)
            for reader in readers:
                reader.execute("PRAGMA query_only = ON")
                reader.execute(f"PRAGMA cache_size = -{READER_CACHE_KIB}")
        return SqliteDatabase(writer, readers, lock, Checkpoints(path, writer, checkpointer))
    except BaseException as error:
        for connection in opened:
            connection.close()
        if lock is not None:
            lock.release()
        if isinstance(error, OSError):
            reason = error.strerror or str(error)
            raise StorageError(f"cannot use the database {path}: {reason}") from error
        if type(error) is StorageError:
            raise StorageError(f"cannot use the database {path}: {error.__cause__}") from error
        raise


def open_sqlite_memory(
    connection: sqlite3.Connection | None = None, *, yields: bool = True
) -> SqliteDatabase:
    """A database that lives as long as its object: empty, or what is at the other end of
    `connection`.

    Where it does not `yield`, its queries are no checkpoints and need no deadlines; for those who
    have both around each.
    """
    return SqliteDatabase(connection or connect_memory(), (), None, yields=yields)


def connect_memory(template: sqlite3.Connection | None = None) -> sqlite3.Connection:
    """A connection to a database of its own, which is empty, or as `template` is now."""
    connection = _connect(":memory:")
    if template is not None:
        template.backup(connection)
    return connection


def _prepare_writer(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    _set_synchronous(connection, True)
    connection.execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES_MAX}")
    connection.execute(f"PRAGMA journal_size_limit = {LOG_BYTES_KEPT}")
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("ROLLBACK")


def _connect(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path,
        timeout=BUSY_TIMEOUT_S,
        detect_types=sqlite3.PARSE_DECLTYPES,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=CACHED_STATEMENTS,
    )
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA foreign_keys = ON")
    return connection
