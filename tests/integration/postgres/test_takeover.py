"""Two processes on one database: the newer one writes, the older one cannot."""

import pytest
import trio

from actors.points.messages import Apply, Earn, Receipt
from runtime import host
from runtime.ports import system_ports
from runtime.storage import StorageUnavailable
from tests.servers import PostgresServer
from tests.trees import key, running_tree

pytestmark = [pytest.mark.trio(run=host.run), pytest.mark.slow]


async def test_the_newer_process_takes_over_and_the_older_one_writes_nothing(url: str) -> None:
    async with running_tree(url, system_ports()) as older:
        await older.create("ann")
        await older.earn(10)
        async with running_tree(url, system_ports()) as newer:
            await newer.earn(5)
            for _ in range(3):
                with pytest.raises(StorageUnavailable, match="another process"):
                    await older.earn(100)
            await newer.earn(5)
            assert (await newer.balance()).posted == 20
            assert (await newer.verify()).clean


async def test_a_process_that_was_replaced_does_not_come_back(url: str) -> None:
    async with running_tree(url, system_ports()) as older:
        await older.create("ann")
        async with running_tree(url, system_ports()) as newer:
            await newer.earn(5)
        earning = Earn(idempotency=key(), amount=1, reason="test")
        with pytest.raises(StorageUnavailable, match="another process"):
            await older.account().ask(Apply((earning,)))


async def test_writers_that_race_for_the_takeover_lose_nothing_and_write_nothing_twice(
    postgres: PostgresServer,
) -> None:
    url = postgres.migrated_database()
    receipts: list[Receipt] = []

    async def earn(process: int, customer: str) -> None:
        async with running_tree(url, system_ports()) as tree:
            for number in range(20):
                earning = Earn(idempotency=key(f"{process}-{number}"), amount=1, reason="race")
                try:
                    (result,) = await tree.apply(earning, customer=customer)
                except StorageUnavailable:
                    return
                assert isinstance(result, Receipt)
                receipts.append(result)

    async with running_tree(url, system_ports()) as tree:
        await tree.create("ann", "bob", "cyd")
    async with trio.open_nursery() as nursery:
        for process, customer in enumerate(("ann", "bob", "cyd")):
            nursery.start_soon(earn, process, customer)
    async with running_tree(url, system_ports()) as tree:
        there = sum([(await tree.balance(customer)).posted for customer in ("ann", "bob", "cyd")])
        assert there == len(receipts)
        assert (await tree.verify()).clean
