"""The password of a real PostgreSQL is changed under load, and no query fails."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import attrs
import pytest
import trio

from config import load_settings
from runtime import ActorSystem, host
from runtime.rotation import RotatingSecret
from runtime.storage import StorageError
from runtime.storage.postgres import PostgresDatabase
from supervisors.secrets import WatchedSecret, secrets_child
from tests.servers import PostgresServer, unhurried_postgres
from tests.servers import running as server_running
from tests.stores import unhurried

pytestmark = [pytest.mark.slow, pytest.mark.trio(run=host.run)]

LOGIN = "rotating"
OLD, NEW = "old-c4n4ry", "new-c4n4ry"
CONNECTIONS = 10
PATIENCE_S = 60.0
SLOW = "SELECT pg_sleep(0.02)"


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server that asks one login for a password."""
    with server_running(PostgresServer) as server:
        access = server.directory / "data" / "pg_hba.conf"
        access.write_text(f"local all {LOGIN} scram-sha-256\n{access.read_text()}")
        sql(server, f"CREATE ROLE {LOGIN} LOGIN", "SELECT pg_reload_conf()")
        yield server


def sql(server: PostgresServer, *statements: str) -> None:
    commands = [part for each in statements for part in ("-c", each)]
    server.tool("psql", "-h", str(server.directory), "-U", "postgres", "-q", *commands)


def change_password(server: PostgresServer, password: str) -> None:
    sql(server, f"ALTER ROLE {LOGIN} PASSWORD '{password}'")


@pytest.fixture(autouse=True)
def _unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    unhurried_postgres(monkeypatch)


@attrs.define(eq=False)
class Load:
    """Queries without a pause, from a number of tasks that can grow."""

    secret: RotatingSecret
    store: PostgresDatabase
    nursery: trio.Nursery
    done: int = 0
    failures: list[StorageError] = attrs.field(factory=list)

    def grow(self, tasks: int) -> None:
        for _ in range(tasks):
            self.nursery.start_soon(self._query_for_ever)

    async def _query_for_ever(self) -> None:
        while True:
            try:
                with unhurried():
                    await self.store.fetch(SLOW)
                self.done += 1
            except StorageError as error:
                self.failures.append(error)

    async def go_on(self, queries: int) -> None:
        """Wait until so many more have been answered."""
        end = self.done + queries
        with trio.fail_after(PATIENCE_S):
            while self.done < end:  # noqa: ASYNC110 - the server's time
                await trio.sleep(0.01)

    async def noticed(self, password: str) -> None:
        """Wait until the file has been read again."""
        with trio.fail_after(PATIENCE_S):
            while password not in self.secret.newest:  # noqa: ASYNC110 - a file
                await trio.sleep(0.01)

    async def opened(self, connections: int) -> None:
        """Wait until the pool has opened so many connections in all."""
        with trio.fail_after(PATIENCE_S):
            while self.store.statistics().opened < connections:  # noqa: ASYNC110 - as above
                await trio.sleep(0.01)


@asynccontextmanager
async def under_load(server: PostgresServer, directory: Path) -> AsyncIterator[tuple[Load, Path]]:
    """A store whose password comes from a watched file, with two tasks on it."""
    change_password(server, OLD)
    file = directory / "password"
    file.write_text(OLD)
    url = server.url_of("postgres").replace("postgres@", f"{LOGIN}@")
    settings = load_settings({"database_url": url, "database_password_file": str(file)}, {})

    async def read() -> str | None:
        return await trio.to_thread.run_sync(settings.secrets["database"].read)

    secret = RotatingSecret(settings.database_url)
    store = PostgresDatabase(secret, CONNECTIONS, role=None)
    watcher = secrets_child([WatchedSecret("database", secret, read)])
    try:
        async with ActorSystem().run(watcher), trio.open_nursery() as nursery:
            load = Load(secret, store, nursery)
            load.grow(2)
            await load.opened(2)
            yield load, file
            nursery.cancel_scope.cancel()
    finally:
        await store.close()


async def changed(server: PostgresServer, password: str) -> None:
    await trio.to_thread.run_sync(change_password, server, password)


async def test_the_file_first_and_then_the_server(server: PostgresServer, tmp_path: Path) -> None:
    """The new value is refused at first, and the old one still works."""
    async with under_load(server, tmp_path) as (load, file):
        file.write_text(NEW)
        await load.noticed(NEW)
        load.grow(2)
        await load.opened(4)
        await changed(server, NEW)
        load.grow(4)
        await load.opened(CONNECTIONS - 2)
        await load.go_on(100)
        assert load.failures == []


async def test_the_server_first_and_then_the_file(server: PostgresServer, tmp_path: Path) -> None:
    """Nobody can log in for a while: those who come share the connections that are open."""
    async with under_load(server, tmp_path) as (load, file):
        await changed(server, NEW)
        load.grow(6)
        await load.go_on(100)
        assert load.store.statistics().opened == 2
        file.write_text(NEW)
        await load.opened(CONNECTIONS - 2)
        await load.go_on(100)
        assert load.failures == []


async def test_both_at_once_with_connections_that_are_cut_off(
    server: PostgresServer, tmp_path: Path
) -> None:
    """All connections are new ones afterwards, and none of them knows the old password."""
    async with under_load(server, tmp_path) as (load, file):
        file.write_text(NEW)
        await changed(server, NEW)
        await load.go_on(20)
        assert load.failures == []
        cut = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{LOGIN}'"
        await trio.to_thread.run_sync(sql, server, cut)
        await load.opened(4)
        before = len(load.failures)
        await load.go_on(50)
        assert len(load.failures) == before
        assert all(NEW not in str(error) for error in load.failures)


async def test_a_password_that_nobody_knows_is_an_error_without_the_password(
    server: PostgresServer,
) -> None:
    change_password(server, NEW)
    url: Any = server.url_of("postgres").replace("postgres@", f"{LOGIN}:{OLD}@")
    store = PostgresDatabase(RotatingSecret(url), 3, role=None)
    refused = pytest.raises(StorageError, match="password authentication failed")
    with unhurried(), refused as caught:
        await store.fetch("SELECT 1")
    cause: BaseException | None = caught.value
    while cause is not None and not isinstance(cause, asyncpg.PostgresError):
        assert OLD not in str(cause)
        cause = cause.__cause__
    assert isinstance(cause, asyncpg.InvalidPasswordError)
    await store.close()
