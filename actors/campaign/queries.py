"""The campaign domain's SQL."""

from runtime.storage import AcrossMerchants, Statement

INSERT_CAMPAIGN = Statement(
    "campaign.insert",
    "INSERT INTO campaigns (merchant_id, campaign_id, kind, state, version, revision, starts_at,"
    " ends_at, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    60,
)

INSERT_VERSION = Statement(
    "campaign.insert_version",
    "INSERT INTO campaign_versions (merchant_id, campaign_id, version, definition, created_by,"
    " created_at) VALUES ($1, $2, $3, $4, $5, $6)",
    61,
)

INSERT_MEMBER = Statement(
    "campaign.insert_member",
    "INSERT INTO campaign_members (merchant_id, campaign_id, customer_id) VALUES ($1, $2, $3)"
    " ON CONFLICT (merchant_id, campaign_id, customer_id) DO NOTHING",
    62,
)
"""Before the campaign moves on: what is frozen takes no more."""

FREEZE_STEP = Statement(
    "campaign.freeze_step",
    "UPDATE campaigns SET audience_step = $4, audience_done = $5, audience_after = $6"
    " WHERE merchant_id = $1 AND campaign_id = $2 AND campaigns.audience_step < $4"
    " AND campaigns.audience_step >= $3 AND state = 'scheduled'",
    63,
    exact=True,
)
"""The step after $3, once."""

PUT_CAMPAIGN = Statement(
    "campaign.put",
    "UPDATE campaigns SET state = $4, version = $5, revision = $3, starts_at = $6, ends_at = $7,"
    " started_at = $8, ended_at = $9, next_due_at = $10, held = $11, audience_state = $12,"
    " audience_members = $13, frozen_at = $14, source_run = $15, source_as_of = $16,"
    " updated_at = $17"
    " WHERE merchant_id = $1 AND campaign_id = $2 AND campaigns.revision < $3"
    " AND campaigns.revision > $3 - 2",
    64,
    exact=True,
)
"""The revision after the one that was read."""

INSERT_CHANGE = Statement(
    "campaign.insert_change",
    "INSERT INTO campaign_changes (merchant_id, campaign_id, revision, from_state, to_state,"
    " version, changed_by, changed_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    65,
)

CLOSE_RUN = Statement(
    "campaign.close_run",
    "UPDATE campaign_runs SET ends = CASE WHEN begins > $3 THEN begins ELSE $3 END"
    " WHERE merchant_id = $1 AND campaign_id = $2 AND campaign_runs.ends IS NULL",
    66,
)
"""Where the clock stepped back behind its beginning, it never ran."""

OPEN_RUN = Statement(
    "campaign.open_run",
    "INSERT INTO campaign_runs (merchant_id, campaign_id, number, version, begins)"
    " VALUES ($1, $2, $3, $4, $5)",
    67,
)

VOID_RUNS = Statement(
    "campaign.void_runs",
    "UPDATE campaign_runs SET void = true WHERE merchant_id = $1 AND campaign_id = $2",
    68,
)

TURN_PAGE = Statement(
    "campaign.turn_page",
    "INSERT INTO campaign_rulebooks (merchant_id, version) VALUES ($1, $2)"
    " ON CONFLICT (merchant_id) DO UPDATE SET version = campaign_rulebooks.version + 1",
    69,
)
"""The rules have changed: whoever knows an older version reads them again."""

COLUMNS = (
    "c.campaign_id, c.state, c.version, c.revision, c.starts_at, c.ends_at, c.started_at,"
    " c.ended_at, c.held, c.audience_state, c.audience_members, c.frozen_at, c.source_run,"
    " c.source_as_of, c.created_at, c.updated_at, v.definition"
)

FROM_CAMPAIGNS = (
    "FROM campaigns c JOIN campaign_versions v"
    " ON v.merchant_id = c.merchant_id AND v.campaign_id = c.campaign_id AND v.version = c.version"
)

SELECT_CAMPAIGN = (
    f"SELECT {COLUMNS} {FROM_CAMPAIGNS} WHERE c.merchant_id = $1 AND c.campaign_id = $2"
)

