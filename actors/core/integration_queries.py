"""The SQL of integrations and of what they send, and their rows as values."""

from datetime import timedelta

from actors.core.cipher import Sealed
from actors.core.messages import Health, Integration, Provider, Webhook, WebhookState
from runtime.jobs import Delays, NewJob, QueuePolicy
from runtime.storage import AcrossMerchants, Row, Statement

SECRET, WEBHOOK_BODY = "integration", "webhook"
"""Purposes that secrets and bodies are sealed for."""

FORMER_SECRET = timedelta(days=1)
"""How long the secret before counts after it was replaced."""

HEALTH_WINDOW = timedelta(days=1)
WAITING_TOO_LONG = timedelta(minutes=1)

CANDIDATES_MAX = 20
"""Merchants that claim the same account; whose secret signed decides."""

PROCESS_WEBHOOK = "core.webhook"

WEBHOOK_QUEUE = QueuePolicy(
    name="core.webhooks",
    concurrency=4,
    depth_max=100_000,
    attempt_timeout_s=15.0,
    delays=Delays(initial_s=1.0, max_s=300.0),
)

PUT_INTEGRATION = Statement(
    "core.put_integration",
    "INSERT INTO integrations (merchant_id, provider, account, sealed, key_version, former_sealed,"
    " former_key_version, former_until, created_at, changed_at)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
    " ON CONFLICT (merchant_id, provider) DO UPDATE SET account = excluded.account,"
    " sealed = excluded.sealed, key_version = excluded.key_version,"
    " former_sealed = excluded.former_sealed, former_key_version = excluded.former_key_version,"
    " former_until = excluded.former_until, changed_at = excluded.changed_at",
    50,
)

DELETE_INTEGRATION = Statement(
    "core.delete_integration",
    "DELETE FROM integrations WHERE merchant_id = $1 AND provider = $2",
    50,
    exact=True,
)

INSERT_RECEIPT = Statement(
    "core.insert_webhook",
    "INSERT INTO webhook_receipts (merchant_id, provider, webhook_id, topic, digest, sealed,"
    " key_version, state, received_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    51,
)

END_RECEIPT = Statement(
    "core.end_webhook",
    "UPDATE webhook_receipts SET state = $4, outcome = $5, finished_at = $6, sealed = NULL,"
    " key_version = NULL WHERE merchant_id = $1 AND provider = $2 AND webhook_id = $3",
    52,
)

INTEGRATION_COLUMNS = (
    "merchant_id, provider, account, sealed, key_version, former_sealed, former_key_version,"
    " former_until, created_at, changed_at"
)

SELECT_INTEGRATION = (
    f"SELECT {INTEGRATION_COLUMNS} FROM integrations WHERE merchant_id = $1 AND provider = $2"
)

LIST_INTEGRATIONS = (
    f"SELECT {INTEGRATION_COLUMNS} FROM integrations WHERE merchant_id = $1 ORDER BY provider"
)

SELECT_BY_ACCOUNT = AcrossMerchants(
    f"SELECT {INTEGRATION_COLUMNS} FROM integrations WHERE provider = $1 AND account = $2"
    " ORDER BY created_at LIMIT $3"
)

LAST_RECEIVED = (
    "SELECT received_at FROM webhook_receipts WHERE merchant_id = $1 AND provider = $2"
    " ORDER BY received_at DESC LIMIT 1"
)

OLDEST_WAITING = (
    "SELECT received_at FROM webhook_receipts WHERE merchant_id = $1 AND provider = $2"
    " AND state = 'received' ORDER BY received_at LIMIT 1"
)

COUNT_BY_STATE = (
    "SELECT state, count(*) FROM webhook_receipts WHERE merchant_id = $1 AND provider = $2"
    " AND received_at > $3 GROUP BY state"
)

SELECT_RECEIPT = (
    "SELECT topic, sealed, key_version, state FROM webhook_receipts"
    " WHERE merchant_id = $1 AND provider = $2 AND webhook_id = $3"
)

SELECT_DUPLICATE = (
    "SELECT 1 FROM webhook_receipts WHERE merchant_id = $1 AND provider = $2"
    " AND (webhook_id = $3 OR (topic = $4 AND digest = $5))"
)

LIST_RECEIPTS = (
    "SELECT webhook_id, topic, state, outcome, received_at, finished_at FROM webhook_receipts"
    " WHERE merchant_id = $1 AND provider = $2 AND (received_at, webhook_id) < ($3, $4)"
    " ORDER BY received_at DESC, webhook_id DESC LIMIT $5"
)


SELECT_OLD_SECRETS = AcrossMerchants(
    "SELECT merchant_id, provider, sealed, key_version FROM integrations WHERE key_version < $1"
    " ORDER BY merchant_id, provider LIMIT $2"
)

RESEAL_INTEGRATION = Statement(
    "core.reseal_integration",
    "UPDATE integrations SET sealed = $4, key_version = $5"
    " WHERE merchant_id = $1 AND provider = $2 AND sealed = $3",
    53,
)

SELECT_OLD_RECEIPTS = AcrossMerchants(
    "SELECT merchant_id, provider, webhook_id FROM webhook_receipts WHERE received_at < $1"
    " ORDER BY received_at LIMIT $2"
)

DELETE_RECEIPT = Statement(
    "core.delete_webhook",
    "DELETE FROM webhook_receipts WHERE merchant_id = $1 AND provider = $2 AND webhook_id = $3",
    54,
)


def webhook_job(merchant_id: str, provider: Provider, webhook_id: str, about: str) -> NewJob:
    """What is `about` the same thing is worked off in the order in which it came."""
    return NewJob(
        queue=WEBHOOK_QUEUE.name,
        name=PROCESS_WEBHOOK,
        merchant_id=merchant_id,
        payload={"provider": provider.value, "webhook_id": webhook_id},
        key=about,
    )


def secrets_of(row: Row) -> list[Sealed]:
    """The newest first."""
    newest = Sealed(row["sealed"], row["key_version"])
    if row["former_sealed"] is None:
        return [newest]
    return [newest, Sealed(row["former_sealed"], row["former_key_version"])]


def webhook_of(row: Row) -> Webhook:
    return Webhook(row[0], row[1], WebhookState(row[2]), row[3], row[4], row[5])


def integration_of(
    row: Row, health: Health, counts: dict[str, int], last: Row | None
) -> Integration:
    return Integration(
        Provider(row["provider"]),
        row["account"],
        row["created_at"],
        row["changed_at"],
        row["former_until"],
        health,
        sum(counts.values()),
        counts.get(WebhookState.RECEIVED.value, 0),
        counts.get(WebhookState.ATTENTION.value, 0),
        last[0] if last is not None else None,
    )
