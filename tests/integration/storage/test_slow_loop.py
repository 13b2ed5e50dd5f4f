"""A loop that is slow: what was cancelled ends on the server all the same."""

import time

import pytest
import trio

from runtime import host
from tests.integration.storage.far import far_store
from tests.servers import PostgresServer

pytestmark = [pytest.mark.trio(run=host.run), pytest.mark.slow]

STEPS, STEP_S = 40, 0.025


async def test_a_query_is_gone_though_its_connection_was_given_up_first(
    postgres: PostgresServer,
) -> None:
    """The driver has not come to sending its cancellation by then, and would drop it."""
    async with far_store(postgres, postgres.new_database()) as far:

        async def query() -> None:
            await far.store.fetch("SELECT pg_sleep(30)")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(query)
            await far.until_asleep("pg_sleep(30)")
            nursery.cancel_scope.cancel()
            with trio.CancelScope(shield=True):
                for _ in range(STEPS):
                    await trio.lowlevel.checkpoint()
                    time.sleep(STEP_S)  # noqa: ASYNC251 - that is the case
        await far.until_idle()
