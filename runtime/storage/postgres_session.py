"""One connection to PostgreSQL: what it is set to, and its prepared statements.

Everything here runs in asyncio, behind `host.call`.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import asyncpg
import attrs

from runtime.storage.errors import Superseded
from runtime.storage.grouping import Group
from runtime.storage.port import Query, Row, Statement
from runtime.storage.postgres_bulk import BulkStatement, Rows, Unsplittable, bulk_statement
from runtime.storage.postgres_values import register

APPLICATION = "loyalnest"
STATEMENTS_CACHED = 512
COMMAND_TIMEOUT_S = 60.0
"""Behind all other limits: a command that ignored them ends then."""

SERVER_SETTINGS = {
    "application_name": APPLICATION,
    "timezone": "UTC",
    "jit": "off",
    "idle_in_transaction_session_timeout": "5s",
}

SET_CONTEXT = (
    "SELECT set_config('loyalnest.merchants', $1, false),"
    " set_config('statement_timeout', $2, false)"
)

PING = "SELECT 1"
READ_ON_ONE_SNAPSHOT = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"


@attrs.frozen
class Context:
    """For whom, and how long at most, a session's statements run.

    `merchants` are ids joined by commas, or `*`; row-level security shows no other rows.
    """

    merchants: str
    timeout_ms: int


@attrs.define(eq=False)
class BulkPlan:
    """A statement as this connection has prepared it for many rows."""

    bulk: BulkStatement
    prepared: Any


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
    _plans: dict[Statement, BulkPlan | None] = attrs.field(factory=dict)

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

    async def append(self, groups: Sequence[Group]) -> None:
        async def write() -> None:
            for statement, rows in groups:
                await self._write(statement, rows)

        await self._commit(write)

    async def _commit(self, write: Callable[[], Awaitable[None]]) -> None:
        await self.connection.execute("BEGIN")
        try:
            await write()
        except Exception:
            if not self.connection.is_closed():
                await self.connection.execute("ROLLBACK")
            raise
        self.committing = True
        await self.connection.execute("COMMIT")
        self.committing = False

    async def _write(self, statement: Statement, rows: Rows) -> None:
        plan = await self._plan(statement) if len(rows) > 1 else None
        if plan is not None:
            changed = await self._write_together(statement, plan, rows)
        elif statement.exact or len(rows) == 1:
            changed = await self._write_singly(statement, rows)
        else:
            await self.connection.executemany(statement.sql, rows)
            return
        if statement.exact and changed != len(rows):
            raise Superseded(statement.name)

    async def _write_together(self, statement: Statement, plan: BulkPlan, rows: Rows) -> int:
        changed = 0
        for run in plan.bulk.runs(rows):
            try:
                arguments = plan.bulk.arguments(run) if len(run) > 1 else None
            except Unsplittable:
                arguments = None
            if arguments is None:
                changed += await self._write_singly(statement, run)
            else:
                await plan.prepared.fetch(*arguments)
                changed += rows_changed(plan.prepared.get_statusmsg())
        return changed

    async def _write_singly(self, statement: Statement, rows: Rows) -> int:
        """`execute` prepares a statement with values like `fetch` does, and tells its status."""
        changed = 0
        for row in rows:
            changed += rows_changed(await self.connection.execute(statement.sql, *row))
        return changed

    async def _plan(self, statement: Statement) -> BulkPlan | None:
        if statement not in self._plans:
            self._plans[statement] = await self._prepare(statement)
        return self._plans[statement]

    async def _prepare(self, statement: Statement) -> BulkPlan | None:
        single = await self.connection.prepare(statement.sql)
        types = [parameter.name for parameter in single.get_parameters()]
        bulk = bulk_statement(statement.sql, types)
        if bulk is None:
            return None
        return BulkPlan(bulk, await self.connection.prepare(bulk.sql))

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
        """Say good-bye to the server."""
        await self.connection.close(timeout=1.0)

    def terminate(self) -> None:
        """Drop the connection without a word."""
        self.connection.terminate()


def _plain(sql: str) -> str:
    """The driver takes no subclass of `str`."""
    return str(sql)


def rows_changed(status: str) -> int:
    """The number of rows in a status such as `INSERT 0 3` or `UPDATE 3`."""
    return int(status.rpartition(" ")[2])


async def connect(
    url: str, generation: int, timeout_s: float, settings: Mapping[str, str]
) -> Session:
    """Open a session. `settings` are of the server, beside those that every session has."""
    connection = await asyncpg.connect(
        url,
        timeout=timeout_s,
        command_timeout=COMMAND_TIMEOUT_S,
        statement_cache_size=STATEMENTS_CACHED,
        max_cached_statement_lifetime=0,
        server_settings={**SERVER_SETTINGS, **settings},
    )
    await register(connection)
    return Session(connection, generation)
