"""Accounts with something due are all looked at, whoever stands before them."""

from datetime import timedelta

import attrs
import pytest
import trio
from trio.testing import MockClock

from actors.points import expiry
from actors.points.expiry import BEGINNING, FRUITLESS_BATCHES, PERIOD_S
from actors.points.queries import PUT_ACCOUNT, SELECT_DUE
from runtime import host
from tests.trees import MERCHANT, START, Tree, running_tree

BATCH = 2


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expiry, "BATCH", BATCH)


async def stuck_accounts(tree: Tree, count: int) -> None:
    """Accounts that say something is due, of which their ledger knows nothing."""
    early = START - timedelta(days=1)
    for index in range(count):
        name = f"stuck-{index:03}"
        row = (MERCHANT, name, "points", 1, 0, 0, 0, "0" * 64, early, early)
        await tree.database.execute(PUT_ACCOUNT.sql, *row)


async def posted_of_ann(tree: Tree) -> int:
    """From the store: asking the account itself would settle it."""
    sql = "SELECT member FROM points_accounts WHERE merchant_id = $1 AND customer_id = 'ann'"
    return int(await tree.database.fetch_value(sql, MERCHANT))


@pytest.mark.parametrize(
    ("stuck", "looks"),
    [
        (0, 1),
        (BATCH, 1),
        (BATCH * (FRUITLESS_BATCHES - 1), 1),
        (BATCH * FRUITLESS_BATCHES, 2),
        (BATCH * FRUITLESS_BATCHES * 3 + 1, 4),
    ],
)
async def test_accounts_that_never_settle_hold_nobody_up(
    stuck: int, looks: int, autojump_clock: MockClock
) -> None:
    async with running_tree() as tree:
        await tree.create("ann")
        await tree.earn(10, expires_at=tree.system.clock.now() + timedelta(seconds=1))
        await stuck_accounts(tree, stuck)
        await trio.sleep(PERIOD_S * looks - 1)
        assert await posted_of_ann(tree) == 10
        await trio.sleep(2)
        assert await posted_of_ann(tree) == 0


async def test_who_comes_due_behind_the_last_place_is_found_by_the_next_round(
    autojump_clock: MockClock,
) -> None:
    async with running_tree() as tree:
        await tree.create("ann")
        await stuck_accounts(tree, BATCH * FRUITLESS_BATCHES + 1)
        await trio.sleep(PERIOD_S + 1)
        await tree.earn(10, expires_at=tree.system.clock.now() + timedelta(seconds=1))
        sql = "UPDATE points_accounts SET next_due_at = $2 WHERE merchant_id = $1"
        long_ago = START - timedelta(days=2)
        await tree.database.execute(f"{sql} AND customer_id = 'ann'", MERCHANT, long_ago)
        await trio.sleep(2 * PERIOD_S)
        assert await posted_of_ann(tree) == 0


@pytest.mark.trio(run=host.run)
async def test_pages_hold_every_due_account_once(store_url: str) -> None:
    async with running_tree(store_url) as tree:
        await tree.create("ann")
        await stuck_accounts(tree, 5)
        seen, place = [], BEGINNING
        while rows := await tree.database.fetch(SELECT_DUE, START, *attrs.astuple(place), BATCH):
            place = expiry.Place(*rows[-1])
            seen += [row["customer_id"] for row in rows]
        assert seen == [f"stuck-{index:03}" for index in range(5)]
