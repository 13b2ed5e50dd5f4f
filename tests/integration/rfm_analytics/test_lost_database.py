"""What becomes of a run that is cut off from PostgreSQL in the middle of it."""

from typing import Any

import pytest
import trio

from actors.rfm_analytics import scoring
from actors.rfm_analytics.messages import Run, RunState
from actors.rfm_analytics.steps import Steps
from runtime import host
from runtime.jobs import Leases
from tests.integration.rfm_analytics.shops import counts, ended, publish, segments, start
from tests.proxy import Proxy, proxied
from tests.servers import PostgresServer
from tests.trees import Tree, order, running_tree

pytestmark = [pytest.mark.trio(run=host.run), pytest.mark.slow]

LEASES = Leases(lease_s=3.0, heartbeat_s=0.5)
AWAY_S = 0.3
CUSTOMERS = tuple(f"c{number}" for number in range(6))


async def cut_off(tree: Tree, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run in the middle of which the server was out of reach for `AWAY_S`."""
    gone, advance = trio.Event(), Steps.advance

    async def cut_at_the_third(self: Steps, place: Any) -> Any:
        if place.step == 3 and not gone.is_set():
            proxy.cut()
            gone.set()
        return await advance(self, place)

    with monkeypatch.context() as patch:
        patch.setattr(Steps, "advance", cut_at_the_third)
        begun = await start(tree)
        await gone.wait()
        await trio.sleep(AWAY_S)
        proxy.heal()
        return await ended(tree, begun)


async def test_it_goes_on_when_the_server_is_soon_back_and_is_skipped_else(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was published before stays as it was, and the next run has everything."""
    name = postgres.migrated_database().partition("?")[0].rpartition("/")[2]
    with proxied(postgres.socket_path) as proxy:
        url = postgres.url_through(proxy.port, name)
        async with running_tree(url, rfm_slice=1, leases=LEASES) as tree:
            await tree.create(*CUSTOMERS)
            await tree.record([order("1", 1_000, CUSTOMERS[0]), order("2", 900, CUSTOMERS[5])])
            went_on = await cut_off(tree, proxy, monkeypatch)
            assert (went_on.state, went_on.customers) == (RunState.PUBLISHED, 6)
            assert (await counts(tree))["prospect"] == 4
            served = await segments(tree)
            await tree.record([order("3", 1_000, CUSTOMERS[1])])
            monkeypatch.setattr(scoring, "PATIENCE_S", 0.0)
            skipped = await cut_off(tree, proxy, monkeypatch)
            assert skipped.state is RunState.SKIPPED
            assert skipped.reason is not None
            assert skipped.reason.startswith("the database was not available: ")
            assert await segments(tree) == served
            caught_up = await publish(tree)
            assert (caught_up.customers, caught_up.scored) == (6, 3)
