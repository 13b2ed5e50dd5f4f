"""What both databases refuse of deliveries, whoever asks."""

from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest

from actors.campaign.delivery_messages import DeliveryState, ReportDelivery
from actors.campaign.delivery_queries import SETTLE_DELIVERY
from actors.campaign.delivery_supervisor import MIGRATIONS
from actors.campaign.early_news import KEPT_FOR, keep_write, known_news, old_news
from actors.campaign.member_budgets import COUNT_HAD
from actors.campaign.messages import SendChannel
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


async def test_news_of_texts_are_found_when_the_text_is_known_and_when_they_are_old(
    database: Database,
) -> None:
    await migrate(database, [MIGRATIONS], NOW)
    for sid, told_at in (("SM1", NOW), ("SM2", NOW - KEPT_FOR), ("SM2", NOW)):
        report = ReportDelivery(
            merchant_id="m",
            channel=SendChannel.SMS,
            provider_id=sid,
            state=DeliveryState.FAILED,
            reason="failed: 30003",
        )
        await database.append([(keep_write(report, told_at),)])
    assert await known_news(database) == []
    old = await old_news(database, NOW + timedelta(seconds=1))
    assert [news.report.provider_id for news in old] == ["SM2"]
    await insert(database, "d")
    sent = "UPDATE campaign_deliveries SET channel = 'sms', provider_id = 'SM1'"
    await database.execute(f"{sent} WHERE merchant_id = $1", "m")
    (known,) = await known_news(database)
    assert (known.report.provider_id, known.report.reason) == ("SM1", "failed: 30003")
    await database.append([(known.forget_write(),)])
    assert await known_news(database) == []


async def test_what_a_member_had_are_messages_that_were_tried_and_not_suppressed(
    database: Database,
) -> None:
    await migrate(database, [MIGRATIONS], NOW)
    sql = COUNT_HAD % "$3, $4"
    for state in ("pending", "suppressed", "sent", "failed"):
        delivery_id = f"d-{state}"
        await insert(database, delivery_id)
        for step in WAYS[state]:
            await move(database, delivery_id, step)
    had = await database.fetch(sql, "m", "c", "d-sent", "d-pending")
    assert [tuple(row) for row in had] == [("d-sent", 1)]
    assert len(await database.fetch(sql, "m", "c", "d-failed", "d-suppressed")) == 1
