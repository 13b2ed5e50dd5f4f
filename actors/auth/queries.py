"""The auth domain's SQL."""

from runtime.storage import AcrossMerchants, Statement

INSERT_ROLE = Statement(
    "auth.insert_role",
    "INSERT INTO access_roles (merchant_id, role_id, base, permissions, changed_at)"
    " VALUES ($1, $2, $3, $4, $5)",
    10,
)
UPDATE_ROLE = Statement(
    "auth.update_role",
    "UPDATE access_roles SET permissions = $3, changed_at = $4"
    " WHERE merchant_id = $1 AND role_id = $2",
    10,
    exact=True,
)
DELETE_ROLE = Statement(
    "auth.delete_role", "DELETE FROM access_roles WHERE merchant_id = $1 AND role_id = $2", 10
)
ROLE_COLUMNS = "role_id, base, permissions, changed_at"
SELECT_ROLE = f"SELECT {ROLE_COLUMNS} FROM access_roles WHERE merchant_id = $1 AND role_id = $2"
LIST_ROLES = f"SELECT {ROLE_COLUMNS} FROM access_roles WHERE merchant_id = $1 ORDER BY role_id"
ROLE_IN_USE = AcrossMerchants("SELECT 1 FROM accounts WHERE role_id = $1 LIMIT 1")

INSERT_ACCOUNT = Statement(
    "auth.insert_account",
    "INSERT INTO accounts (merchant_id, account_id, email, password_hash, role, customer_id,"
    " role_id, disabled, created_at, changed_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    20,
)
UPDATE_ACCOUNT = Statement(
    "auth.update_account",
    "UPDATE accounts SET password_hash = $3, role_id = $4, disabled = $5, changed_at = $6"
    " WHERE merchant_id = $1 AND account_id = $2",
    20,
    exact=True,
)
ERASE_ACCOUNT = Statement(
    "auth.erase_account",
    "UPDATE accounts SET email = $3, password_hash = '', disabled = true, changed_at = $4"
    " WHERE merchant_id = $1 AND account_id = $2",
    20,
)
ACCOUNTS_OF_CUSTOMER = (
    "SELECT account_id FROM accounts WHERE merchant_id = $1 AND customer_id = $2 LIMIT 100"
)
FORGET_ATTEMPTS = Statement(
    "auth.forget_attempts",
    "DELETE FROM login_attempts WHERE merchant_id = $1 AND account_id = $2",
    35,
)
REHASH = Statement(
    "auth.rehash",
    "UPDATE accounts SET password_hash = $4"
    " WHERE merchant_id = $1 AND account_id = $2 AND password_hash = $3",
    21,
)
ACCOUNT_COLUMNS = (
    "merchant_id, account_id, email, role, customer_id, role_id, disabled, created_at,"
    " changed_at, password_hash"
)
SELECT_BY_EMAIL = f"SELECT {ACCOUNT_COLUMNS} FROM accounts WHERE merchant_id = $1 AND email = $2"
SELECT_ACCOUNT = AcrossMerchants(f"SELECT {ACCOUNT_COLUMNS} FROM accounts WHERE account_id = $1")
LIST_ACCOUNTS = AcrossMerchants(
    f"SELECT {ACCOUNT_COLUMNS} FROM accounts WHERE account_id > $1"
    " AND email = COALESCE(CAST($2 AS TEXT), email) ORDER BY account_id LIMIT $3"
)
LIST_ACCOUNTS_OF = (
    f"SELECT {ACCOUNT_COLUMNS} FROM accounts WHERE merchant_id = $1 AND account_id > $2"
    " AND email = COALESCE(CAST($3 AS TEXT), email) ORDER BY account_id LIMIT $4"
)

INSERT_SESSION = Statement(
    "auth.insert_session",
    "INSERT INTO sessions (merchant_id, session_id, account_id, created_at, expires_at)"
    " VALUES ($1, $2, $3, $4, $5)",
    30,
)
END_SESSION = Statement(
    "auth.end_session",
    "UPDATE sessions SET ended_at = $3, end_reason = $4"
    " WHERE merchant_id = $1 AND session_id = $2 AND ended_at IS NULL",
    31,
)
OPEN_SESSIONS = (
    "SELECT session_id FROM sessions WHERE merchant_id = $1 AND account_id = $2"
    " AND ended_at IS NULL AND expires_at > $3 ORDER BY created_at, session_id LIMIT 200"
)

