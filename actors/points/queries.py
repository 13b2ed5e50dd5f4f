"""The points domain's SQL."""

from collections.abc import Sequence

from runtime.storage import AcrossMerchants, Statement

INSERT_TRANSACTION = Statement(
    "points.insert_transaction",
    "INSERT INTO points_transactions (merchant_id, transaction_id, customer_id, asset, sequence,"
    " kind, amount, reason, effective_at, recorded_at, member, hold, pending, lot_id, lot_amount,"
    " expires_at, matures_at, hold_id, order_id, reverses, business_key, idempotency_key, rule,"
    " hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17,"
    " $18, $19, $20, $21, $22, $23, $24)",
    40,
)

INSERT_POSTING = Statement(
    "points.insert_posting",
    "INSERT INTO points_postings (merchant_id, transaction_id, account, points)"
    " VALUES ($1, $2, $3, $4)",
    41,
)

INSERT_LOT = Statement(
    "points.insert_lot",
    "INSERT INTO points_lots (merchant_id, lot_id, customer_id, asset, transaction_id, sequence,"
    " amount, remaining, earned_at, expires_at)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $7, $8, $9)",
    42,
)

INSERT_LOT_MOVEMENT = Statement(
    "points.insert_lot_movement",
    "INSERT INTO points_lot_movements (merchant_id, transaction_id, lot_id, points, position)"
    " VALUES ($1, $2, $3, $4, $5)",
    43,
)

MOVE_LOT = Statement(
    "points.move_lot",
    "UPDATE points_lots SET remaining = remaining + $3 WHERE merchant_id = $1 AND lot_id = $2",
    44,
)

INSERT_HOLD = Statement(
    "points.insert_hold",
    "INSERT INTO points_holds (merchant_id, hold_id, customer_id, asset, amount, expires_at,"
    " placed_by) VALUES ($1, $2, $3, $4, $5, $6, $7)",
    45,
)

END_HOLD = Statement(
    "points.end_hold",
    "UPDATE points_holds SET ended_by = $3 WHERE merchant_id = $1 AND hold_id = $2",
    46,
)

INSERT_PENDING = Statement(
    "points.insert_pending",
    "INSERT INTO points_pending (merchant_id, transaction_id, customer_id, asset, amount,"
    " matures_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7)",
    47,
)

REDUCE_PENDING = Statement(
    "points.reduce_pending",
    "UPDATE points_pending SET amount = amount - $3 WHERE merchant_id = $1 AND transaction_id = $2",
    48,
)

PUT_ACCOUNT = Statement(
    "points.put_account",
    "INSERT INTO points_accounts (merchant_id, customer_id, asset, sequence, member, hold,"
    " pending, head, recorded_at, next_due_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
    " ON CONFLICT (merchant_id, customer_id, asset) DO UPDATE SET sequence = excluded.sequence,"
    " member = excluded.member, hold = excluded.hold, pending = excluded.pending,"
    " head = excluded.head, recorded_at = excluded.recorded_at,"
    " next_due_at = excluded.next_due_at",
    49,
)

INSERT_RULE = Statement(
    "points.insert_rule",
    "INSERT INTO points_earn_rules (merchant_id, currency, version, points, per_amount_minor,"
    " expires_after_days, created_at, multiplier_percent, rounding)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    40,
)

INSERT_TRANSFER = Statement(
    "points.insert_transfer",
    "INSERT INTO points_transfers (merchant_id, transfer_id, from_customer_id, to_customer_id,"
    " amount, reason, recorded_at) VALUES ($1, $2, $3, $4, $5, $6, $7)",
    51,
)

INSERT_TRANSFER_PART = Statement(
    "points.insert_transfer_part",
    "INSERT INTO points_transfer_parts (merchant_id, transfer_id, transaction_id)"
    " VALUES ($1, $2, $3)",
    52,
)

PUT_DEFERRAL = Statement(
    "points.put_deferral",
    "INSERT INTO points_deferrals (merchant_id, deferral_id, customer_id, idempotency_key, status,"
    " attempts, deferred_at, finished_at, result) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
    " ON CONFLICT (merchant_id, deferral_id) DO UPDATE SET status = excluded.status,"
    " attempts = excluded.attempts, finished_at = excluded.finished_at, result = excluded.result"
    " WHERE points_deferrals.finished_at IS NULL",
    50,
)

