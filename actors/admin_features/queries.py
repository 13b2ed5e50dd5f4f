"""The SQL of flags. They belong to the platform, under the name that stands for it."""

from runtime.storage import Statement

PLATFORM = "-"
"""In place of a merchant's id."""

INSERT_FLAG = Statement(
    "admin_features.insert_flag",
    "INSERT INTO admin_flags (merchant_id, flag_key, version, definition, changed_at)"
    " VALUES ($1, $2, $3, $4, $5)",
    40,
)

CHANGE_FLAG = Statement(
    "admin_features.change_flag",
    "UPDATE admin_flags SET version = version + 1, definition = $4, changed_at = $5"
    " WHERE merchant_id = $1 AND flag_key = $2 AND admin_flags.version < $3"
    " AND admin_flags.version >= $3 - 1",
    41,
    exact=True,
)

INSERT_HISTORY = Statement(
    "admin_features.insert_history",
    "INSERT INTO admin_flag_history (merchant_id, flag_key, version, definition, changed_at,"
    " changed_by, reason) VALUES ($1, $2, $3, $4, $5, $6, $7)",
    42,
)

SELECT_FLAG = (
    "SELECT flag_key, version, definition, changed_at FROM admin_flags"
    " WHERE merchant_id = $1 AND flag_key = $2"
)

LIST_FLAGS = (
    "SELECT flag_key, version, definition, changed_at FROM admin_flags"
    " WHERE merchant_id = $1 AND flag_key > $2 ORDER BY flag_key LIMIT $3"
)

LIST_HISTORY = (
    "SELECT version, definition, changed_at, changed_by, reason FROM admin_flag_history"
    " WHERE merchant_id = $1 AND flag_key = $2 AND version < $3 ORDER BY version DESC LIMIT $4"
)
