"""Events, a PostgreSQL that is killed, and a program that is killed: what was taken is stored.

Clauses T2 and T3.
"""

import shutil
import signal
import statistics
from itertools import pairwise
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from cli.http_client import HttpClient, Unreachable
from tests.integration.cli.program import Running, run, started
from tests.integration.crash.client import NOT_NOW, found, made
from tests.noise import noise
from tests.servers import PostgresServer, running

pytestmark = pytest.mark.slow

SERVE = ("serve", "--http-bind", "127.0.0.1:0", "--shutdown-delay-s", "0")
MERCHANT = "shop"
IN_BATCH = 20
BEFORE, DURING = 20, 60
"""Batches before the database goes, and while it is gone."""

PAUSE_S = 0.01
LOST_S = 0.1
"""What was taken so long before a kill is on the disk, on a machine that does nothing else."""

SLOWER, SLOWER_S = 3.0, 0.3
"""Far from the second that an attempt at the database may take."""

TIMEOUT_S = 120.0
POLL_S = 0.1
UNDER_LOAD_S = 1.0


@attrs.define
class Shop:
    """A merchant that sends events, and when each batch was taken, and how long that took."""

    folder: Path
    database_url: str
    token: str = ""
    url: str = ""
    taken_at: list[float] = attrs.field(factory=list)
    took_s: list[float] = attrs.field(factory=list)

    def server(self) -> Any:
        return started(*SERVE, cwd=self.folder, LOYALNEST_DATABASE_URL=self.database_url)

    async def register(self, server: Running) -> None:
        self.url = server.url()
        self.token = run("token", "--merchant", MERCHANT, "--role", "owner", cwd=self.folder).out
        self.token = self.token.strip()
        platform = run("token", "--role", "platform", cwd=self.folder).out.strip()
        merchant = {"merchant_id": MERCHANT, "name": "Shop", "currency": "USD"}
        await made(HttpClient(self.url), "/v1/admin/merchants", merchant, platform)

    async def send(self, batches: int = 100_000) -> None:
        """As many batches, or until the server is gone."""
        client = HttpClient(self.url)
        for _ in range(batches):
            first = len(self.taken_at) * IN_BATCH
            events = [
                {
                    "message_id": f"event-{number}",
                    "type": "page_viewed",
                    "occurred_at": "2026-05-01T12:00:00Z",
                    "properties": {"number": number},
                }
                for number in range(first, first + IN_BATCH)
            ]
            began = trio.current_time()
            try:
                answer = await client.post("/v1/events/batch", {"events": events}, self.token)
                while answer.status in NOT_NOW:
                    answer = await client.post("/v1/events/batch", {"events": events}, self.token)
            except Unreachable:
                return
            assert (answer.status, answer.body) == (202, {"accepted": IN_BATCH, "dropped": 0})
            self.taken_at.append(trio.current_time())
            self.took_s.append(self.taken_at[-1] - began)
            await trio.sleep(PAUSE_S)

    async def totals(self) -> dict[str, Any]:
        told: dict[str, Any] = await found(HttpClient(self.url), "/v1/events/totals", self.token)
        parts = ("stored", "deduplicated", "dropped", "buffered")
        assert told["accepted"] == sum(told[part] for part in parts), told
        return told

    async def settled(self) -> dict[str, Any]:
        with trio.fail_after(TIMEOUT_S):
            while (told := await self.totals())["buffered"]:  # noqa: ASYNC110
                await trio.sleep(POLL_S)
        return told

    async def stored(self) -> set[str]:
        stored: set[str] = set()
        path: str | None = "/v1/events?limit=200"
        while path is not None:
            page = await found(HttpClient(self.url), path, self.token)
            ids = [each["message_id"] for each in page["items"]]
            assert stored.isdisjoint(ids)
            stored.update(ids)
            cursor = page["next_cursor"]
            path = f"/v1/events?limit=200&cursor={cursor}" if cursor else None
        return stored

    def durable(self, killed_at: float, lost_s: float) -> set[str]:
        """What has to outlive a kill, should the server have stood still as long as it said
        nothing."""
        times = [*self.taken_at[BEFORE + DURING - 1 :], killed_at]
        silence_s = max(after - before for before, after in pairwise(times))
        taken = [at for at in self.taken_at if at < killed_at - lost_s - silence_s]
        return {f"event-{number}" for number in range(len(taken) * IN_BATCH)}


async def test_events_outlive_the_database_and_the_program_and_replays_add_nothing(
    tmp_path: Path,
) -> None:
    spill, copy = tmp_path / "data" / "events", tmp_path / "copy"
    with running(PostgresServer, with_schema=True) as postgres:
        shop = Shop(tmp_path, postgres.migrated_database())
        with shop.server() as server:
            await shop.register(server)
            await shop.send(BEFORE)
            assert (await shop.settled())["stored"] == BEFORE * IN_BATCH
            await trio.to_thread.run_sync(postgres.kill)
            async with noise() as machine:
                await shop.send(DURING)
            told = await shop.totals()
            assert told["buffered"] >= DURING * IN_BATCH
            async with noise() as last, trio.open_nursery() as nursery:
                nursery.start_soon(shop.send)
                await trio.sleep(UNDER_LOAD_S)
                server.send(signal.SIGKILL)
                killed_at = trio.current_time()
            server.wait()
        before, during = shop.took_s[:BEFORE], shop.took_s[BEFORE : BEFORE + DURING]
        usual_s = SLOWER * statistics.median(before) + SLOWER_S
        assert statistics.median(during) <= usual_s + machine.worst_s
        await trio.to_thread.run_sync(shutil.copytree, spill, copy)
        await trio.to_thread.run_sync(postgres.start)
        with shop.server() as server:
            shop.url = server.url()
            told = await shop.settled()
            ids = await shop.stored()
            assert told["stored"] == len(ids)
            assert ids >= shop.durable(killed_at, LOST_S + last.worst_s)
            server.send(signal.SIGTERM)
            assert server.wait() == 0
        await trio.to_thread.run_sync(shutil.rmtree, spill)
        await trio.to_thread.run_sync(shutil.copytree, copy, spill)
        with shop.server() as server:
            shop.url = server.url()
            assert await shop.settled() == told
            assert await shop.stored() == ids
