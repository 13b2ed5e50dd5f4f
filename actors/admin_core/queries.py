"""The SQL of the audit log."""

from runtime.storage import AcrossMerchants, Statement

INSERT_ENTRY = Statement(
    "admin_core.insert_audit_entry",
    "INSERT INTO audit_entries (merchant_id, sequence, entry_id, happened_at, subject, role,"
    " action, target, before, after, reason, trace_id, hash)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
    60,
)

COLUMNS = (
    "merchant_id, sequence, entry_id, happened_at, subject, role, action, target, before, after,"
    " reason, trace_id, hash"
)

SELECT_HEAD = (
    "SELECT sequence, hash FROM audit_entries WHERE merchant_id = $1 ORDER BY sequence DESC LIMIT 1"
)

LIST_ALL = AcrossMerchants(
    f"SELECT {COLUMNS} FROM audit_entries WHERE (happened_at, entry_id) < ($1, $2)"
    " ORDER BY happened_at DESC, entry_id DESC LIMIT $3"
)

LIST_OF_MERCHANT = (
    f"SELECT {COLUMNS} FROM audit_entries WHERE merchant_id = $1"
    " AND (happened_at, entry_id) < ($2, $3) ORDER BY happened_at DESC, entry_id DESC LIMIT $4"
)

IN_ORDER = AcrossMerchants(
    f"SELECT {COLUMNS} FROM audit_entries WHERE (merchant_id, sequence) > ($1, $2)"
    " ORDER BY merchant_id, sequence LIMIT $3"
)

OLDEST_UNDELIVERED = AcrossMerchants(
    "SELECT (SELECT created_at FROM outbox WHERE topic = $1 ORDER BY event_id LIMIT 1) AS fresh,"
    " (SELECT created_at FROM late_deliveries WHERE consumer = $2 AND dead_at IS NULL"
    " ORDER BY created_at LIMIT 1) AS late"
)

REQUEST_COLUMNS = (
    "merchant_id, request_id, customer_id, kind, state, reference, reason, requested_by,"
    " received_at, due_at, ended_at, outcome"
)

INSERT_REQUEST = Statement(
    "admin_core.insert_privacy_request",
    f"INSERT INTO privacy_requests ({REQUEST_COLUMNS})"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT DO NOTHING",
    62,
)

END_REQUEST = Statement(
    "admin_core.end_privacy_request",
    "UPDATE privacy_requests SET state = $3, ended_at = $4, outcome = $5"
    " WHERE merchant_id = $1 AND request_id = $2 AND ended_at IS NULL",
    63,
)

SELECT_REQUEST = AcrossMerchants(
    f"SELECT {REQUEST_COLUMNS} FROM privacy_requests WHERE request_id = $1"
)

LIST_REQUESTS = AcrossMerchants(
    f"SELECT {REQUEST_COLUMNS} FROM privacy_requests"
    " WHERE merchant_id = COALESCE(CAST($1 AS TEXT), merchant_id)"
    " AND (NOT CAST($2 AS BOOLEAN) OR ended_at IS NULL)"
    " AND (due_at, request_id) > ($3, $4) ORDER BY due_at, request_id LIMIT $5"
)

COUNT_OVERDUE = AcrossMerchants(
    "SELECT count(*) FROM privacy_requests WHERE ended_at IS NULL AND due_at < $1"
)
