"""The SQL of referrals, their steps, links and programs."""

from runtime.storage import AcrossMerchants, Statement

INSERT_PROGRAM = Statement(
    "referrals.insert_program",
    "INSERT INTO referral_programs (merchant_id, version, program, changed_by, changed_at)"
    " VALUES ($1, $2, $3, $4, $5)",
    60,
)

INSERT_LINK = Statement(
    "referrals.insert_link",
    "INSERT INTO referral_links (merchant_id, advocate_id, code, signals, created_at)"
    " VALUES ($1, $2, $3, $4, $5)",
    60,
)

INSERT_REFERRAL = Statement(
    "referrals.insert",
    "INSERT INTO referrals (merchant_id, referral_id, code, advocate_id, channel, state, review,"
    " friend_key, hidden, program, program_version, signals, flags, created_at, expires_at)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
    61,
)

CLAIM = Statement(
    "referrals.claim",
    "UPDATE referrals SET state = $4, friend_id = $5, claimed_at = $6, expires_at = $7,"
    " review = $8, flags = $9 WHERE merchant_id = $1 AND referral_id = $2 AND state = $3",
    62,
    exact=True,
)

QUALIFY = Statement(
    "referrals.qualify",
    "UPDATE referrals SET state = $4, order_id = $5, confirm_at = $6"
    " WHERE merchant_id = $1 AND referral_id = $2 AND state = $3",
    62,
    exact=True,
)

CONFIRM = Statement(
    "referrals.confirm",
    "UPDATE referrals SET confirmed_at = $4 WHERE merchant_id = $1 AND referral_id = $2"
    " AND state = $3 AND confirmed_at IS NULL",
    62,
    exact=True,
)

REWARD = Statement(
    "referrals.reward",
    "UPDATE referrals SET state = $4, ended_at = $5, advocate_transaction = $6,"
    " friend_transaction = $7 WHERE merchant_id = $1 AND referral_id = $2 AND state = $3"
    " AND confirmed_at IS NOT NULL",
    62,
    exact=True,
)

END = Statement(
    "referrals.end",
    "UPDATE referrals SET state = $4, reason = $5, ended_at = $6"
    " WHERE merchant_id = $1 AND referral_id = $2 AND state = $3"
    " AND (confirmed_at IS NULL OR state = 'rewarded')",
    63,
    exact=True,
)
"""Of one that is not confirmed: expired or rejected; of one that was rewarded, reversed."""

APPROVE = Statement(
    "referrals.approve",
    "UPDATE referrals SET review = $4 WHERE merchant_id = $1 AND referral_id = $2 AND review = $3",
    62,
    exact=True,
)

INVITED = Statement(
    "referrals.invited",
    "UPDATE referrals SET state = $4 WHERE merchant_id = $1 AND referral_id = $2 AND state = $3",
    62,
)
"""Not exact: the friend may have claimed before the provider's answer came."""

INSERT_STEP = Statement(
    "referrals.step",
    "INSERT INTO referral_steps (merchant_id, referral_id, state, at, by, reason)"
    " SELECT $1, $2, $3, $4, $5, $6 FROM referrals"
    " WHERE merchant_id = $1 AND referral_id = $2 AND state = $3 ON CONFLICT DO NOTHING",
    65,
)
"""After the state itself; of a state that the referral did not come to nothing is kept."""

BEGIN_STEP = Statement(
    "referrals.first_step",
    "INSERT INTO referral_steps (merchant_id, referral_id, state, at, by, reason)"
    " VALUES ($1, $2, $3, $4, $5, $6)",
    64,
)

COUNT = Statement(
    "referrals.count",
    "INSERT INTO referral_counts (merchant_id, day, what, who, used, most)"
    " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (merchant_id, day, what, who)"
    " DO UPDATE SET used = referral_counts.used + excluded.used, most = excluded.most",
    60,
)
"""Takes from a cap; the table refuses what is more than it."""

MOVE_ADVOCATE = Statement(
    "referrals.move_advocate",
    "UPDATE referrals SET advocate_id = $3 WHERE merchant_id = $1 AND advocate_id = $2"
    " AND (friend_id IS NULL OR friend_id <> $3)",
    61,
)

MOVE_FRIEND = Statement(
    "referrals.move_friend",
    "UPDATE referrals SET friend_id = $4 WHERE merchant_id = $1 AND referral_id = $2"
    " AND friend_id = $3",
    64,
    exact=True,
)

DELETE_LINK = Statement(
    "referrals.delete_link",
    "DELETE FROM referral_links WHERE merchant_id = $1 AND advocate_id = $2",
    61,
)

