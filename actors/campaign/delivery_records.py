"""Broadcasts and deliveries as rows, and rows as them."""

from datetime import datetime
from typing import Any

import attrs
import msgspec

from actors.campaign.delivery_messages import BroadcastState, Delivery, DeliveryState
from actors.campaign.delivery_model import Leased, Settlement
from actors.campaign.delivery_queries import (
    INSERT_BROADCAST,
    INSERT_DELIVERY,
    INSERT_STEP,
    LEASE_DELIVERY,
    SETTLE_DELIVERY,
)
from actors.campaign.messages import CampaignKind, Content, Definition, SendChannel
from runtime.storage import Row, Write

AUDIENCE, SEND, RECOVERY = "audience", "send", "recovery"
"""Kinds of steps."""


@attrs.frozen(kw_only=True)
class BroadcastRow:
    """A broadcast as it is stored. `step` is the number of the last step that was begun,
    `reserved` how many messages the budget has been used for, `gathered_to` the last customer that
    was written down."""

    merchant_id: str
    campaign_id: str
    kind: CampaignKind
    channel: SendChannel
    version: int
    definition: Definition
    state: BroadcastState
    gathered: bool
    gathered_to: str
    reserved: int
    step: int
    started_at: datetime
    ended_at: datetime | None

    @property
    def content(self) -> Content:
        return content_of(self.definition)


def content_of(definition: Definition) -> Content:
    """What a campaign sends. Raises `ValueError` for one that sends nothing."""
    sends = definition.broadcast or definition.automation
    if sends is None:
        raise ValueError(f"a {definition.kind.value} sends nothing")
    return sends.content


def broadcast_of(row: Row) -> BroadcastRow:
    """A row of the columns of `BROADCAST_COLUMNS`."""
    return BroadcastRow(
        merchant_id=row["merchant_id"],
        campaign_id=row["campaign_id"],
        kind=CampaignKind(row["kind"]),
        channel=SendChannel(row["channel"]),
        version=row["version"],
        definition=definition_of(row["definition"]),
        state=BroadcastState(row["state"]),
        gathered=row["gathered"],
        gathered_to=row["gathered_to"],
        reserved=row["reserved"],
        step=row["step"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
    )


def definition_of(stored: Any) -> Definition:
    return msgspec.convert(stored, Definition)


def broadcast_write(
    merchant_id: str, campaign_id: str, version: int, definition: Definition, now: datetime
) -> Write:
    """Begin one; without effect where it is there already. An automation gathers nobody."""
    row = (
        merchant_id,
        campaign_id,
        definition.kind.value,
        content_of(definition).channel.value,
        version,
        msgspec.to_builtins(definition),
        BroadcastState.RUNNING.value,
        definition.kind is CampaignKind.AUTOMATION,
        "",
        now,
    )
    return Write(INSERT_BROADCAST, row)


def delivery_write(
    broadcast: BroadcastRow,
    customer_id: str,
    now: datetime,
    *,
    delivery_id: str,
    occasion: str = "",
    facts: dict[str, Any] | None = None,
) -> Write:
    """Write a recipient down; without effect where it is there for this occasion already."""
    key = (broadcast.merchant_id, delivery_id, broadcast.campaign_id, customer_id)
    rest = (occasion, facts, broadcast.channel.value, DeliveryState.PENDING.value, now)
    return Write(INSERT_DELIVERY, (*key, *rest))


def step_write(
    broadcast: BroadcastRow,
    kind: str,
    recipients: int,
    now: datetime,
    outcome: dict[str, int] | None = None,
) -> Write:
    """The step that comes next; with an `outcome` it is over already."""
    ended_at = now if outcome is not None else None
    key = (broadcast.merchant_id, broadcast.campaign_id, broadcast.step + 1)
    return Write(INSERT_STEP, (*key, kind, recipients, now, ended_at, outcome))


def lease_write(merchant_id: str, leased: Leased, now: datetime) -> Write:
    key = (merchant_id, leased.delivery_id)
    rest = (DeliveryState.LEASED.value, leased.lease, leased.attempt, None, now)
    return Write(LEASE_DELIVERY, (*key, *rest))


def settle_write(merchant_id: str, leased: Leased, settled: Settlement, now: datetime) -> Write:
    """By whoever has the delivery in hand, or knows which step had it last."""
    row = (
        merchant_id,
        leased.delivery_id,
        leased.lease,
        settled.state.value,
        settled.attempt,
        settled.due_at,
        settled.provider_id,
        settled.reason,
        now,
    )
    return Write(SETTLE_DELIVERY, row)


def leased_of(row: Row) -> Leased:
    """A row of `SELECT_DUE`, `SELECT_PENDING` or `SELECT_LEASED`."""
    return Leased(
        delivery_id=row["delivery_id"],
        customer_id=row["customer_id"],
        occasion=row["occasion"],
        facts=row["facts"],
        attempt=row["attempt"],
        lease=row["lease"],
    )


def delivery_of(row: Row) -> Delivery:
    """A row of the columns of `DELIVERY_COLUMNS`."""
    return Delivery(
        delivery_id=row["delivery_id"],
        campaign_id=row["campaign_id"],
        customer_id=row["customer_id"],
        occasion=row["occasion"],
        channel=SendChannel(row["channel"]),
        state=DeliveryState(row["state"]),
        attempt=row["attempt"],
        due_at=row["due_at"],
        provider_id=row["provider_id"],
        reason=row["reason"],
        created_at=row["created_at"],
        changed_at=row["changed_at"],
    )
