"""The SQL of broadcasts, their steps and their deliveries."""

from runtime.storage import AcrossMerchants, Statement

INSERT_BROADCAST = Statement(
    "campaign.insert_broadcast",
    "INSERT INTO campaign_broadcasts (merchant_id, campaign_id, kind, channel, version,"
    " definition, state, gathered, gathered_to, reserved, step, started_at)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, 0, $10)"
    " ON CONFLICT (merchant_id, campaign_id) DO NOTHING",
    40,
)

PAUSE_BROADCAST = Statement(
    "campaign.pause_broadcast",
    "UPDATE campaign_broadcasts SET state = 'paused'"
    " WHERE merchant_id = $1 AND campaign_id = $2 AND state = 'running'",
    41,
)

RESUME_BROADCAST = Statement(
    "campaign.resume_broadcast",
    "UPDATE campaign_broadcasts SET state = 'running'"
    " WHERE merchant_id = $1 AND campaign_id = $2 AND state = 'paused'",
    41,
)

CANCEL_BROADCAST = Statement(
    "campaign.cancel_broadcast",
    "UPDATE campaign_broadcasts SET state = 'cancelled', ended_at = $3"
    " WHERE merchant_id = $1 AND campaign_id = $2 AND state IN ('running', 'paused')",
    41,
)

REOPEN_BROADCAST = Statement(
    "campaign.reopen_broadcast",
    "UPDATE campaign_broadcasts SET state = 'running', ended_at = NULL"
    " WHERE merchant_id = $1 AND campaign_id = $2 AND state = 'completed'",
    41,
)
"""For a delivery that failed, and is to be tried anew."""

CHANGE_BROADCAST = Statement(
    "campaign.change_broadcast",
    "UPDATE campaign_broadcasts SET version = $3, definition = $4"
    " WHERE merchant_id = $1 AND campaign_id = $2 AND version <> $3",
    41,
)

ADVANCE = Statement(
    "campaign.advance",
    "UPDATE campaign_broadcasts SET step = step + 1, reserved = reserved + $5"
    " WHERE merchant_id = $1 AND campaign_id = $2 AND step = $3 AND state = $4",
    42,
    exact=True,
)
"""Whoever takes a step has to know which one comes next: of two, one is told `Superseded`."""

RELEASE = Statement(
    "campaign.release",
    "UPDATE campaign_broadcasts SET reserved = reserved - $3"
    " WHERE merchant_id = $1 AND campaign_id = $2",
    43,
    exact=True,
)

GATHERED = Statement(
    "campaign.gathered",
    "UPDATE campaign_broadcasts SET gathered_to = $3, gathered = $4"
    " WHERE merchant_id = $1 AND campaign_id = $2",
    43,
    exact=True,
)

END_BROADCAST = Statement(
    "campaign.end_broadcast",
    "UPDATE campaign_broadcasts SET state = $4, ended_at = $5"
    " WHERE merchant_id = $1 AND campaign_id = $2 AND step = $3 AND state = $6",
    44,
    exact=True,
)

INSERT_STEP = Statement(
    "campaign.insert_step",
    "INSERT INTO campaign_steps (merchant_id, campaign_id, step, kind, recipients, begun_at,"
    " ended_at, outcome) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    45,
)

END_STEP = Statement(
    "campaign.end_step",
    "UPDATE campaign_steps SET ended_at = $4, outcome = $5"
    " WHERE merchant_id = $1 AND campaign_id = $2 AND step = $3",
    46,
    exact=True,
)

INSERT_DELIVERY = Statement(
    "campaign.insert_delivery",
    "INSERT INTO campaign_deliveries (merchant_id, delivery_id, campaign_id, customer_id,"
    " occasion, facts, channel, state, attempt, due_at, lease, created_at, changed_at)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, $9, 0, $9, $9)"
    " ON CONFLICT (merchant_id, campaign_id, customer_id, occasion) DO NOTHING",
    47,
)

LEASE_DELIVERY = Statement(
    "campaign.lease_delivery",
    "UPDATE campaign_deliveries SET state = $3, lease = $4, attempt = $5, due_at = $6,"
    " changed_at = $7 WHERE merchant_id = $1 AND delivery_id = $2",
    48,
    exact=True,
)

SETTLE_DELIVERY = Statement(
    "campaign.settle_delivery",
    "UPDATE campaign_deliveries SET state = $4, attempt = $5, due_at = $6, provider_id = $7,"
    " reason = $8, changed_at = $9 WHERE merchant_id = $1 AND delivery_id = $2 AND lease = $3",
    49,
    exact=True,
)
"""By the step that has it in hand; a step that comes too late is told `Superseded`, or that the
delivery does not go from there to here."""

REPORT_DELIVERY = Statement(
    "campaign.report_delivery",
    "UPDATE campaign_deliveries SET state = $3, reason = $4, changed_at = $5"
    " WHERE merchant_id = $1 AND delivery_id = $2 AND state = $6",
    49,
    exact=True,
)

RETURN_DELIVERY = Statement(
    "campaign.return_delivery",
    "UPDATE campaign_deliveries SET state = $3, attempt = 0, due_at = $4, changed_at = $4"
    " WHERE merchant_id = $1 AND delivery_id = $2 AND state = $5",
    49,
    exact=True,
)

BROADCAST_COLUMNS = (
    "merchant_id, campaign_id, kind, channel, version, definition, state, gathered, gathered_to,"
    " reserved, step, started_at, ended_at"
)

