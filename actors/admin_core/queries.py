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

OLDEST_FRESH = AcrossMerchants(
    "SELECT created_at FROM outbox WHERE topic = $1 ORDER BY event_id LIMIT 1"
)

OLDEST_LATE = AcrossMerchants(
    "SELECT created_at FROM late_deliveries WHERE consumer = $1 AND dead_at IS NULL"
    " ORDER BY created_at LIMIT 1"
)
