"""Customers who turn out to be one: the points of the one that ends go to the other, once."""

from datetime import timedelta

import pytest

from actors.core.messages import CUSTOMERS, CUSTOMERS_MERGED, MergeCustomers
from actors.points import transfers
from actors.points.messages import MERGERS, QUERIES, ListLots, PlaceHold
from actors.vocabulary import Page, Refusal
from runtime import host
from runtime.outbox import Deliver, OutboxEvent
from tests.trees import MERCHANT, START, Tree, key, running_tree

pytestmark = pytest.mark.trio(run=host.run)


async def merge(tree: Tree) -> None:
    merged = await tree.system.ref(CUSTOMERS).ask(MergeCustomers(MERCHANT, "ann", "bob"))
    assert not isinstance(merged, Refusal)
    await tree.delivered()


async def test_points_go_along_with_their_dates_and_what_is_held_stays(store_url: str) -> None:
    async with running_tree(store_url) as tree:
        await tree.create("ann", "bob")
        soon = START + timedelta(days=3)
        await tree.earn(20, expires_at=soon)
        await tree.earn(50)
        await tree.apply(
            PlaceHold(idempotency=key(), amount=30, expires_at=START + timedelta(days=99))
        )
        await merge(tree)
        assert (await tree.balance("ann")).posted == 30
        lots = await tree.system.ref(QUERIES).ask(ListLots(MERCHANT, "bob"))
        assert isinstance(lots, Page)
        assert [(lot.remaining, lot.expires_at) for lot in lots.items] == [(20, soon), (20, None)]
        assert (await tree.verify()).clean


async def test_an_event_that_comes_again_moves_nothing(store_url: str) -> None:
    async with running_tree(store_url) as tree:
        await tree.create("ann", "bob")
        await tree.earn(70)
        await merge(tree)
        told = {"customer_id": "ann", "into": "bob"}
        event = OutboxEvent("evt", MERCHANT, CUSTOMERS_MERGED, "bob", told, START)
        for _ in range(2):
            await tree.system.ref(MERGERS).ask(Deliver((event,)))
        assert (await tree.balance("bob")).posted == 70
        assert (await tree.verify()).clean


async def test_points_with_very_many_dates_go_in_parts(
    store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfers, "MAX_PARTS", 2)
    async with running_tree(store_url) as tree:
        await tree.create("ann", "bob")
        for days in range(1, 8):
            await tree.earn(days, expires_at=START + timedelta(days=days))
        await merge(tree)
        assert (await tree.balance("ann")).posted == 0
        assert (await tree.balance("bob")).posted == 28
        assert (await tree.verify()).clean