DELETE_OLD_DEFERRALS = AcrossMerchants(
    "DELETE FROM points_deferrals WHERE (merchant_id, deferral_id) IN"
    " (SELECT merchant_id, deferral_id FROM points_deferrals WHERE finished_at < $1"
    " ORDER BY finished_at LIMIT $2) RETURNING deferral_id"
)

SELECT_DEFERRALS = (
    "SELECT deferral_id, customer_id, status, attempts, deferred_at, finished_at, result"
    " FROM points_deferrals WHERE merchant_id = $1 AND deferral_id IN ({ids})"
)

SELECT_RULE = (
    "SELECT version, currency, points, per_amount_minor, expires_after_days,"
    " multiplier_percent, rounding"
    " FROM points_earn_rules WHERE merchant_id = $1 AND currency = $2"
    " ORDER BY version DESC LIMIT 1"
)

# CROSS JOIN below keeps SQLite from starting with the table that is not selected by customer.

# Accounts of one merchant, several at a time: `{ids}` becomes parameters from $2 on.

SELECT_ACCOUNTS = (
    "SELECT customer_id, asset, sequence, member, hold, pending, head, recorded_at"
    " FROM points_accounts WHERE merchant_id = $1 AND customer_id IN ({ids})"
)

SELECT_OPEN_LOTS = (
    "SELECT customer_id, lot_id, remaining, expires_at, sequence FROM points_lots"
    " WHERE merchant_id = $1 AND customer_id IN ({ids}) AND remaining > 0"
)

SELECT_ACTIVE_HOLDS = (
    "SELECT customer_id, hold_id, amount, expires_at FROM points_holds"
    " WHERE merchant_id = $1 AND customer_id IN ({ids}) AND ended_by IS NULL"
)

SELECT_OPEN_PENDING = (
    "SELECT customer_id, transaction_id, amount, matures_at, expires_at FROM points_pending"
    " WHERE merchant_id = $1 AND customer_id IN ({ids}) AND amount > 0"
)

TRANSACTION_COLUMNS = (
    "t.merchant_id, t.customer_id, t.asset, t.sequence, t.transaction_id, t.kind, t.amount,"
    " t.reason, t.effective_at, t.recorded_at, t.member, t.hold, t.pending, t.lot_id,"
    " t.lot_amount, t.expires_at, t.matures_at, t.hold_id, t.order_id, t.reverses,"
    " t.business_key, t.idempotency_key, t.rule, t.hash"
)

SELECT_TRANSACTIONS = (
    f"SELECT {TRANSACTION_COLUMNS} FROM points_transactions t"
    " WHERE t.merchant_id = $1 AND t.customer_id IN ({ids})"
    " ORDER BY t.customer_id, t.sequence"
)

SELECT_POSTINGS = (
    "SELECT p.transaction_id, p.account, p.points FROM points_transactions t"
    " CROSS JOIN points_postings p"
    " WHERE t.merchant_id = $1 AND t.customer_id IN ({ids})"
    " AND p.merchant_id = t.merchant_id AND p.transaction_id = t.transaction_id"
)

MOVEMENT_COLUMNS = "m.transaction_id, m.lot_id, m.points, l.expires_at, l.sequence"

SELECT_MOVEMENTS = (
    f"SELECT {MOVEMENT_COLUMNS} FROM points_transactions t"
    " CROSS JOIN points_lot_movements m"
    " LEFT JOIN points_lots l ON l.merchant_id = m.merchant_id AND l.lot_id = m.lot_id"
    " WHERE t.merchant_id = $1 AND t.customer_id IN ({ids})"
    " AND m.merchant_id = t.merchant_id AND m.transaction_id = t.transaction_id"
    " ORDER BY m.transaction_id, m.position"
)

# Single transactions, with `{ids}` among transaction ids.

SELECT_BY_ID = (
    f"SELECT {TRANSACTION_COLUMNS} FROM points_transactions t"
    " WHERE t.merchant_id = $1 AND t.transaction_id IN ({ids})"
)

SELECT_POSTINGS_OF = (
    "SELECT account, points FROM points_postings WHERE merchant_id = $1 AND transaction_id = $2"
    " ORDER BY account"
)

SELECT_MOVEMENTS_BY_ID = (
    f"SELECT {MOVEMENT_COLUMNS} FROM points_lot_movements m"
    " JOIN points_lots l ON l.merchant_id = m.merchant_id AND l.lot_id = m.lot_id"
    " WHERE m.merchant_id = $1 AND m.transaction_id IN ({ids})"
    " ORDER BY m.transaction_id, m.position"
)