INSERT_REFRESH = Statement(
    "auth.insert_refresh",
    "INSERT INTO refresh_tokens (merchant_id, token_hash, session_id, issued_at, expires_at)"
    " VALUES ($1, $2, $3, $4, $5)",
    33,
)
USE_REFRESH = Statement(
    "auth.use_refresh",
    "UPDATE refresh_tokens SET used_at = $3"
    " WHERE merchant_id = $1 AND token_hash = $2 AND used_at IS NULL",
    32,
    exact=True,
)
SELECT_REFRESH = AcrossMerchants(
    "SELECT r.merchant_id, r.session_id, r.expires_at, r.used_at,"
    " s.expires_at AS session_expires_at, s.ended_at, s.account_id"
    " FROM refresh_tokens r JOIN sessions s"
    " ON s.merchant_id = r.merchant_id AND s.session_id = r.session_id"
    " WHERE r.token_hash = $1"
)

KEEP_DEVICE = Statement(
    "auth.keep_device",
    "INSERT INTO known_devices (merchant_id, account_id, device_hash, last_used_at)"
    " VALUES ($1, $2, $3, $4) ON CONFLICT (merchant_id, account_id, device_hash)"
    " DO UPDATE SET last_used_at = excluded.last_used_at",
    34,
)
FORGET_DEVICES = Statement(
    "auth.forget_devices",
    "DELETE FROM known_devices WHERE merchant_id = $1 AND account_id = $2",
    34,
)
KNOWS_DEVICE = (
    "SELECT 1 FROM known_devices d JOIN accounts a"
    " ON a.merchant_id = d.merchant_id AND a.account_id = d.account_id"
    " WHERE d.merchant_id = $1 AND a.email = $2 AND d.device_hash = $3"
)

INSERT_ATTEMPT = Statement(
    "auth.insert_attempt",
    "INSERT INTO login_attempts (merchant_id, attempt_id, happened_at, email_hash, account_id,"
    " address, device_hash, outcome) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    35,
)
FAILURES_OF_ACCOUNT = (
    "SELECT happened_at FROM login_attempts WHERE merchant_id = $1 AND email_hash = $2"
    " AND happened_at > $3 AND outcome = $4 AND device_hash IS NULL"
    " ORDER BY happened_at DESC LIMIT 20"
)
FAILURES_OF_DEVICE = (
    "SELECT happened_at FROM login_attempts WHERE merchant_id = $1 AND email_hash = $2"
    " AND happened_at > $3 AND outcome = $4 AND device_hash = $5"
    " ORDER BY happened_at DESC LIMIT 20"
)
FAILURES_OF_ADDRESS = AcrossMerchants(
    "SELECT happened_at FROM login_attempts WHERE address = $1 AND happened_at > $2"
    " AND outcome = $3 ORDER BY happened_at DESC LIMIT 50"
)
ATTEMPT_COLUMNS = "merchant_id, attempt_id, happened_at, account_id, address, device_hash, outcome"
LIST_ATTEMPTS = AcrossMerchants(
    f"SELECT {ATTEMPT_COLUMNS} FROM login_attempts"
    " WHERE merchant_id = COALESCE(CAST($1 AS TEXT), merchant_id)"
    " AND (CAST($2 AS TEXT) IS NULL OR account_id = $2)"
    " AND (happened_at, attempt_id) < ($3, $4)"
    " ORDER BY happened_at DESC, attempt_id DESC LIMIT $5"
)

USE_CAPTCHA = Statement(
    "auth.use_captcha",
    "INSERT INTO captcha_uses (merchant_id, challenge, expires_at) VALUES ($1, $2, $3)",
    36,
)

REVOKE = Statement(
    "auth.revoke",
    "INSERT INTO revocations (merchant_id, revoked_id, recorded_at, expires_at)"
    " VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
    37,
)
LIST_REVOCATIONS = AcrossMerchants(
    "SELECT merchant_id, revoked_id, recorded_at, expires_at FROM revocations"
    " WHERE (recorded_at, revoked_id) > ($1, $2) AND expires_at > $3"
    " ORDER BY recorded_at, revoked_id LIMIT $4"
)
STANDING = AcrossMerchants(
    "SELECT (SELECT count(*) FROM revocations WHERE revoked_id IN ($1, $2))"
    " + (SELECT count(*) FROM sessions s JOIN accounts a"
    " ON a.merchant_id = s.merchant_id AND a.account_id = s.account_id"
    " WHERE s.session_id = $2 AND (s.ended_at IS NOT NULL OR a.disabled))"
)

