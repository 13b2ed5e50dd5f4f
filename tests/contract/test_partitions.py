"""Who may write where, when the work is divided among processes, and divided anew."""

from collections.abc import Callable

import pytest

from runtime import host
from runtime.ownership import Ownership, Tenure
from runtime.ports import system_ports
from runtime.storage import Database, Superseded, TakenOver
from runtime.storage.partitions import commit_write

pytestmark = pytest.mark.trio(run=host.run)

IDS = system_ports().ids


def shard(name: str, division: str) -> Ownership:
    return Ownership(f"{name}@{division}", family=f"%@{division}")


async def commit(database: Database, tenure: Tenure) -> None:
    tenure.commits += 1
    write = commit_write(tenure.partition, tenure.epoch, tenure.commits)
    await database.append([(write,)])


async def test_shards_of_one_division_write_beside_each_other(database: Database) -> None:
    edge, money = shard("edge", "a1"), shard("money", "a1")
    first, second = await edge.claim(database, IDS), await money.claim(database, IDS)
    for tenure in (first, second, first):
        await commit(database, tenure)
    assert [(await each.claim(database, IDS)).commits for each in (edge, money)] == [2, 1]


async def test_a_process_that_takes_the_place_of_a_shard_fences_that_one_alone(
    database: Database,
) -> None:
    edge, money = shard("edge", "a1"), shard("money", "a1")
    others, old = await edge.claim(database, IDS), await money.claim(database, IDS)
    successor = shard("money", "a1")
    new = await successor.claim(database, IDS)
    assert successor.epoch > money.epoch
    with pytest.raises(Superseded):
        await commit(database, old)
    assert not await money.still_mine(database)
    with pytest.raises(TakenOver):
        await money.claim(database, IDS)
    await commit(database, new)
    await commit(database, others)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (Ownership, lambda: shard("edge", "a1")),
        (lambda: shard("money", "a1"), Ownership),
        (lambda: shard("money", "a1"), lambda: shard("edge", "b2")),
    ],
    ids=["whole, then shards", "shards, then whole", "another division"],
)
async def test_who_divides_the_work_in_another_way_takes_all_of_it(
    database: Database, before: Callable[[], Ownership], after: Callable[[], Ownership]
) -> None:
    older, newer = before(), after()
    old = await older.claim(database, IDS)
    new = await newer.claim(database, IDS)
    with pytest.raises(Superseded):
        await commit(database, old)
    assert not await older.still_mine(database)
    assert await newer.still_mine(database)
    await commit(database, new)
