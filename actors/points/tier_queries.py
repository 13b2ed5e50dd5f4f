"""The SQL of tiers."""

from runtime.storage import AcrossMerchants, Statement

INSERT_PROGRAM = Statement(
    "points.insert_tier_program",
    "INSERT INTO points_tier_programs (merchant_id, version, program, created_at)"
    " VALUES ($1, $2, $3, $4)",
    40,
)

INSERT_MEMBER = Statement(
    "points.insert_tier_member",
    "INSERT INTO points_tier_members (merchant_id, customer_id, version, tier_id, since,"
    " kept_until, next_check_at) VALUES ($1, $2, $3, $4, $5, $6, $7)",
    58,
)

CHANGE_MEMBER = Statement(
    "points.change_tier_member",
    "UPDATE points_tier_members SET tier_id = $4, since = $5, kept_until = $6, next_check_at = $7,"
    " version = $3 WHERE merchant_id = $1 AND customer_id = $2"
    " AND points_tier_members.version >= $3 - 1 AND points_tier_members.version <= $3",
    59,
    exact=True,
)

INSERT_CHANGE = Statement(
    "points.insert_tier_change",
    "INSERT INTO points_tier_changes (merchant_id, customer_id, version, from_tier, to_tier,"
    " qualifying, program_version, changed_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    60,
)

SELECT_PROGRAM = (
    "SELECT version, program FROM points_tier_programs WHERE merchant_id = $1"
    " ORDER BY version DESC LIMIT 1"
)

SELECT_PROGRAMS = AcrossMerchants(
    "SELECT p.merchant_id, p.version, p.program FROM points_tier_programs p"
    " WHERE p.merchant_id > $1 AND p.version = (SELECT max(q.version) FROM points_tier_programs q"
    " WHERE q.merchant_id = p.merchant_id) ORDER BY p.merchant_id LIMIT $2"
)

SELECT_MEMBER = (
    "SELECT version, tier_id, since, kept_until, next_check_at FROM points_tier_members"
    " WHERE merchant_id = $1 AND customer_id = $2"
)

SELECT_DUE = (
    "SELECT customer_id FROM points_tier_members WHERE merchant_id = $1 AND next_check_at <= $2"
    " ORDER BY next_check_at LIMIT $3"
)

SELECT_MOVED = (
    "SELECT customer_id FROM points_accounts WHERE merchant_id = $1 AND recorded_at >= $2"
    " AND customer_id > $3 ORDER BY customer_id LIMIT $4"
)

LIST_CHANGES = (
    "SELECT customer_id, version, from_tier, to_tier, qualifying, program_version, changed_at"
    " FROM points_tier_changes WHERE merchant_id = $1 AND customer_id = $2 AND version < $3"
    " ORDER BY version DESC LIMIT $4"
)

QUALIFYING_POINTS = (
    "SELECT CAST(coalesce(sum(t.amount), 0) AS BIGINT)"
    " + CAST(coalesce((SELECT sum(r.amount) FROM points_transactions r"
    " JOIN points_transactions o ON o.merchant_id = r.merchant_id"
    " AND o.customer_id = r.customer_id AND o.lot_id = r.reverses"
    " WHERE r.merchant_id = $1 AND r.customer_id = $2 AND r.kind = 'reversal'"
    " AND o.kind IN ('earn', 'mature') AND r.sequence > o.sequence"
    " AND o.effective_at > $3 AND o.effective_at <= $4), 0) AS BIGINT)"
    " FROM points_transactions t WHERE t.merchant_id = $1 AND t.customer_id = $2"
    " AND t.kind IN ('earn', 'mature') AND t.effective_at > $3 AND t.effective_at <= $4"
)
"""Earned points, less what was reversed of them after they were posted."""

QUALIFYING_ORDERS = (
    "SELECT t.rule, t.amount, CAST(coalesce((SELECT sum(r.amount) FROM points_transactions r"
    " WHERE r.merchant_id = t.merchant_id AND r.reverses = t.transaction_id), 0) AS BIGINT)"
    " AS reversed FROM points_transactions t WHERE t.merchant_id = $1 AND t.customer_id = $2"
    " AND t.rule IS NOT NULL AND t.effective_at > $3 AND t.effective_at <= $4"
)

LIST_TIER_MEMBERS = (
    "SELECT customer_id FROM points_tier_members WHERE merchant_id = $1 AND customer_id > $2"
    " AND tier_id IN ({tiers}) ORDER BY customer_id LIMIT $3"
)