REFERRAL_COLUMNS = (
    "merchant_id, referral_id, code, advocate_id, channel, state, review, reason, friend_key,"
    " hidden, friend_id, program, program_version, signals, flags, created_at, expires_at,"
    " claimed_at, order_id, confirm_at, confirmed_at, ended_at, advocate_transaction,"
    " friend_transaction"
)

SELECT_PROGRAM = (
    "SELECT version, program, changed_by, changed_at FROM referral_programs"
    " WHERE merchant_id = $1 ORDER BY version DESC LIMIT 1"
)

SELECT_REFERRAL = (
    f"SELECT {REFERRAL_COLUMNS} FROM referrals WHERE merchant_id = $1 AND referral_id = $2"
)

SELECT_BY_CODE = f"SELECT {REFERRAL_COLUMNS} FROM referrals WHERE merchant_id = $1 AND code = $2"

SELECT_LINK = (
    "SELECT advocate_id, code, signals FROM referral_links"
    " WHERE merchant_id = $1 AND advocate_id = $2"
)

SELECT_LINK_BY_CODE = (
    "SELECT advocate_id, code, signals FROM referral_links WHERE merchant_id = $1 AND code = $2"
)

SELECT_LIVE_BY_KEY = (
    f"SELECT {REFERRAL_COLUMNS} FROM referrals WHERE merchant_id = $1 AND friend_key = $2"
    " AND state IN ('created', 'invited', 'claimed', 'qualified') AND NOT hidden"
)

SELECT_INVITED_BY = (
    f"SELECT {REFERRAL_COLUMNS} FROM referrals WHERE merchant_id = $1 AND advocate_id = $2"
    " AND friend_key = $3 AND expires_at > $4"
    " AND (hidden OR state IN ('created', 'invited', 'claimed', 'qualified'))"
    " ORDER BY created_at DESC, referral_id DESC LIMIT 1"
)
"""The one that an advocate has for a person, or seems to have."""

SELECT_OF_FRIEND = (
    f"SELECT {REFERRAL_COLUMNS} FROM referrals WHERE merchant_id = $1 AND friend_id = $2"
    " AND state IN ('claimed', 'qualified', 'rewarded', 'reversed')"
)

SELECT_BY_ORDER = (
    f"SELECT {REFERRAL_COLUMNS} FROM referrals WHERE merchant_id = $1 AND order_id = $2"
)

AMONG_MAX = 100
"""Values that `{ids}` stands for."""

SELECT_FRIENDS_AMONG = (
    "SELECT friend_id FROM referrals WHERE merchant_id = $1 AND friend_id IN ({ids})"
    " AND state IN ('claimed', 'qualified', 'rewarded', 'reversed')"
)

SELECT_LIVE_OF = (
    f"SELECT {REFERRAL_COLUMNS} FROM referrals WHERE merchant_id = $1 AND referral_id IN"
    " (SELECT f.referral_id FROM referrals f WHERE f.merchant_id = $1 AND f.friend_id = $2"
    " AND f.state IN ('claimed', 'qualified', 'rewarded', 'reversed')"
    " UNION SELECT a.referral_id FROM referrals a"
    " WHERE a.merchant_id = $1 AND a.advocate_id = $2)"
    " AND state IN ('created', 'invited', 'claimed', 'qualified') ORDER BY referral_id LIMIT $3"
)

SELECT_COUNT = (
    "SELECT used FROM referral_counts"
    " WHERE merchant_id = $1 AND day = $2 AND what = $3 AND who = $4"
)

SELECT_STEPS = (
    "SELECT state, at, by, reason FROM referral_steps"
    " WHERE merchant_id = $1 AND referral_id = $2 ORDER BY at, state LIMIT 10"
)

LIST = (
    f"SELECT {REFERRAL_COLUMNS} FROM referrals WHERE merchant_id = $1"
    " AND (created_at, referral_id) < ($2, $3)%s"
    " ORDER BY created_at DESC, referral_id DESC LIMIT $4"
)
"""With conditions on `$5` and so on in the place of the mark."""

SELECT_EXPIRED = AcrossMerchants(
    "SELECT merchant_id, referral_id, state FROM referrals"
    " WHERE state IN ('created', 'invited', 'claimed') AND expires_at <= $1"
    " ORDER BY expires_at LIMIT $2"
)

SELECT_OVERDUE = AcrossMerchants(
    "SELECT merchant_id, referral_id FROM referrals WHERE state = 'qualified'"
    " AND review <> 'pending' AND confirm_at <= $1 ORDER BY confirm_at LIMIT $2"
)

DELETE_OLD_COUNTS = AcrossMerchants(
    "DELETE FROM referral_counts WHERE (merchant_id, day, what, who) IN"
    " (SELECT merchant_id, day, what, who FROM referral_counts WHERE day < $1"
    " ORDER BY day LIMIT $2) RETURNING day"
)
