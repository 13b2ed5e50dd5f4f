"""Requests that nobody waits for any more: what a real program does on its server ends as well."""

import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import attrs
import pytest
import trio

from cli.http_client import HttpClient
from runtime import host
from tests.integration.cli.program import PATIENT, Running, run, started
from tests.integration.crash.client import made

pytestmark = [pytest.mark.trio(run=host.run), pytest.mark.slow]

MERCHANT = "shop"
DEADLINE_S = 3.0
SOON_S = 15.0
"""After it, nothing of a request that was given up may run. That takes some milliseconds, and what
nobody ends a minute."""

LOOK_EVERY_S = 0.005
LOOKS_TIMEOUT_S = 60.0
AFTER_S = 0.3

RUNNING = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    " AND application_name = 'loyalnest' AND state = 'active' AND query LIKE '%' || $1 || '%'"
    " AND wait_event_type IS DISTINCT FROM 'Client'"
)
"""One that waits for its client has ended, and did not reach a client that is frozen."""


@attrs.define(eq=False)
class Shop:
    """A program that serves one merchant, and two connections of our own to its database."""

    program: Running
    url: str
    token: str
    _observer: asyncpg.Connection
    _locker: asyncpg.Connection

    @property
    def client(self) -> HttpClient:
        return HttpClient(self.url)

    @asynccontextmanager
    async def locked(self, table: str) -> AsyncIterator[None]:
        """Nobody else gets at the table meanwhile: statements on it hang on the server."""
        await host.call(self._locker.execute, "BEGIN")
        await host.call(self._locker.execute, f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        try:
            yield
        finally:
            await host.call(self._locker.execute, "ROLLBACK")

    async def runs(self, text: str) -> bool:
        """Whether a statement with `text` in it runs for the program."""
        return bool(await host.call(self._observer.fetchval, RUNNING, text))

    async def until(self, text: str, runs: bool) -> float:
        """Wait until such a statement runs, or none does; the seconds that took."""
        began = trio.current_time()
        with trio.fail_after(LOOKS_TIMEOUT_S):
            while await self.runs(text) is not runs:  # noqa: ASYNC110 - another process changes it
                await trio.sleep(LOOK_EVERY_S)
        return trio.current_time() - began

    async def until_served(self, path: str) -> None:
        """Ask until there is an answer; a program that was just flooded, or stood still, may have
        no time first."""
        with trio.fail_after(LOOKS_TIMEOUT_S):
            while (answer := await self.client.get(path, self.token)).status != 200:
                assert answer.status in (503, 504), answer
                await trio.sleep(LOOK_EVERY_S)

    async def send(self, method: str, path: str, body: str = "") -> trio.SocketStream:
        """A request on a connection of its own, whose answer nobody reads yet."""
        where = urlsplit(self.url)
        stream = await trio.open_tcp_stream(str(where.hostname), where.port or 80)
        head = (
            f"{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {self.token}\r\n"
            f"idempotency-key: k-{id(stream)}\r\n"
        )
        if body:
            head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
        await stream.send_all(f"{head}\r\n{body}".encode())
        return stream

    async def balance(self, customer_id: str) -> int:
        path = f"/v1/customers/{customer_id}/balance"
        answer = await self.client.get(path, self.token)
        assert answer.status == 200, answer
        return int(answer.body["posted"])


@pytest.fixture
async def shop(url: str, tmp_path: Path) -> AsyncIterator[Shop]:
    async with running_shop(url, tmp_path) as shop:
        yield shop


@pytest.fixture
async def patient_shop(url: str, tmp_path: Path) -> AsyncIterator[Shop]:
    """One that gives its requests a minute."""
    async with running_shop(url, tmp_path, **PATIENT) as shop:
        yield shop


@asynccontextmanager
async def running_shop(url: str, folder: Path, **settings: Any) -> AsyncIterator[Shop]:
    observer = await host.call(asyncpg.connect, url)
    locker = await host.call(asyncpg.connect, url)
    serve = ("serve", "--http-bind", "127.0.0.1:0")
    try:
        with started(*serve, cwd=folder, LOYALNEST_DATABASE_URL=url, **settings) as program:
            address = await trio.to_thread.run_sync(program.url)
            token, platform = (
                run("token", *who, cwd=folder).out.strip()
                for who in (
                    ("--merchant", MERCHANT, "--role", "owner"),
                    ("--role", "platform"),
                )
            )
            client = HttpClient(address)
            merchant = {"merchant_id": MERCHANT, "name": "Shop", "currency": "USD"}
            await made(client, "/v1/admin/merchants", merchant, platform)
            await made(client, "/v1/customers", {"customer_id": "ann"}, token)
            yield Shop(program, address, token, observer, locker)
    finally:
        observer.terminate()
        locker.terminate()


SLOW = [
    pytest.param("/v1/orders", "orders", "FROM orders", id="a reader"),
    pytest.param("/v1/orders/totals", "orders", "FROM orders", id="a request in bulk"),
    pytest.param(
        "/v1/customers/ann/balance", "points_accounts", "FROM points_accounts", id="an entity"
    ),
]


@pytest.mark.parametrize(("path", "table", "statement"), SLOW)
async def test_statement_ends_when_the_client_hangs_up(
    patient_shop: Shop, path: str, table: str, statement: str
) -> None:
    """From the gateway through the actors, of which an entity asks another one."""
    shop = patient_shop
    async with shop.locked(table):
        for _ in range(3):
            stream = await shop.send("GET", path)
            await shop.until(statement, True)
            await stream.aclose()
            assert await shop.until(statement, False) <= SOON_S
    await shop.until_served(path)


@pytest.mark.parametrize(("path", "table", "statement"), SLOW)
async def test_statement_ends_with_the_deadline_of_the_request(
    shop: Shop, path: str, table: str, statement: str
) -> None:
    async with shop.locked(table):
        began = trio.current_time()
        answer = await shop.client.get(path, shop.token)
        took_s = trio.current_time() - began
        assert answer.status in (503, 504), answer
        assert took_s <= DEADLINE_S + SOON_S
        assert await shop.until(statement, False) <= SOON_S
    await shop.until_served(path)


async def test_server_ends_the_statement_of_a_program_that_cannot_do_it_any_more(
    shop: Shop,
) -> None:
    """The deadline travels with the statement."""
    async with shop.locked("orders"):
        began = trio.current_time()
        stream = await shop.send("GET", "/v1/orders")
        await shop.until("FROM orders", True)
        shop.program.send(signal.SIGSTOP)
        try:
            await shop.until("FROM orders", False)
        finally:
            shop.program.send(signal.SIGCONT)
        took_s = trio.current_time() - began
        assert took_s <= DEADLINE_S + SOON_S
        await stream.aclose()


async def test_what_was_handed_to_the_journal_is_finished_though_the_client_has_gone(
    shop: Shop,
) -> None:
    body = '{"customer_id": "ann", "amount": 70, "reason": "purchase"}'
    assert await shop.balance("ann") == 0
    async with shop.locked("points_transactions"):
        stream = await shop.send("POST", "/v1/points/earn", body)
        await shop.until("points_transactions", True)
        await stream.aclose()
        await trio.sleep(AFTER_S)
        assert await shop.runs("points_transactions")
    await shop.until("points_transactions", False)
    assert await shop.balance("ann") == 70


async def test_program_is_whole_after_hundreds_of_clients_that_hung_up(shop: Shop) -> None:
    """At any moment of a request: no connection to the database was lost or spoilt."""
    paths = ("/v1/orders", "/v1/customers/ann/balance", "/v1/orders/totals", "/v1/customers")

    async def hang_up(number: int) -> None:
        stream: Any = await shop.send("GET", paths[number % len(paths)])
        await trio.sleep(number % 25 / 1000)
        await stream.aclose()

    for _ in range(10):
        async with trio.open_nursery() as nursery:
            for number in range(50):
                nursery.start_soon(hang_up, number)
    for path in paths:
        await shop.until_served(path)
    await shop.until("FROM", False)
