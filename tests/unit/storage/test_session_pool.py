"""Sessions of PostgreSQL, without a server: shared while nobody can log in, and closed."""

import asyncio
from typing import Any

import asyncpg
import attrs
import pytest
import structlog
import trio

from runtime import host
from runtime.storage.errors import DatabaseAway
from runtime.storage.postgres_pool import SessionPool
from runtime.storage.postgres_session import Session, connect
from runtime.trouble import Trouble
from tests.servers import unhurried_postgres

pytestmark = pytest.mark.trio(run=host.run)


@pytest.fixture(autouse=True)
def _unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    unhurried_postgres(monkeypatch)


class Connection:
    """Is there, and at rest. Its server never hears that it is closed."""

    closed = False

    def is_closed(self) -> bool:
        return self.closed

    def terminate(self) -> None:
        self.closed = True

    async def close(self, timeout: float) -> None:
        self.terminate()
        raise TimeoutError

    async def set_type_codec(self, *_arguments: str, **_options: object) -> None:
        await asyncio.sleep(60)


@attrs.define
class Server:
    """Lets so many clients in; the next ones wait for the `verdict`, and are turned away."""

    lets_in: int = 1
    connections: list[Connection] = attrs.field(factory=list)
    asked: int = 0
    verdict: asyncio.Event = attrs.field(factory=asyncio.Event)

    async def connect(self, generation: int, _timeout_s: float) -> Session:
        self.asked += 1
        if len(self.connections) < self.lets_in:
            self.connections.append(Connection())
            connection: Any = self.connections[-1]
            return Session(connection, generation)
        await self.verdict.wait()
        raise asyncpg.InvalidPasswordError("another password")


def pool_of(server: Server) -> SessionPool:
    log = structlog.get_logger("test")
    return SessionPool(server.connect, 4, Trouble(log, "database_away", "database_reached_again"))


async def test_a_session_that_came_back_while_the_login_was_refused_is_taken() -> None:
    server = Server()
    pool, got = pool_of(server), trio.Event()

    async def come() -> None:
        async with pool.session():
            got.set()

    async with trio.open_nursery() as nursery:
        async with pool.session():
            nursery.start_soon(come)
            while server.asked < 2:
                await trio.lowlevel.checkpoint()
        server.verdict.set()
    assert got.is_set()
    assert pool.statistics().opened == 1


async def test_who_finds_no_session_of_others_is_told_that_the_login_was_refused() -> None:
    server = Server(lets_in=0)
    server.verdict.set()
    with pytest.raises(DatabaseAway, match="another password"):
        async with pool_of(server).session():
            pass


async def test_all_are_closed_although_the_server_hears_of_none() -> None:
    server = Server(lets_in=3)
    pool = pool_of(server)
    async with pool.session(), pool.session(), pool.session():
        pass
    await pool.close()
    assert [connection.closed for connection in server.connections] == [True] * 3


async def test_a_connection_that_is_given_up_before_it_can_be_used_is_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened: list[Connection] = []

    async def connected(*_arguments: str, **_options: object) -> Connection:
        opened.append(Connection())
        return opened[-1]

    async def come() -> None:
        await host.call(connect, "postgresql://", 0, 60.0, {}, None)

    monkeypatch.setattr(asyncpg, "connect", connected)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(come)
        while not opened:
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    assert opened[0].closed
