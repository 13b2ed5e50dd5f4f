"""What becomes of merchants, customers and products when something is killed for real."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import attrs
import pytest
import trio

from config.policy_loading import default_policies
from gateway.settings import GatewaySettings
from runtime import RestartChild, TerminateChild, WhichChildren, host
from runtime.policies import PolicyMetrics
from runtime.storage import Database, DatabaseHandle, Query, Row
from supervisors.application import DOMAINS
from supervisors.policies import domain_policies
from tests.integration.gateway.helpers import CUSTOMER, Api, eventually, running_tree
from tests.noise import noise
from tests.servers import PostgresServer, RedisServer, running
from tests.stores import patient_pipeline

pytestmark = [pytest.mark.slow, pytest.mark.trio(run=host.run)]

NEEDED = {"core", "auth"}
READS = 200
KINDS = ("FROM customers", "FROM merchants", "FROM products")
PRODUCT = {
    "sku": "ROSES-12",
    "name": "Roses",
    "kind": "package",
    "price_minor": 2_500,
    "currency": "EUR",
}


class CountingHandle(DatabaseHandle):
    """Counts what is read of the mirrored tables."""

    reads = 0

    def attach(self, database: Database) -> None:
        counting: Any = Counting(database, self)
        super().attach(counting)


@attrs.frozen(eq=False)
class Counting:
    """Passes on to the store."""

    _database: Database
    _handle: CountingHandle

    async def fetch_row(self, sql: str, *values: object) -> Row | None:
        self._handle.reads += any(kind in sql for kind in KINDS)
        return await self._database.fetch_row(sql, *values)

    async def fetch_many(self, queries: Sequence[Query]) -> list[list[Row]]:
        self._handle.reads += any(kind in sql for sql, _ in queries for kind in KINDS)
        return await self._database.fetch_many(queries)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)


PATHS = ("/v1/merchant", f"/v1/customers/{CUSTOMER}", "/v1/products/ROSES-12")


@asynccontextmanager
async def shop(
    tmp_path: Path, redis_url: str | None, url: str | None = None
) -> AsyncIterator[tuple[Api, CountingHandle]]:
    handle = CountingHandle(patient_pipeline()) if url is None else CountingHandle()
    ours = domain_policies(default_policies(), Random(1), PolicyMetrics())
    async with running_tree(
        tmp_path, GatewaySettings(), handle=handle, redis_url=redis_url, url=url, policies=ours
    ) as api:
        answer = await api.ask("PUT", "/v1/products", json={"products": [PRODUCT]})
        assert answer.status_code == 200, answer.text
        yield api, handle


async def statuses(api: Api, times: int) -> set[int]:
    found = set()
    for _ in range(times):
        for path in PATHS:
            found.add((await api.ask("GET", path)).status_code)
    return found


@pytest.mark.parametrize("cache", ["redis", "in the process"])
async def test_warm_mirrors_spare_the_database(
    tmp_path: Path, cache: str, request: pytest.FixtureRequest
) -> None:
    server: RedisServer | None = None
    if cache == "redis":
        server = request.getfixturevalue("redis_server")
    async with shop(tmp_path, server.url if server is not None else None) as (api, handle):
        await statuses(api, 1)
        before = handle.reads
        assert await statuses(api, READS // len(PATHS)) == {200}
        assert handle.reads - before <= READS * 0.1
        renamed = await api.ask("PATCH", PATHS[1], json={"display_name": "Ada"})
        assert renamed.status_code == 200
        assert (await api.ask("GET", PATHS[1])).json()["display_name"] == "Ada"


async def test_a_flushed_or_dead_cache_is_no_outage(tmp_path: Path) -> None:
    with running(RedisServer) as server:
        async with shop(tmp_path, server.url) as (api, handle):
            await statuses(api, 1)
            server.kill()
            before = handle.reads
            began = trio.current_time()
            assert await statuses(api, 30) == {200}
            # At most one read for each key and second, and one at the beginning.
            assert handle.reads - before <= len(PATHS) * (trio.current_time() - began + 2)


async def test_without_the_database_reads_are_old_and_marked_and_writes_refused(
    tmp_path: Path,
) -> None:
    with running(PostgresServer, with_schema=True) as server:
        async with shop(tmp_path, None, server.migrated_database()) as (api, _):
            assert await statuses(api, 1) == {200}
            server.freeze_all()
            try:
                await _degraded(api)
            finally:
                server.resume_all()


async def _degraded(api: Api) -> None:
    async def marked() -> bool:
        answers = [await api.ask("GET", path) for path in PATHS]
        assert {answer.status_code for answer in answers} == {200}
        return all(answer.json().get("degraded") for answer in answers)

    await eventually(marked)
    shown = (await api.ask("GET", PATHS[2])).json()
    assert {"sku", "name", "price_minor", "currency", "degraded"} <= shown.keys()
    async with noise() as machine:
        began = trio.current_time()
        await api.ask("GET", PATHS[2])
        assert trio.current_time() - began <= 0.3 + machine.lost_s
    quote = await api.ask("POST", "/v1/products/quote", json={"skus": ["ROSES-12"]})
    assert quote.status_code in {200, 503, 504}, quote.text
    rename = await api.ask("PATCH", PATHS[1], json={"display_name": "Bea"})
    assert rename.status_code == 503


async def test_core_goes_on_without_any_other_domain(tmp_path: Path) -> None:
    """Each of them is killed, and stays down, while customers are written and merchants read."""
    async with shop(tmp_path, None) as (api, _):
        domains = api.system.ref(DOMAINS)
        others = [child for child in await domains.ask(WhichChildren()) if child.id not in NEEDED]
        assert len(others) >= 9
        for child in others:
            assert child.ref.kill()
            await _written_and_read(api, f"{child.id}-killed")
            await domains.ask(TerminateChild(child.id))
            await _written_and_read(api, f"{child.id}-down")
            await domains.ask(RestartChild(child.id))


async def _written_and_read(api: Api, name: str) -> None:
    for number in range(5):
        customer = {"customer_id": f"{name}-{number}"}
        answer = await api.ask("POST", "/v1/customers", json=customer)
        assert answer.status_code == 201, answer.text
        assert (await api.ask("GET", PATHS[0])).status_code == 200