LIST_CAMPAIGNS = (
    f"SELECT {COLUMNS} {FROM_CAMPAIGNS} WHERE c.merchant_id = $1"
    " AND (c.created_at, c.campaign_id) < ($2, $3)"
    " AND (CAST($5 AS TEXT) IS NULL OR c.state = $5)"
    " AND (CAST($6 AS TEXT) IS NULL OR c.kind = $6)"
    " ORDER BY c.created_at DESC, c.campaign_id DESC LIMIT $4"
)

SELECT_DUE = AcrossMerchants(
    "SELECT merchant_id, campaign_id FROM campaigns WHERE next_due_at <= $1"
    " ORDER BY next_due_at, merchant_id, campaign_id LIMIT $2"
)

FIRST_DUE = AcrossMerchants(
    "SELECT next_due_at FROM campaigns WHERE next_due_at IS NOT NULL ORDER BY next_due_at LIMIT 1"
)

NEXT_DUE = AcrossMerchants(
    "SELECT next_due_at FROM campaigns WHERE next_due_at > $1 ORDER BY next_due_at LIMIT 1"
)

COUNT_RUNNING = (
    "SELECT count(*) FROM campaigns WHERE merchant_id = $1 AND state = 'running' AND kind IN"
    " ('multiplier', 'fixed_bonus', 'goal')"
)

VERSION_COLUMNS = "version, definition, created_by, created_at"

SELECT_VERSION = (
    f"SELECT {VERSION_COLUMNS} FROM campaign_versions"
    " WHERE merchant_id = $1 AND campaign_id = $2 AND version = $3"
)

LIST_VERSIONS = (
    f"SELECT {VERSION_COLUMNS} FROM campaign_versions"
    " WHERE merchant_id = $1 AND campaign_id = $2 AND version < $3"
    " ORDER BY version DESC LIMIT $4"
)

SELECT_PLACE = (
    "SELECT state, audience_state, audience_step, audience_done, audience_after FROM campaigns"
    " WHERE merchant_id = $1 AND campaign_id = $2"
)

COUNT_MEMBERS = "SELECT count(*) FROM campaign_members WHERE merchant_id = $1 AND campaign_id = $2"

LIST_MEMBERS = (
    "SELECT customer_id FROM campaign_members"
    " WHERE merchant_id = $1 AND campaign_id = $2 AND customer_id > $3"
    " ORDER BY customer_id LIMIT $4"
)

SELECT_RULEBOOK = "SELECT version FROM campaign_rulebooks WHERE merchant_id = $1"

RULES_OF_RUNS = (
    "r.campaign_id, r.version, r.begins, r.ends, c.ends_at, v.definition"
    " FROM campaign_runs r"
    " JOIN campaigns c ON c.merchant_id = r.merchant_id AND c.campaign_id = r.campaign_id"
    " JOIN campaign_versions v ON v.merchant_id = r.merchant_id"
    " AND v.campaign_id = r.campaign_id AND v.version = r.version"
)

SELECT_OPEN_RULES = (
    f"SELECT {RULES_OF_RUNS} WHERE r.merchant_id = $1 AND r.ends IS NULL AND NOT r.void"
    " ORDER BY r.begins DESC, r.campaign_id LIMIT $2"
)

SELECT_ENDED_RULES = (
    f"SELECT {RULES_OF_RUNS} WHERE r.merchant_id = $1 AND r.ends > $3 AND NOT r.void"
    " ORDER BY r.ends DESC, r.campaign_id LIMIT $2"
)

SELECT_MEMBERSHIPS = (
    "SELECT customer_id FROM campaign_members"
    " WHERE merchant_id = $1 AND campaign_id = $2 AND customer_id IN ({ids})"
)

CUSTOMERS_AT_ONCE = 128


def with_customers(
    merchant_id: str, campaign_id: str, customers: list[str]
) -> tuple[str, list[str]]:
    """Which of 1 to `CUSTOMERS_AT_ONCE` customers are members. The last one is repeated, so that
    there are few different statements."""
    size = 8
    while size < len(customers):
        size *= 4
    places = ", ".join(f"${number}" for number in range(3, size + 3))
    padded = customers + [customers[-1]] * (size - len(customers))
    return SELECT_MEMBERSHIPS.replace("{ids}", places), [merchant_id, campaign_id, *padded]
