"""The service's SQL."""

LOCK_ACCOUNT = """
SELECT sequence, member, hold, pending, head, recorded_at, next_due_at FROM points_accounts
WHERE merchant_id = $1 AND customer_id = $2 AND asset = $3 FOR UPDATE
"""

LOCK_CUSTOMER = """
SELECT 1 FROM customers WHERE merchant_id = $1 AND customer_id = $2 FOR UPDATE
"""

SELECT_KEY = """
SELECT fingerprint, response FROM idempotency_keys WHERE merchant_id = $1 AND key = $2
"""

INSERT_KEY = """
INSERT INTO idempotency_keys (merchant_id, key, fingerprint, response, created_at)
VALUES ($1, $2, $3, $4, $5)
"""

INSERT_TRANSACTION = """
INSERT INTO points_transactions (
    merchant_id, transaction_id, customer_id, asset, sequence, kind, amount, reason,
    effective_at, recorded_at, member, hold, pending, lot_id, lot_amount, expires_at, order_id,
    idempotency_key, hash
) VALUES (
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19
)
"""

INSERT_POSTINGS = """
INSERT INTO points_postings (merchant_id, transaction_id, account, points)
VALUES ($1, $2, 'issuance', - CAST($3 AS BIGINT)), ($1, $2, 'member', $3)
"""

INSERT_LOT = """
INSERT INTO points_lots (
    merchant_id, lot_id, customer_id, asset, transaction_id, sequence, amount, remaining,
    earned_at, expires_at
) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
"""

INSERT_LOT_MOVEMENT = """
INSERT INTO points_lot_movements (merchant_id, transaction_id, lot_id, points, position)
VALUES ($1, $2, $3, $4, 0)
"""

PUT_ACCOUNT = """
INSERT INTO points_accounts (
    merchant_id, customer_id, asset, sequence, member, hold, pending, head, recorded_at, next_due_at
) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT (merchant_id, customer_id, asset) DO UPDATE SET
    sequence = excluded.sequence, member = excluded.member, hold = excluded.hold,
    pending = excluded.pending, head = excluded.head, recorded_at = excluded.recorded_at,
    next_due_at = excluded.next_due_at
"""