# What was ever taken back of the transactions that are `named`: their roots, as `root_of` has them,
# and what reverses these.

HISTORIES = (
    "WITH roots AS (SELECT transaction_id AS named,"
    " coalesce(CASE kind WHEN 'mature' THEN lot_id END, transaction_id) AS root"
    " FROM points_transactions WHERE merchant_id = $1 AND transaction_id IN ({ids})),"
    " history AS (SELECT named, root AS transaction_id FROM roots"
    " UNION ALL SELECT named, r.transaction_id FROM roots CROSS JOIN points_transactions r"
    " WHERE r.merchant_id = $1 AND r.reverses = root)"
)

SELECT_HISTORIES = (
    f"{HISTORIES} SELECT named, {TRANSACTION_COLUMNS}"
    " FROM history CROSS JOIN points_transactions t"
    " WHERE t.merchant_id = $1 AND t.transaction_id = history.transaction_id ORDER BY t.sequence"
)

SELECT_MOVEMENTS_OF_HISTORIES = (
    f"{HISTORIES} SELECT named, {MOVEMENT_COLUMNS}"
    " FROM history CROSS JOIN points_lot_movements m"
    " JOIN points_lots l ON l.merchant_id = m.merchant_id AND l.lot_id = m.lot_id"
    " WHERE m.merchant_id = $1 AND m.transaction_id = history.transaction_id"
    " ORDER BY m.transaction_id, m.position"
)

SELECT_KEYS = (
    "SELECT key, fingerprint, response FROM idempotency_keys"
    " WHERE merchant_id = $1 AND key IN ({ids})"
)

SELECT_BY_BUSINESS_KEY = (
    f"SELECT {TRANSACTION_COLUMNS} FROM points_transactions t"
    " WHERE t.merchant_id = $1 AND t.business_key IN ({ids})"
)

SELECT_KNOWN_HOLDS = (
    "SELECT hold_id, customer_id FROM points_holds WHERE merchant_id = $1 AND hold_id IN ({ids})"
)

SELECT_OWNERS = (
    "SELECT transaction_id, customer_id FROM points_transactions"
    " WHERE merchant_id = $1 AND transaction_id IN ({ids})"
)

# Reading for people.

SELECT_ACCOUNT = (
    "SELECT sequence, next_due_at FROM points_accounts"
    " WHERE merchant_id = $1 AND customer_id = $2 AND asset = $3"
)

LIST_LEDGER = (
    f"SELECT {TRANSACTION_COLUMNS} FROM points_transactions t"
    " WHERE t.merchant_id = $1 AND t.customer_id = $2 AND t.asset = $3 AND t.sequence < $4"
    " ORDER BY t.sequence DESC LIMIT $5"
)

LIST_LOTS = (
    "SELECT lot_id, transaction_id, amount, remaining, earned_at, expires_at, sequence"
    " FROM points_lots WHERE merchant_id = $1 AND customer_id = $2 AND asset = $3"
    " AND remaining > 0 AND (coalesce(expires_at, $4), sequence) > ($5, $6)"
    " ORDER BY coalesce(expires_at, $4), sequence LIMIT $7"
)

BALANCE_AS_RECORDED = (
    "SELECT member, hold, pending, sequence FROM points_transactions"
    " WHERE merchant_id = $1 AND customer_id = $2 AND asset = $3 AND recorded_at <= $4"
    " ORDER BY sequence DESC LIMIT 1"
)

BALANCE_AS_EFFECTIVE = (
    "SELECT p.account, CAST(sum(p.points) AS BIGINT) FROM points_transactions t"
    " CROSS JOIN points_postings p"
    " WHERE t.merchant_id = $1 AND t.customer_id = $2 AND t.asset = $3 AND t.effective_at <= $4"
    " AND p.merchant_id = t.merchant_id AND p.transaction_id = t.transaction_id"
    " GROUP BY p.account"
)