SELECT_BROADCAST = (
    f"SELECT {BROADCAST_COLUMNS} FROM campaign_broadcasts"
    " WHERE merchant_id = $1 AND campaign_id = $2"
)

DELIVERY_COLUMNS = (
    "delivery_id, campaign_id, customer_id, occasion, channel, state, attempt, due_at,"
    " provider_id, reason, created_at, changed_at"
)

_LEASED_COLUMNS = "delivery_id, customer_id, occasion, facts, attempt, lease"

SELECT_DUE = (
    f"SELECT {_LEASED_COLUMNS} FROM campaign_deliveries"
    " WHERE merchant_id = $1 AND campaign_id = $2 AND due_at <= $3 AND due_at IS NOT NULL"
    " ORDER BY due_at, delivery_id LIMIT $4"
)

SELECT_PENDING = (
    f"SELECT {_LEASED_COLUMNS} FROM campaign_deliveries"
    " WHERE merchant_id = $1 AND campaign_id = $2 AND due_at IS NOT NULL"
    " ORDER BY due_at, delivery_id LIMIT $3"
)

SELECT_NEXT_DUE = (
    "SELECT due_at FROM campaign_deliveries WHERE merchant_id = $1 AND campaign_id = $2"
    " AND due_at IS NOT NULL ORDER BY due_at, delivery_id LIMIT 1"
)

SELECT_LEASED = (
    f"SELECT {_LEASED_COLUMNS} FROM campaign_deliveries"
    " WHERE merchant_id = $1 AND campaign_id = $2 AND state = 'leased'"
    " ORDER BY delivery_id LIMIT $3"
)

SELECT_OPEN_STEPS = (
    "SELECT step FROM campaign_steps WHERE merchant_id = $1 AND campaign_id = $2"
    " AND ended_at IS NULL ORDER BY step LIMIT $3"
)

SELECT_DELIVERY = (
    f"SELECT {DELIVERY_COLUMNS} FROM campaign_deliveries"
    " WHERE merchant_id = $1 AND delivery_id = $2"
)

SELECT_BY_PROVIDER = (
    f"SELECT {DELIVERY_COLUMNS} FROM campaign_deliveries"
    " WHERE merchant_id = $1 AND channel = $2 AND provider_id = $3 AND provider_id IS NOT NULL"
)

SELECT_IN_HAND = (
    "SELECT 1 FROM campaign_deliveries WHERE merchant_id = $1 AND channel = $2"
    " AND state = 'leased' LIMIT 1"
)

LIST_DELIVERIES = (
    f"SELECT {DELIVERY_COLUMNS} FROM campaign_deliveries"
    " WHERE merchant_id = $1 AND campaign_id = $2 AND delivery_id > $3"
    " ORDER BY delivery_id LIMIT $4"
)

LIST_DELIVERIES_IN = (
    f"SELECT {DELIVERY_COLUMNS} FROM campaign_deliveries"
    " WHERE merchant_id = $1 AND campaign_id = $2 AND delivery_id > $3 AND state = $5"
    " ORDER BY delivery_id LIMIT $4"
)

LIST_MESSAGES_TO = (
    f"SELECT {DELIVERY_COLUMNS} FROM campaign_deliveries"
    " WHERE merchant_id = $1 AND customer_id = $2 AND campaign_id IN"
    " (SELECT campaign_id FROM campaign_broadcasts WHERE merchant_id = $1)"
    " AND (campaign_id, delivery_id) > ($3, $4) ORDER BY campaign_id, delivery_id LIMIT $5"
)
"""By the index that no two messages of a campaign to one customer get around."""

COUNT_DELIVERIES = (
    "SELECT state, count(*) FROM campaign_deliveries"
    " WHERE merchant_id = $1 AND campaign_id = $2 GROUP BY state"
)

_HAS_WORK = (
    "EXISTS (SELECT 1 FROM campaign_deliveries d WHERE d.merchant_id = b.merchant_id"
    " AND d.campaign_id = b.campaign_id AND d.due_at IS NOT NULL AND d.due_at <= $3)"
)

LIST_UNFINISHED = AcrossMerchants(
    "SELECT b.merchant_id, b.campaign_id, b.channel FROM campaign_broadcasts b"
    " WHERE (b.merchant_id, b.campaign_id) > ($1, $2)"
    " AND (b.state = 'running' AND NOT b.gathered OR b.state = 'running' AND b.kind = 'broadcast'"
    f" OR b.state IN ('running', 'cancelled') AND {_HAS_WORK})"
    " ORDER BY b.merchant_id, b.campaign_id LIMIT $4"
)
"""Of all merchants: somebody has to see to it that each of them goes on."""

IS_MEMBER = (
    "SELECT customer_id FROM campaign_members"
    " WHERE merchant_id = $1 AND campaign_id = $2 AND customer_id = $3"
)

LIST_AUTOMATIONS = AcrossMerchants(
    f"SELECT {BROADCAST_COLUMNS} FROM campaign_broadcasts"
    " WHERE state = 'running' AND kind = 'automation' AND (merchant_id, campaign_id) > ($1, $2)"
    " ORDER BY merchant_id, campaign_id LIMIT $3"
)

AUTOMATIONS_OF = (
    f"SELECT {BROADCAST_COLUMNS} FROM campaign_broadcasts"
    " WHERE merchant_id = $1 AND state = 'running' AND kind = 'automation'"
    " ORDER BY campaign_id LIMIT $2"
)
