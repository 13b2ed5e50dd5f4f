"""Integrations: other systems of a merchant, their secrets, and the webhooks they send."""

from datetime import datetime
from enum import Enum

import attrs

from actors.vocabulary import Page, Refusal
from runtime.message import Call
from runtime.outbox import OutboxEvent

INTEGRATIONS = "core.integrations"
"""Name of the actor that keeps integrations and takes webhooks."""


class Provider(Enum):
    SHOPIFY = "shopify"
    TWILIO = "twilio"
    SMTP = "smtp"
    WEBHOOK = "webhook"


class Health(Enum):
    """Of the last day: `IDLE` nothing came, `OK` all that came was done, `FAILING` something waits
    for longer than a minute, or needs attention."""

    IDLE = "idle"
    OK = "ok"
    FAILING = "failing"


@attrs.frozen
class Integration:
    """`account` is how the provider names the merchant: a shop's domain, say. The secret is never
    told again; `former_until` says until when the one before it counts as well."""

    provider: Provider
    account: str
    created_at: datetime
    changed_at: datetime
    former_until: datetime | None
    health: Health
    received: int
    waiting: int
    attention: int
    last_received_at: datetime | None


@attrs.frozen
class PutIntegration(Call[Integration | Refusal]):
    """Connect, or change account or secret. The secret before counts for another day."""

    merchant_id: str
    provider: Provider
    account: str
    secret: str = attrs.field(repr=False)
    publishes: tuple[OutboxEvent, ...] = ()


@attrs.frozen
class GetIntegration(Call[Integration | None]):
    merchant_id: str
    provider: Provider


@attrs.frozen
class ListIntegrations(Call[tuple[Integration, ...]]):
    merchant_id: str


@attrs.frozen
class RemoveIntegration(Call[bool]):
    """Disconnect; false when there was nothing."""

    merchant_id: str
    provider: Provider
    publishes: tuple[OutboxEvent, ...] = ()


@attrs.frozen
class IntegrationSecret:
    """`secrets` are those that count: the newest first."""

    account: str
    secrets: tuple[str, ...] = attrs.field(repr=False)


@attrs.frozen
class GetIntegrationSecret(Call[IntegrationSecret | None]):
    """For domains that call a provider, or check what it signed. Never to be told to a client."""

    merchant_id: str
    provider: Provider


@attrs.frozen
class ReceiveWebhook(Call["WebhookTaken | Refusal"]):
    """A signed message of a shop. It is kept, and worked off by a job.

    `signature` is base 64 of the HMAC-SHA256 of `body` under the integration's secret. Whose it is
    is found by `account` and the signature together; anything else about it is not trusted.
    """

    provider: Provider
    topic: str
    account: str
    webhook_id: str
    signature: str
    body: bytes = attrs.field(repr=False)


@attrs.frozen
class WebhookTaken:
    """`duplicate`: it had come before, and nothing was kept."""

    duplicate: bool


class WebhookState(Enum):
    """`ATTENTION`: somebody has to do something, as `outcome` says."""

    RECEIVED = "received"
    DONE = "done"
    IGNORED = "ignored"
    ATTENTION = "attention"


@attrs.frozen
class Webhook:
    webhook_id: str
    topic: str
    state: WebhookState
    outcome: str | None
    received_at: datetime
    finished_at: datetime | None


@attrs.frozen
class ListWebhooks(Call[Page[Webhook] | Refusal]):
    """What a provider sent, the newest first."""

    merchant_id: str
    provider: Provider
    limit: int = 50
    cursor: str | None = None
