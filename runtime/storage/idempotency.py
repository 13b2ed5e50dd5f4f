"""The table of idempotency keys: what each was answered, and to which request it belongs."""

from datetime import datetime

from runtime.storage.port import Statement, Write

INSERT_KEY = Statement(
    "idempotency.insert",
    "INSERT INTO idempotency_keys (merchant_id, key, fingerprint, response, created_at)"
    " VALUES ($1, $2, $3, $4, $5)",
    80,
)

SELECT_KEY = (
    "SELECT fingerprint, response FROM idempotency_keys WHERE merchant_id = $1 AND key = $2"
)


def idempotency_write(
    *, merchant_id: str, key: str, fingerprint: str, response: object, created_at: datetime
) -> Write:
    """Keep the answer; breaks a constraint when the key was used meanwhile.

    `response` is a JSON value (a `dict` or a `list`).
    """
    return Write(INSERT_KEY, (merchant_id, key, fingerprint, response, created_at))