EXPIRING_AS_RECORDED = (
    "SELECT l.expires_at, l.amount + CAST(coalesce((SELECT sum(m.points)"
    " FROM points_lot_movements m"
    " JOIN points_transactions t ON t.merchant_id = m.merchant_id"
    " AND t.transaction_id = m.transaction_id"
    " WHERE m.merchant_id = l.merchant_id AND m.lot_id = l.lot_id AND t.sequence <= $4"
    " AND t.customer_id = $2), 0) AS BIGINT) AS remaining_then"
    " FROM points_transactions e CROSS JOIN points_lots l"
    " WHERE e.merchant_id = $1 AND e.customer_id = $2 AND e.asset = $3 AND e.sequence <= $4"
    " AND l.merchant_id = e.merchant_id AND l.lot_id = e.lot_id AND l.sequence = e.sequence"
    " AND l.customer_id = e.customer_id AND l.expires_at IS NOT NULL"
    " ORDER BY l.expires_at, l.sequence"
)

SELECT_DUE = AcrossMerchants(
    "SELECT next_due_at, merchant_id, customer_id FROM points_accounts"
    " WHERE next_due_at <= $1 AND (next_due_at, merchant_id, customer_id) > ($2, $3, $4)"
    " ORDER BY next_due_at, merchant_id, customer_id LIMIT $5"
)

# Verification.

SELECT_CUSTOMERS_AFTER = (
    "SELECT customer_id FROM points_accounts WHERE merchant_id = $1 AND customer_id > $2"
    " UNION SELECT customer_id FROM points_transactions"
    " WHERE merchant_id = $1 AND customer_id > $2 ORDER BY 1 LIMIT $3"
)

COUNT_ORPHANS = (
    "SELECT (SELECT count(*) FROM points_postings p WHERE p.merchant_id = $1 AND NOT EXISTS"
    " (SELECT 1 FROM points_transactions t WHERE t.merchant_id = p.merchant_id"
    " AND t.transaction_id = p.transaction_id))"
    " + (SELECT count(*) FROM points_lot_movements m WHERE m.merchant_id = $1 AND NOT EXISTS"
    " (SELECT 1 FROM points_transactions t WHERE t.merchant_id = m.merchant_id"
    " AND t.transaction_id = m.transaction_id))"
    " + (SELECT count(*) FROM points_lots l WHERE l.merchant_id = $1 AND NOT EXISTS"
    " (SELECT 1 FROM points_transactions t WHERE t.merchant_id = l.merchant_id"
    " AND t.transaction_id = l.transaction_id))"
)

HALF_TRANSFERS = (
    "SELECT x.transfer_id, x.amount, CAST(coalesce(sum(t.amount), 0) AS BIGINT) AS net,"
    " CAST(coalesce(sum(CASE WHEN t.amount > 0 THEN t.amount ELSE 0 END), 0) AS BIGINT) AS moved"
    " FROM points_transfers x"
    " LEFT JOIN points_transfer_parts p ON p.merchant_id = x.merchant_id"
    " AND p.transfer_id = x.transfer_id"
    " LEFT JOIN points_transactions t ON t.merchant_id = p.merchant_id"
    " AND t.transaction_id = p.transaction_id"
    " WHERE x.merchant_id = $1 GROUP BY x.transfer_id, x.amount"
    " HAVING coalesce(sum(t.amount), 0) <> 0"
    " OR coalesce(sum(CASE WHEN t.amount > 0 THEN t.amount ELSE 0 END), 0) <> x.amount LIMIT $2"
)
"""Transfers that gave more or less than they took, on one snapshot."""

STRAY_TRANSFERS = (
    "SELECT count(*) FROM points_transactions t"
    " WHERE t.merchant_id = $1 AND t.kind IN ('transfer_out', 'transfer_in') AND NOT EXISTS"
    " (SELECT 1 FROM points_transfer_parts p WHERE p.merchant_id = t.merchant_id"
    " AND p.transaction_id = t.transaction_id)"
)

SIZES = (1, 4, 16, 64, 256)
"""Lengths of `{ids}`, so that few different statements need to be prepared."""

MAX_IDS = SIZES[-1]


def with_ids(sql: str, merchant_id: str, ids: Sequence[str], *more: str) -> tuple[str, list[str]]:
    """The query for 1 to `MAX_IDS` ids. The last one is repeated up to a length of `SIZES`. `more`
    are the values between merchant and ids."""
    size = next(size for size in SIZES if size >= len(ids))
    before = [merchant_id, *more]
    first = len(before) + 1
    places = ", ".join([f"${number}" for number in range(first, first + size)])
    return sql.replace("{ids}", places), [*before, *ids, *([ids[-1]] * (size - len(ids)))]
