"""What both databases refuse of deliveries, whoever asks."""

from datetime import UTC, datetime
from itertools import product
from typing import Any

import pytest

from actors.campaign.delivery_messages import DeliveryState
from actors.campaign.delivery_queries import SETTLE_DELIVERY
from actors.campaign.delivery_supervisor import MIGRATIONS
from runtime import host
from runtime.storage import ConstraintViolation, Database, migrate

pytestmark = pytest.mark.trio(run=host.run)

NOW = datetime(2026, 3, 1, tzinfo=UTC)
LEGAL = {
    "pending": {"leased", "suppressed", "pending"},
    "leased": {"pending", "sent", "failed", "suppressed", "unknown"},
    "sent": {"delivered", "failed", "unknown"},
    "unknown": {"sent", "delivered", "failed"},
    "failed": {"pending"},
    "delivered": set(),
    "suppressed": set(),
}
WAYS = {
    "pending": (),
    "leased": ("leased",),
    "sent": ("leased", "sent"),
    "failed": ("leased", "failed"),
    "unknown": ("leased", "unknown"),
    "suppressed": ("suppressed",),
    "delivered": ("leased", "sent", "delivered"),
}
"""How a delivery gets to each state."""

INSERT = (
    "INSERT INTO campaign_deliveries (merchant_id, delivery_id, campaign_id, customer_id, occasion,"
    " channel, state, attempt, due_at, lease, reason, created_at, changed_at)"
    " VALUES ($1, $2, 'c', $2, '', 'email', $3, 0, $4, 0, 'r', $5, $5)"
)


async def insert(database: Database, delivery_id: str, state: str = "pending") -> None:
    due_at = NOW if state == "pending" else None
    await database.execute(INSERT, "m", delivery_id, state, due_at, NOW)


async def move(database: Database, delivery_id: str, state: str) -> None:
    due_at = NOW if state == "pending" else None
    row: tuple[Any, ...] = ("m", delivery_id, 0, state, 1, due_at, None, "reason", NOW)
    await database.execute(SETTLE_DELIVERY.sql, *row)


async def test_no_state_is_reached_but_from_where_it_may(database: Database) -> None:
    """All 49 pairs."""
    await migrate(database, [MIGRATIONS], NOW)
    states = [state.value for state in DeliveryState]
    for number, (from_state, to_state) in enumerate(product(states, states)):
        delivery_id = f"d-{number}"
        await insert(database, delivery_id)
        for step in WAYS[from_state]:
            await move(database, delivery_id, step)
        if to_state in LEGAL[from_state]:
            await move(database, delivery_id, to_state)
            continue
        if from_state == to_state:
            continue
        with pytest.raises(ConstraintViolation):
            await move(database, delivery_id, to_state)


async def test_a_delivery_begins_as_pending_once_for_an_occasion_and_stays(
    database: Database,
) -> None:
    await migrate(database, [MIGRATIONS], NOW)
    for state in ("leased", "sent", "delivered", "failed", "suppressed", "unknown"):
        with pytest.raises(ConstraintViolation):
            await insert(database, f"d-{state}", state)
    await insert(database, "d")
    with pytest.raises(ConstraintViolation):
        await insert(database, "d")
    with pytest.raises(ConstraintViolation):
        await database.execute("DELETE FROM campaign_deliveries WHERE merchant_id = $1", "m")
