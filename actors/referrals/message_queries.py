"""The SQL of what was sent to friends, and of what the provider told of it."""

from runtime.storage import AcrossMerchants, Statement

INSERT_MESSAGE = Statement(
    "referrals.insert_message",
    "INSERT INTO referral_messages (merchant_id, message_id, referral_id, channel, state, rank,"
    " friend_key, sealed, key_version, created_at, changed_at)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    66,
)

SENT = Statement(
    "referrals.message_sent",
    "UPDATE referral_messages SET state = $4, rank = $5, provider_id = $6, sent_at = $7,"
    " changed_at = $7, sealed = NULL, key_version = NULL, detail = NULL"
    " WHERE merchant_id = $1 AND message_id = $2 AND state = $3",
    67,
    exact=True,
)

END_MESSAGE = Statement(
    "referrals.end_message",
    "UPDATE referral_messages SET state = $4, rank = $5, detail = $6, changed_at = $7,"
    " sealed = NULL, key_version = NULL"
    " WHERE merchant_id = $1 AND message_id = $2 AND state = $3",
    67,
    exact=True,
)

TRY = Statement(
    "referrals.try_message",
    "UPDATE referral_messages SET tried_at = $4"
    " WHERE merchant_id = $1 AND message_id = $2 AND state = $3",
    67,
    exact=True,
)
"""Before it is sent, and taken back when it is known that it was not."""

INSERT_STATUS = Statement(
    "referrals.insert_status",
    "INSERT INTO text_statuses (merchant_id, provider_id, status, state, rank, detail,"
    " received_at) VALUES ($1, $2, $3, $4, $5, $6, $7)",
    68,
)

MERGE = Statement(
    "referrals.merge_status",
    "UPDATE referral_messages SET state = $3, rank = $4, detail = $5, changed_at = $6"
    " WHERE merchant_id = $1 AND provider_id = $2 AND rank < $4",
    69,
)
"""What is known already, or better, stays; and where nobody has this id yet the row of the status
is all that is kept, until somebody has."""

CATCH_UP = Statement(
    "referrals.catch_up",
    "UPDATE referral_messages SET"
    " state = (SELECT s.state FROM text_statuses s WHERE s.merchant_id = $1"
    " AND s.provider_id = $2 ORDER BY s.rank DESC, s.status LIMIT 1),"
    " rank = (SELECT s.rank FROM text_statuses s WHERE s.merchant_id = $1"
    " AND s.provider_id = $2 ORDER BY s.rank DESC, s.status LIMIT 1),"
    " detail = (SELECT s.detail FROM text_statuses s WHERE s.merchant_id = $1"
    " AND s.provider_id = $2 ORDER BY s.rank DESC, s.status LIMIT 1)"
    " WHERE merchant_id = $1 AND provider_id = $2"
    " AND rank < (SELECT max(s.rank) FROM text_statuses s WHERE s.merchant_id = $1"
    " AND s.provider_id = $2)",
    69,
)
"""What was told of a text before it was known which one that is."""

RESEAL_MESSAGE = Statement(
    "referrals.reseal_message",
    "UPDATE referral_messages SET sealed = $3, key_version = $4"
    " WHERE merchant_id = $1 AND message_id = $2 AND sealed = $5",
    70,
)

MESSAGE_COLUMNS = (
    "merchant_id, message_id, referral_id, channel, state, friend_key, sealed, key_version,"
    " provider_id, detail, created_at, tried_at, sent_at"
)

SELECT_MESSAGE = (
    f"SELECT {MESSAGE_COLUMNS} FROM referral_messages WHERE merchant_id = $1 AND message_id = $2"
)

SELECT_MESSAGES_OF = (
    f"SELECT {MESSAGE_COLUMNS} FROM referral_messages WHERE merchant_id = $1 AND referral_id = $2"
    " ORDER BY created_at, message_id LIMIT 20"
)

SELECT_BY_PROVIDER_ID = (
    f"SELECT {MESSAGE_COLUMNS} FROM referral_messages WHERE merchant_id = $1 AND provider_id = $2"
)

SELECT_STATUS = (
    "SELECT 1 FROM text_statuses WHERE merchant_id = $1 AND provider_id = $2 AND status = $3"
)

SELECT_OPTED_OUT = (
    "SELECT 1 FROM referral_messages WHERE merchant_id = $1 AND friend_key = $2"
    " AND state = 'opted_out' LIMIT 1"
)

SELECT_QUEUED_OF = (
    "SELECT message_id FROM referral_messages WHERE merchant_id = $1 AND referral_id = $2"
    " AND state = 'queued' LIMIT 20"
)

COUNT_UNCONFIRMED = AcrossMerchants(
    "SELECT count(*), coalesce(sum(CASE WHEN state IN ('sent', 'unknown') THEN 1 ELSE 0 END), 0)"
    " FROM referral_messages WHERE sent_at > $1 AND sent_at <= $2 AND channel = 'sms'"
)

SELECT_OLD_SEALS = AcrossMerchants(
    "SELECT merchant_id, message_id, channel, sealed, key_version FROM referral_messages"
    " WHERE sealed IS NOT NULL AND key_version < $1 ORDER BY key_version LIMIT $2"
)

DELETE_OLD_STATUSES = AcrossMerchants(
    "DELETE FROM text_statuses WHERE (merchant_id, provider_id, status) IN"
    " (SELECT merchant_id, provider_id, status FROM text_statuses WHERE received_at < $1"
    " ORDER BY received_at LIMIT $2) RETURNING status"
)
