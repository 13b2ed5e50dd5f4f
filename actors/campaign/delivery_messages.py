"""Deliveries: what became of the messages of a campaign, one for each recipient and occasion."""

from datetime import datetime
from enum import Enum

import attrs

from actors.campaign.messages import SendChannel
from actors.vocabulary import Page, Refusal
from runtime.message import Call

BROADCASTS = "campaign.broadcasts"
"""Name of the actor that begins, pauses and ends broadcasts as their campaigns do, and tells what
became of them."""


BROADCAST_COMPLETED = "campaign.broadcast_completed"
"""Topic of the outbox event for a broadcast of which nothing is left to be sent."""


class DeliveryState(Enum):
    """`pending → leased → sent → delivered | failed | suppressed | unknown`. A failed attempt goes
    back to `PENDING`. `UNKNOWN`: it may have been sent, and is not sent again. The database refuses
    any other step."""

    PENDING = "pending"
    LEASED = "leased"
    SENT = "sent"
    DELIVERED = "delivered"
    FAILED = "failed"
    SUPPRESSED = "suppressed"
    UNKNOWN = "unknown"


UNDER_WAY = frozenset({DeliveryState.PENDING, DeliveryState.LEASED})


class BroadcastState(Enum):
    """An automation runs until its campaign ends."""

    RUNNING = "running"
    PAUSED = "paused"
    CANCELLED = "cancelled"
    COMPLETED = "completed"


@attrs.frozen(kw_only=True)
class Delivery:
    """`attempt` counts those begun; `due_at` is when a pending one is tried. `reason` says why it
    was not sent, or not brought. `occasion` tells the messages of an automation to one customer
    apart."""

    delivery_id: str
    campaign_id: str
    customer_id: str
    occasion: str
    channel: SendChannel
    state: DeliveryState
    attempt: int
    due_at: datetime | None
    provider_id: str | None
    reason: str | None
    created_at: datetime
    changed_at: datetime


@attrs.frozen(kw_only=True)
class ListDeliveries(Call[Page[Delivery] | Refusal]):
    """To `BROADCASTS`: in the order in which they were written down; all, or those in a state."""

    merchant_id: str
    campaign_id: str
    state: DeliveryState | None = None
    limit: int = 50
    cursor: str | None = None


@attrs.frozen
class ListMessagesTo(Call[Page[Delivery] | Refusal]):
    """To `BROADCASTS`: the messages of all campaigns to one customer, campaign by campaign."""

    merchant_id: str
    customer_id: str
    limit: int = 50
    cursor: str | None = None


@attrs.frozen(kw_only=True)
class DeliveryStats:
    """How far a broadcast is. `gathered`: all recipients are written down, so that `recipients` is
    their number. The seven numbers after it add up to it. `steps` were taken so far."""

    campaign_id: str
    state: BroadcastState
    gathered: bool
    recipients: int
    pending: int = 0
    leased: int = 0
    sent: int = 0
    delivered: int = 0
    failed: int = 0
    suppressed: int = 0
    unknown: int = 0
    steps: int = 0
    started_at: datetime
    ended_at: datetime | None = None


@attrs.frozen
class GetDeliveryStats(Call[DeliveryStats | None]):
    """To `BROADCASTS`: None for a campaign that sends nothing, or was not started."""

    merchant_id: str
    campaign_id: str


@attrs.frozen(kw_only=True)
class ReportDelivery(Call[bool]):
    """To `BROADCASTS`, from whoever hears of it from a provider: what became of the message that it
    calls `provider_id`. Nothing goes backwards. False when no delivery has this id, yet."""

    merchant_id: str
    channel: SendChannel
    provider_id: str
    state: DeliveryState
    reason: str | None = None
