"""A server that loses its PostgreSQL and is killed itself: what was promised is applied once."""

import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from cli.http_client import HttpAnswer, HttpClient
from tests.integration.cli.program import Running, run, started
from tests.integration.crash.client import AGAIN_AFTER_S, CUSTOMERS, NOT_NOW, Request, found, made
from tests.servers import PostgresServer, running

pytestmark = pytest.mark.slow

SERVE = ("serve", "--http-bind", "127.0.0.1:0", "--shutdown-delay-s", "0")
MERCHANT = "shop"
WORKERS = 6
BEFORE, DURING = 60, 120
"""Earnings answered before the database goes, and while it is gone."""

TIMEOUT_S = 180.0
POLL_S = 0.1


@attrs.define
class Shop:
    """One merchant's client, and what it was told: by key the answer to each earning."""

    folder: Path
    database_url: str
    token: str = ""
    url: str = ""
    sent: dict[str, Request] = attrs.field(factory=dict)
    told: dict[str, HttpAnswer] = attrs.field(factory=dict)
    spent: list[int] = attrs.field(factory=list)
    _enough: trio.Event = attrs.field(factory=trio.Event)
    _goal: int = 0

    def server(self) -> Any:
        return started(*SERVE, cwd=self.folder, LOYALNEST_DATABASE_URL=self.database_url)

    async def register(self, server: Running) -> None:
        self.url = server.url()
        self.token = run("token", "--merchant", MERCHANT, "--role", "owner", cwd=self.folder).out
        self.token = self.token.strip()
        platform = run("token", "--role", "platform", cwd=self.folder).out.strip()
        merchant = {"merchant_id": MERCHANT, "name": "Shop", "currency": "USD"}
        client = HttpClient(self.url)
        await made(client, "/v1/admin/merchants", merchant, platform)
        for number in range(CUSTOMERS):
            customer = {"customer_id": f"customer-{number}"}
            await made(client, "/v1/customers", customer, self.token)

    async def post(self, request: Request) -> HttpAnswer:
        client = HttpClient(self.url)
        return await client.post(
            request.path, request.body, self.token, idempotency_key=request.key
        )

    async def get(self, path: str) -> Any:
        return await found(HttpClient(self.url), path, self.token)

    async def answered(self, more: int) -> None:
        self._goal, self._enough = len(self.told) + more, trio.Event()
        await self._enough.wait()

    async def earn(self) -> None:
        """Earn again and again; each request is repeated until it is answered or promised."""
        while True:
            number = len(self.sent)
            body: dict[str, object] = {
                "customer_id": f"customer-{number % CUSTOMERS}",
                "amount": number + 1,
                "reason": "test",
            }
            request = Request(f"earn-{number}", "/v1/points/earn", body)
            self.sent[request.key] = request
            while (answer := await self.post(request)).status not in (200, 202):
                assert answer.status in NOT_NOW, answer
            self.told[request.key] = answer
            if len(self.told) >= self._goal:
                self._enough.set()

    async def spend(self) -> None:
        """One redemption; it must be refused while the database is away."""
        body: dict[str, object] = {"customer_id": "customer-0", "amount": 1, "reason": "test"}
        request = Request(f"spend-{len(self.spent)}", "/v1/points/redeem", body)
        self.spent.append((await self.post(request)).status)


async def lose_everything(shop: Shop, server: Running, postgres: PostgresServer) -> None:
    """The database is killed under load, and then the server, while earnings are promised."""
    with trio.fail_after(TIMEOUT_S):
        async with trio.open_nursery() as nursery:
            for _ in range(WORKERS):
                nursery.start_soon(shop.earn)
            await shop.answered(BEFORE)
            await trio.to_thread.run_sync(postgres.kill)
            await shop.answered(DURING)
            for _ in range(3):
                await shop.spend()
            nursery.cancel_scope.cancel()
    server.send(signal.SIGKILL)
    server.wait()


async def applied(shop: Shop, promises: Sequence[Any]) -> None:
    """Wait until every promise has come to its end, which must be a good one."""
    with trio.fail_after(TIMEOUT_S):
        for promise in promises:
            while (kept := await shop.get(promise["status_url"]))["status"] == "queued":  # noqa: ASYNC110
                await trio.sleep(POLL_S)
            assert kept["status"] == "applied", kept


async def stored(shop: Shop, request: Request) -> HttpAnswer:
    """What the database answers; a server that stood still promises, or has no time."""
    with trio.fail_after(TIMEOUT_S):
        while (answer := await shop.post(request)).status in (202, *NOT_NOW):  # noqa: ASYNC110
            await trio.sleep(AGAIN_AFTER_S)
    assert answer.status == 200, answer
    return answer


async def check(shop: Shop) -> None:
    """Everything that was told is there once, and nothing else but what was under way."""
    expected = {f"customer-{number}": 0 for number in range(CUSTOMERS)}
    for key, request in shop.sent.items():
        answer = await stored(shop, request)
        if key in shop.told and shop.told[key].status == 200:
            assert answer.body == shop.told[key].body
        amount = request.body["amount"]
        assert isinstance(amount, int)
        expected[str(request.body["customer_id"])] += amount
    for customer, posted in expected.items():
        assert (await shop.get(f"/v1/customers/{customer}/balance"))["posted"] == posted
    verification = await shop.get("/v1/points/verify")
    assert verification["clean"]
    assert verification["transactions"] == len(shop.sent)


async def test_what_was_promised_survives_the_database_and_the_server(tmp_path: Path) -> None:
    with running(PostgresServer, with_schema=True) as postgres:
        shop = Shop(tmp_path, postgres.migrated_database())
        with shop.server() as server:
            await shop.register(server)
            await lose_everything(shop, server, postgres)
        assert len(shop.spent) == 3
        assert set(shop.spent) <= set(NOT_NOW)
        promises = [answer.body for answer in shop.told.values() if answer.status == 202]
        assert len(promises) >= DURING - WORKERS
        await trio.to_thread.run_sync(postgres.start)
        with shop.server() as server:
            shop.url = server.url()
            await applied(shop, promises)
            await check(shop)
            server.send(signal.SIGTERM)
            assert server.wait() == 0


async def test_a_server_whose_database_comes_back_replays_without_a_restart(
    tmp_path: Path,
) -> None:
    with running(PostgresServer, with_schema=True) as postgres:
        shop = Shop(tmp_path, postgres.migrated_database())
        with shop.server() as server:
            await shop.register(server)
            with trio.fail_after(TIMEOUT_S):
                async with trio.open_nursery() as nursery:
                    for _ in range(WORKERS):
                        nursery.start_soon(shop.earn)
                    await shop.answered(BEFORE)
                    await trio.to_thread.run_sync(postgres.kill)
                    await shop.answered(DURING)
                    await trio.to_thread.run_sync(postgres.start)
                    while list(shop.told.values())[-1].status != 200:
                        await shop.answered(WORKERS)
                    nursery.cancel_scope.cancel()
            promises = [answer.body for answer in shop.told.values() if answer.status == 202]
            assert len(promises) > DURING // 2
            await applied(shop, promises)
            await check(shop)
