"""Order events that come again: after a crash, by mistake, or under another order's name."""

from pathlib import Path
from typing import Any

import pytest

from actors.core.messages import ORDER_RECORDED
from actors.points.messages import INTAKE, NOTHING, Apply, EarnForOrder
from runtime import host
from runtime.outbox import Deliver, OutboxEvent
from runtime.storage import AcrossMerchants, Database
from runtime.storage.outbox import outbox_write
from tests.trees import MERCHANT, START, order, running_tree


def of_order(order_id: str, total_minor: int, event_id: str) -> OutboxEvent:
    payload = {
        "order_id": order_id,
        "customer_id": "ann",
        "total_minor": total_minor,
        "currency": "USD",
        "ordered_at": START.isoformat(),
    }
    return OutboxEvent(MERCHANT, event_id, ORDER_RECORDED, "ann", payload, START)


async def seen(database: Database) -> list[tuple[Any, ...]]:
    rows = await database.fetch(
        AcrossMerchants("SELECT merchant_id, consumer, event_id FROM inbox ORDER BY event_id")
    )
    return [tuple(row) for row in rows]


@pytest.mark.slow
@pytest.mark.trio(run=host.run)
async def test_an_event_delivered_again_earns_once_and_is_in_the_inbox(store_url: str) -> None:
    """Clause J10."""
    async with running_tree(store_url) as tree:
        await tree.create("ann")
        await tree.record([order("o-0", 300)])
        await tree.delivered()
        assert (await tree.balance()).posted == 3
        assert len(await seen(tree.database)) == 1
        intake = tree.system.ref(INTAKE)
        for _ in range(3):
            await intake.ask(Deliver((of_order("o-1", 700, "ev_1"),)))
        assert (await tree.balance()).posted == 10
        assert (MERCHANT, INTAKE, "ev_1") in await seen(tree.database)


async def test_an_event_that_was_seen_earns_nothing_for_another_order_either() -> None:
    """Clause J10."""
    async with running_tree() as tree:
        await tree.create("ann")
        await tree.system.ref(INTAKE).ask(Deliver((of_order("o-1", 700, "ev_1"),)))
        again = EarnForOrder(
            order_id="o-2", total_minor=900, currency="USD", ordered_at=START, event_id="ev_1"
        )
        fresh = EarnForOrder(
            order_id="o-3", total_minor=100, currency="USD", ordered_at=START, event_id="ev_3"
        )
        results = await tree.account().ask(Apply((again, fresh)))
        assert [getattr(result, "kind", None) for result in results] == [NOTHING, "earn"]
        assert (await tree.balance()).posted == 8
        assert (await tree.verify()).clean


@pytest.mark.slow
async def test_a_process_that_died_between_effect_and_deletion_delivers_again_without_effect(
    tmp_path: Path,
) -> None:
    """Clauses J4 and J10: the store is left as such a death leaves it."""
    url = f"sqlite:///{tmp_path}/store.db"
    async with running_tree(url) as tree:
        await tree.create("ann")
        await tree.record([order("o-1", 500), order("o-2", 900)])
        await tree.delivered()
        rows = await seen(tree.database)
        assert len(rows) == 2
        left_behind = [
            outbox_write(
                merchant_id=MERCHANT,
                event_id=event_id,
                topic=ORDER_RECORDED,
                key="ann",
                payload=of_order(f"o-{number}", total, event_id).payload,
                created_at=START,
            )
            for number, total, (_, _, event_id) in zip((1, 2), (500, 900), rows, strict=True)
        ]
        await tree.database.append([tuple(left_behind)])
    async with running_tree(url) as tree:
        await tree.delivered()
        assert (await tree.balance()).posted == 14
        assert await seen(tree.database) == rows
        assert (await tree.verify()).clean