SUSPEND = Statement(
    "auth.suspend",
    "INSERT INTO suspensions (merchant_id, since, reason) VALUES ($1, $2, $3)"
    " ON CONFLICT (merchant_id) DO UPDATE SET reason = excluded.reason",
    38,
)
RESUME = Statement("auth.resume", "DELETE FROM suspensions WHERE merchant_id = $1", 38)
LIST_SUSPENDED = AcrossMerchants("SELECT merchant_id FROM suspensions ORDER BY merchant_id")
IS_SUSPENDED = "SELECT 1 FROM suspensions WHERE merchant_id = $1"

INSERT_API_KEY = Statement(
    "auth.insert_api_key",
    "INSERT INTO api_keys (merchant_id, key_id, name, key_hash, scopes, created_by, created_at,"
    " expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    40,
)
REVOKE_API_KEY = Statement(
    "auth.revoke_api_key",
    "UPDATE api_keys SET revoked_at = $3"
    " WHERE merchant_id = $1 AND key_id = $2 AND revoked_at IS NULL",
    41,
    exact=True,
)
USED_API_KEY = Statement(
    "auth.used_api_key",
    "UPDATE api_keys SET last_used_at = $3 WHERE merchant_id = $1 AND key_id = $2",
    42,
)
API_KEY_COLUMNS = (
    "merchant_id, key_id, name, scopes, created_by, created_at, expires_at, last_used_at"
)
SELECT_API_KEY = AcrossMerchants(
    f"SELECT {API_KEY_COLUMNS} FROM api_keys WHERE key_hash = $1 AND revoked_at IS NULL"
)
LIST_API_KEYS = (
    f"SELECT {API_KEY_COLUMNS} FROM api_keys WHERE merchant_id = $1 AND key_id > $2"
    " AND revoked_at IS NULL ORDER BY key_id LIMIT $3"
)
COUNT_API_KEYS = "SELECT count(*) FROM api_keys WHERE merchant_id = $1 AND revoked_at IS NULL"

PRUNE_CAPTCHAS = AcrossMerchants(
    "DELETE FROM captcha_uses WHERE (merchant_id, challenge) IN (SELECT merchant_id, challenge"
    " FROM captcha_uses WHERE expires_at < $1 LIMIT $2) RETURNING 1"
)
PRUNE_REVOCATIONS = AcrossMerchants(
    "DELETE FROM revocations WHERE (merchant_id, revoked_id) IN (SELECT merchant_id, revoked_id"
    " FROM revocations WHERE expires_at < $1 LIMIT $2) RETURNING 1"
)
PRUNE_REFRESH_TOKENS = AcrossMerchants(
    "DELETE FROM refresh_tokens WHERE (merchant_id, token_hash) IN (SELECT r.merchant_id,"
    " r.token_hash FROM refresh_tokens r JOIN sessions s ON s.merchant_id = r.merchant_id"
    " AND s.session_id = r.session_id WHERE s.expires_at < $1 LIMIT $2) RETURNING 1"
)
PRUNE_SESSIONS = AcrossMerchants(
    "DELETE FROM sessions WHERE (merchant_id, session_id) IN (SELECT s.merchant_id,"
    " s.session_id FROM sessions s WHERE s.expires_at < $1 AND NOT EXISTS (SELECT 1 FROM"
    " refresh_tokens r WHERE r.merchant_id = s.merchant_id AND r.session_id = s.session_id)"
    " LIMIT $2) RETURNING 1"
)
PRUNE_ATTEMPTS = AcrossMerchants(
    "DELETE FROM login_attempts WHERE (merchant_id, attempt_id) IN (SELECT merchant_id,"
    " attempt_id FROM login_attempts WHERE happened_at < $1 LIMIT $2) RETURNING 1"
)
PRUNE_DEVICES = AcrossMerchants(
    "DELETE FROM known_devices WHERE (merchant_id, account_id, device_hash) IN (SELECT"
    " merchant_id, account_id, device_hash FROM known_devices WHERE last_used_at < $1"
    " LIMIT $2) RETURNING 1"
)

PRUNE = (PRUNE_CAPTCHAS, PRUNE_REVOCATIONS, PRUNE_REFRESH_TOKENS, PRUNE_SESSIONS)
"""What has expired, in steps."""

PRUNE_AGED = (PRUNE_ATTEMPTS, PRUNE_DEVICES)
"""What is kept for a time after it happened."""
