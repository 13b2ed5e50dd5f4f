"""The SQL of rewards, redemptions and refund policies."""

from actors.points.queries import SELECT_HISTORIES, SELECT_MOVEMENTS_OF_HISTORIES
from runtime.storage import Statement

REWARD_COLUMNS = (
    "reward_id, name, cost_points, stock, taken, per_customer_max, valid_from, valid_until,"
    " active, version"
)

INSERT_REWARD = Statement(
    "points.insert_reward",
    "INSERT INTO points_rewards (merchant_id, reward_id, name, cost_points, stock,"
    " per_customer_max, valid_from, valid_until, active, version, updated_at)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    53,
)

CHANGE_REWARD = Statement(
    "points.change_reward",
    "UPDATE points_rewards SET name = $3, cost_points = $4, stock = $5, per_customer_max = $6,"
    " valid_from = $7, valid_until = $8, active = $9, version = version + 1, updated_at = $11"
    " WHERE merchant_id = $1 AND reward_id = $2 AND points_rewards.version < $10",
    54,
    exact=True,
)

TAKE_STOCK = Statement(
    "points.take_stock",
    "UPDATE points_rewards SET taken = taken + $3 WHERE merchant_id = $1 AND reward_id = $2",
    55,
    exact=True,
)

INSERT_REDEMPTION = Statement(
    "points.insert_redemption",
    "INSERT INTO points_redemptions (merchant_id, redemption_id, customer_id, reward_id,"
    " quantity, cost_points, reward_version, transaction_id, redeemed_at)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    56,
)

END_REDEMPTION = Statement(
    "points.end_redemption",
    "UPDATE points_redemptions SET cancelled_by = $3, cancelled_at = $4"
    " WHERE merchant_id = $1 AND redemption_id = $2",
    57,
    exact=True,
)

INSERT_REFUND_POLICY = Statement(
    "points.insert_refund_policy",
    "INSERT INTO points_refund_policies (merchant_id, version, policy, created_at)"
    " VALUES ($1, $2, $3, $4)",
    40,
)

SELECT_REFUND_POLICY = (
    "SELECT version, policy FROM points_refund_policies WHERE merchant_id = $1"
    " ORDER BY version DESC LIMIT 1"
)

SELECT_OFFERS = (
    f"SELECT {REWARD_COLUMNS}, (SELECT CAST(coalesce(sum(d.quantity), 0) AS BIGINT)"
    " FROM points_redemptions d WHERE d.merchant_id = $1 AND d.customer_id = $2"
    " AND d.reward_id = points_rewards.reward_id AND d.cancelled_at IS NULL) AS had"
    " FROM points_rewards WHERE merchant_id = $1 AND reward_id IN ({ids})"
)
"""Rewards, with how many of each a customer has redeemed."""

SELECT_REWARD = (
    f"SELECT {REWARD_COLUMNS} FROM points_rewards WHERE merchant_id = $1 AND reward_id = $2"
)

LIST_REWARDS = (
    f"SELECT {REWARD_COLUMNS} FROM points_rewards WHERE merchant_id = $1 AND reward_id > $2"
    " ORDER BY reward_id LIMIT $3"
)

LIST_REWARDS_ON_OFFER = (
    f"SELECT {REWARD_COLUMNS} FROM points_rewards WHERE merchant_id = $1 AND reward_id > $2"
    " AND active AND (valid_from IS NULL OR valid_from <= $4)"
    " AND (valid_until IS NULL OR valid_until > $4) AND (stock IS NULL OR taken < stock)"
    " ORDER BY reward_id LIMIT $3"
)

REDEMPTION_COLUMNS = (
    "redemption_id, customer_id, reward_id, quantity, cost_points, reward_version,"
    " transaction_id, redeemed_at, cancelled_at"
)

SELECT_REDEMPTIONS = (
    f"SELECT {REDEMPTION_COLUMNS} FROM points_redemptions WHERE merchant_id = $1"
    " AND redemption_id IN ({ids})"
)

PAYMENTS = (
    "SELECT d.transaction_id FROM points_redemptions d"
    " WHERE d.merchant_id = $1 AND d.redemption_id IN ({ids})"
)
"""The transactions that paid for redemptions, where other queries have ids of transactions."""

SELECT_HISTORIES_OF_PAYMENTS = SELECT_HISTORIES.replace("{ids}", PAYMENTS)

SELECT_MOVEMENTS_OF_PAYMENTS = SELECT_MOVEMENTS_OF_HISTORIES.replace("{ids}", PAYMENTS)

SELECT_REDEMPTION = (
    f"SELECT {REDEMPTION_COLUMNS} FROM points_redemptions WHERE merchant_id = $1"
    " AND redemption_id = $2"
)

LIST_REDEMPTIONS = (
    f"SELECT {REDEMPTION_COLUMNS} FROM points_redemptions WHERE merchant_id = $1"
    " AND (redeemed_at, redemption_id) < ($2, $3)"
    " ORDER BY redeemed_at DESC, redemption_id DESC LIMIT $4"
)

LIST_REDEMPTIONS_OF = (
    f"SELECT {REDEMPTION_COLUMNS} FROM points_redemptions WHERE merchant_id = $1"
    " AND (redeemed_at, redemption_id) < ($2, $3) AND customer_id = $5"
    " ORDER BY redeemed_at DESC, redemption_id DESC LIMIT $4"
)

WRONG_STOCK = (
    "SELECT w.reward_id, w.taken, CAST(coalesce(sum(d.quantity), 0) AS BIGINT) AS redeemed"
    " FROM points_rewards w LEFT JOIN points_redemptions d ON d.merchant_id = w.merchant_id"
    " AND d.reward_id = w.reward_id AND d.cancelled_at IS NULL"
    " WHERE w.merchant_id = $1 GROUP BY w.reward_id, w.taken"
    " HAVING coalesce(sum(d.quantity), 0) <> w.taken LIMIT $2"
)
"""Rewards of which something else was taken than was redeemed, on one snapshot."""
