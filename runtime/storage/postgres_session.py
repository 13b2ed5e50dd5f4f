"""One connection to PostgreSQL: what it is set to, and its prepared statements.

Everything here runs in asyncio, behind `host.call`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import asyncpg
import attrs

from runtime.rotation import RotatingSecret
from runtime.storage.errors import Superseded
from runtime.storage.grouping import Group
from runtime.storage.port import Query, Row, Statement
from runtime.storage.postgres_batch import Stage, Step, stages_of, steps_of
from runtime.storage.postgres_bulk import BulkStatement, bulk_statement
from runtime.storage.postgres_values import register

APPLICATION = "loyalnest"
STATEMENTS_CACHED = 512
STAGES_PREPARED = 128
COMMAND_TIMEOUT_S = 60.0
"""Behind all other limits: a command that ignored them ends then."""

CANCEL_S = 1.0
"""How long a connection is kept for a cancellation that is on its way to the server."""

IDLE_IN_TRANSACTION = "idle_in_transaction_session_timeout"

SERVER_SETTINGS = {
    "application_name": APPLICATION,
    "timezone": "UTC",
    "jit": "off",
    IDLE_IN_TRANSACTION: "2s",
}
"""A transaction that lost its client in the middle is ended, and with it its locks, before a write
that waits for them is given up."""

SET_CONTEXT = (
    "SELECT set_config('loyalnest.merchants', $1, false),"
    " set_config('statement_timeout', $2, false)"
)

PING = "SELECT 1"
BEGIN_ASYNCHRONOUS = "BEGIN; SET LOCAL synchronous_commit = off"
READ_ON_ONE_SNAPSHOT = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"


@attrs.frozen
class Context:
    """For whom, and how long at most, a session's statements run.

    `merchants` are ids joined by commas, or `*`; row-level security shows no other rows.
    """

    merchants: str
    timeout_ms: int


@attrs.define(eq=False)
class Session:
    """A connection that remembers its context. One task uses it at a time.

    `in_use` stays true when an operation was cut off, `committing` when a commit was.
    """

    connection: asyncpg.Connection
    generation: int
    in_use: bool = False
    committing: bool = False
    _context: Context | None = None
    _bulk: dict[Statement, BulkStatement | None] = attrs.field(factory=dict)
    _prepared: dict[tuple[tuple[Statement, ...], bool], Any] = attrs.field(factory=dict)

    @property
    def closed(self) -> bool:
        return self.connection.is_closed()

    async def run(
        self, context: Context, operation: Callable[..., Awaitable[Any]], *arguments: Any
    ) -> Any:
        """Run an operation in a context. Errors of the server leave the session usable."""
        self.in_use = True
        self.committing = False
        try:
            await self._enter(context)
            result = await operation(self, *arguments)
        except Exception:
            self.in_use = self.connection.is_in_transaction()
            raise
        self.in_use = False
        return result

    async def _enter(self, context: Context) -> None:
        if context != self._context:
            self._context = None
            await self.connection.fetchrow(SET_CONTEXT, context.merchants, str(context.timeout_ms))
            self._context = context

    async def fetch(self, sql: str, values: Sequence[Any]) -> list[Row]:
        rows: list[Any] = await self.connection.fetch(_plain(sql), *values)
        return rows

    async def fetch_row(self, sql: str, values: Sequence[Any]) -> Row | None:
        row: Row | None = await self.connection.fetchrow(_plain(sql), *values)
        return row

    async def fetch_many(self, queries: Sequence[Query]) -> list[list[Row]]:
        if len(queries) == 1:
            return [await self.fetch(*queries[0])]
        await self.connection.execute(READ_ON_ONE_SNAPSHOT)
        results = [await self.fetch(sql, values) for sql, values in queries]
        await self.connection.execute("COMMIT")
        return results

    async def execute(self, sql: str, values: Sequence[Any]) -> list[Row]:
        """A statement is a transaction of its own: what cuts it off may cut off its commit."""
        self.committing = True
        rows = await self.fetch(sql, values)
        self.committing = False
        return rows

    async def transact(self, statements: Sequence[Query]) -> None:
        async def write() -> None:
            for sql, values in statements:
                await self.fetch(sql, values)

        await self._commit(write)

    async def append(self, groups: Sequence[Group], synchronous: bool = True) -> None:
        steps = [
            step
            for statement, rows in groups
            for step in steps_of(statement, await self._bulk_of(statement), rows)
        ]
        stages = stages_of(steps)
        if len(stages) == 1 and stages[0].together:
            prepared = await self._prepare(stages[0], synchronous)
            self.committing = True
            await prepared.fetch(*stages[0].arguments())
            self.committing = False
        else:
            await self._commit(partial(self._write_all, stages), synchronous)

    async def _commit(self, write: Callable[[], Awaitable[None]], synchronous: bool = True) -> None:
        await self.connection.execute("BEGIN" if synchronous else BEGIN_ASYNCHRONOUS)
        try:
            await write()
        except Exception:
            if not self.connection.is_closed():
                await self.connection.execute("ROLLBACK")
            raise
        self.committing = True
        await self.connection.execute("COMMIT")
        self.committing = False

    async def _write_all(self, stages: Sequence[Stage]) -> None:
        for stage in stages:
            if stage.together:
                await (await self._prepare(stage)).fetch(*stage.arguments())
            else:
                await self._write_singly(stage.steps[0])

    async def _write_singly(self, step: Step) -> None:
        """`execute` prepares a statement with values like `fetch` does, and tells its status."""
        statement = step.statement
        if not statement.exact:
            await self.connection.executemany(statement.sql, step.rows)
            return
        for row in step.rows:
            if rows_changed(await self.connection.execute(statement.sql, *row)) != 1:
                raise Superseded(statement.name)

    async def _bulk_of(self, statement: Statement) -> BulkStatement | None:
        if statement not in self._bulk:
            single = await self.connection.prepare(statement.sql)
            types = [parameter.name for parameter in single.get_parameters()]
            self._bulk[statement] = bulk_statement(statement.sql, types)
        return self._bulk[statement]

    async def _prepare(self, stage: Stage, synchronous: bool = True) -> Any:
        """The statement of a stage, prepared before any commit begins."""
        key = (stage.statements, synchronous)
        prepared = self._prepared.get(key)
        if prepared is None:
            while len(self._prepared) >= STAGES_PREPARED:
                del self._prepared[next(iter(self._prepared))]
            prepared = await self.connection.prepare(stage.sql(synchronous=synchronous))
            self._prepared[key] = prepared
        return prepared

    async def recover(self) -> bool:
        """Bring back to rest what was cut off; false when that failed.

        The driver first waits until the server has confirmed the cancellation.
        """
        try:
            with suppress(asyncpg.InFailedSQLTransactionError):
                await self.connection.execute(PING)
            if self.connection.is_in_transaction():
                await self.connection.execute("ROLLBACK")
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            return False
        self.in_use = False
        self._context = None
        return not self.closed

    async def close(self) -> None:
        """Say good-bye to the server. Where that fails, the driver drops the connection."""
        with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
            await self.connection.close(timeout=1.0)

    def terminate(self) -> None:
        """Drop the connection without a word, once a cancellation that is on its way has got to the
        server, or after `CANCEL_S`. The driver would drop that as well, and leave a query running.
        """
        under_way = set(self.connection._cancellations)  # type: ignore[attr-defined]
        if not under_way:
            self.connection.terminate()
            return
        timer = asyncio.get_running_loop().call_later(CANCEL_S, self.connection.terminate)

        def one_is_done(task: asyncio.Task[None]) -> None:
            under_way.discard(task)
            if not under_way and not timer.cancelled():
                timer.cancel()
                self.connection.terminate()

        for task in tuple(under_way):
            task.add_done_callback(one_is_done)


def _plain(sql: str) -> str:
    """The driver takes no subclass of `str`."""
    return str(sql)


def rows_changed(status: str) -> int:
    """The number of rows in a status such as `INSERT 0 3` or `UPDATE 3`."""
    return int(status.rpartition(" ")[2])


async def connect(
    url: str,
    generation: int,
    timeout_s: float,
    settings: Mapping[str, str],
    command_timeout_s: float | None = None,
) -> Session:
    """Open a session. `settings` are of the server, beside those that every session has; a
    command is cut off after `command_timeout_s`, or `COMMAND_TIMEOUT_S`."""
    connection = await asyncpg.connect(
        url,
        timeout=timeout_s,
        command_timeout=command_timeout_s or COMMAND_TIMEOUT_S,
        statement_cache_size=STATEMENTS_CACHED,
        max_cached_statement_lifetime=0,
        server_settings={**SERVER_SETTINGS, **settings},
    )
    try:
        await register(connection)
    except BaseException:
        connection.terminate()
        raise
    return Session(connection, generation)


async def log_in(
    url: RotatingSecret,
    generation: int,
    timeout_s: float,
    settings: Mapping[str, str],
    command_timeout_s: float | None = None,
) -> Session:
    """As `connect`, with the first of the URL's values whose login the server accepts."""
    refusal: asyncpg.InvalidAuthorizationSpecificationError | None = None
    for value in url.values():
        try:
            session = await connect(value, generation, timeout_s, settings, command_timeout_s)
        except asyncpg.InvalidAuthorizationSpecificationError as error:
            refusal = refusal or error
        else:
            url.worked(value)
            return session
    url.refused()
    raise refusal if refusal is not None else AssertionError("there is always a value")
