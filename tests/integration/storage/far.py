"""A PostgreSQL store behind the proxy, and a look at its server past the proxy."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import attrs
import trio

from runtime import host
from runtime.context import request_context
from runtime.storage import StorageUnavailable
from runtime.storage.postgres import PostgresDatabase
from tests.proxy import Proxy, proxied
from tests.servers import PostgresServer
from tests.stores import unhurried

CONNECTIONS = 6
LOOK_EVERY_S = 0.005
LOOK_TIMEOUT_S = 60.0

ACTIVE = (
    "SELECT query FROM pg_stat_activity"
    " WHERE datname = current_database() AND state = 'active' AND pid <> pg_backend_pid()"
)
ASLEEP = f"{ACTIVE} AND wait_event = 'PgSleep'"
SESSIONS = (
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


@attrs.define(eq=False)
class Far:
    """`store` reaches the server through `proxy`; the looks do not."""

    server: PostgresServer
    proxy: Proxy
    store: PostgresDatabase
    _direct_url: str
    _observer: asyncpg.Connection | None = None

    async def look(self, sql: str) -> list[Any]:
        """The first column of a query, on a connection of our own."""
        return await host.call(self._look, sql)

    async def _look(self, sql: str) -> list[Any]:
        if self._observer is None or self._observer.is_closed():
            self._observer = await asyncpg.connect(self._direct_url)
        return [row[0] for row in await self._observer.fetch(sql)]

    async def until(self, sql: str, accepted: Callable[[list[Any]], bool]) -> float:
        """Look until the answer is accepted; the seconds that took."""
        begun, seen = trio.current_time(), await self.look(sql)
        while not accepted(seen):
            assert trio.current_time() - begun < LOOK_TIMEOUT_S, f"still {seen}"
            await trio.sleep(LOOK_EVERY_S)
            seen = await self.look(sql)
        return trio.current_time() - begun

    async def until_asleep(self, text: str) -> None:
        """Wait until a query with `text` in it runs on the server and sleeps there."""
        await self.until(ASLEEP, lambda queries: any(text in query for query in queries))

    async def until_idle(self) -> float:
        """Wait until no query of the store runs on the server; the seconds that took."""
        return await self.until(ACTIVE, lambda queries: not queries)

    async def until_served(self) -> float:
        """Read until there is an answer; the seconds that took."""
        return await self.until_done(partial(self.store.fetch, "SELECT 1"))

    async def until_done(self, work: Callable[[], Awaitable[Any]]) -> float:
        """Try, with a second each time, until it is done; the seconds that took."""
        begun = trio.current_time()
        with trio.fail_after(LOOK_TIMEOUT_S):
            while not await _done(work):  # noqa: ASYNC110 - another process makes it possible
                await trio.sleep(LOOK_EVERY_S)
        return trio.current_time() - begun

    async def close(self) -> None:
        await self.store.close()
        if self._observer is not None:
            self._observer.terminate()


async def _done(work: Callable[[], Awaitable[Any]]) -> bool:
    try:
        with request_context(deadline=trio.current_time() + 1):
            await work()
    except StorageUnavailable:
        return False
    return True


@asynccontextmanager
async def far_store(server: PostgresServer, direct_url: str) -> AsyncIterator[Far]:
    """A store on a database of the server that is emptied first; it may do everything there.

    Connections are made when they are needed.
    """
    with proxied(server.socket_path) as proxy:
        url = server.url_through(proxy.port, urlsplit(direct_url).path[1:])
        far = Far(server, proxy, PostgresDatabase(url, CONNECTIONS, None), direct_url)
        try:
            await far.look("DROP SCHEMA public CASCADE")
            await far.look("CREATE SCHEMA public")
            with unhurried():
                yield far
        finally:
            proxy.heal()
            with trio.CancelScope(shield=True):
                await far.close()


@contextmanager
def unavailable() -> Iterator[None]:
    """The block has to end with `StorageUnavailable`."""
    try:
        yield
    except StorageUnavailable:
        return
    raise AssertionError("it went through")


async def late_by(deadline: float, work: Callable[[], Awaitable[Any]]) -> float:
    """How many seconds after `deadline` work under it ended with `StorageUnavailable`."""
    with request_context(deadline=deadline), unavailable():
        await work()
    return trio.current_time() - deadline


async def all_at_once(works: list[Callable[[], Awaitable[Any]]]) -> None:
    async with trio.open_nursery() as nursery:
        for work in works:
            nursery.start_soon(work)
