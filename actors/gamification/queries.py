"""The SQL of definitions, facts, badges and skipped rules."""

from runtime.storage import AcrossMerchants, Statement

INSERT_DEFINITION = Statement(
    "gamification.insert_definition",
    "INSERT INTO gamification_definitions (merchant_id, kind, definition_id, version, terms,"
    " changed_at) VALUES ($1, $2, $3, $4, $5, $6)",
    40,
)

PUT_FACT = Statement(
    "gamification.put_fact",
    "INSERT INTO gamification_facts (merchant_id, fact_id, customer_id, kind, occurred_at, amount,"
    " taken, void, currency, items) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
    " ON CONFLICT (merchant_id, fact_id) DO UPDATE SET"
    " taken = CASE WHEN excluded.taken > gamification_facts.taken THEN excluded.taken"
    " ELSE gamification_facts.taken END, void = gamification_facts.void OR excluded.void",
    60,
)

INSERT_AWARD = Statement(
    "gamification.insert_award",
    "INSERT INTO gamification_awards (merchant_id, customer_id, badge_id, period, number, state,"
    " achievement_id, achievement_version, value, earned_at, revoked_at)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    61,
)

CHANGE_AWARD = Statement(
    "gamification.change_award",
    "UPDATE gamification_awards SET number = $5, state = $6, achievement_id = $7,"
    " achievement_version = $8, value = $9, earned_at = $10, revoked_at = $11"
    " WHERE merchant_id = $1 AND customer_id = $2 AND badge_id = $3 AND period = $4"
    " AND gamification_awards.number >= $5 - 1 AND gamification_awards.number <= $5 - 1",
    62,
    exact=True,
)

PUT_SKIP = Statement(
    "gamification.put_skip",
    "INSERT INTO gamification_skips (merchant_id, customer_id, achievement_id, reason, skipped_at)"
    " VALUES ($1, $2, $3, $4, $5) ON CONFLICT (merchant_id, customer_id, achievement_id)"
    " DO UPDATE SET reason = excluded.reason, skipped_at = excluded.skipped_at",
    63,
)

DELETE_SKIP = Statement(
    "gamification.delete_skip",
    "DELETE FROM gamification_skips"
    " WHERE merchant_id = $1 AND customer_id = $2 AND achievement_id = $3",
    64,
)

PUT_SCORE = Statement(
    "gamification.put_score",
    "INSERT INTO gamification_scores (merchant_id, board_id, cycle, customer_id, score,"
    " reached_at) VALUES ($1, $2, $3, $4, $5, $6)"
    " ON CONFLICT (merchant_id, board_id, cycle, customer_id)"
    " DO UPDATE SET score = excluded.score, reached_at = excluded.reached_at",
    65,
)

MOVE_FACTS = Statement(
    "gamification.move_facts",
    "UPDATE gamification_facts SET customer_id = $3 WHERE merchant_id = $1 AND customer_id = $2",
    66,
)

MOVE_AWARDS = Statement(
    "gamification.move_awards",
    "UPDATE gamification_awards SET customer_id = $3 WHERE merchant_id = $1 AND customer_id = $2"
    " AND NOT EXISTS (SELECT 1 FROM gamification_awards other"
    " WHERE other.merchant_id = $1 AND other.customer_id = $3"
    " AND other.badge_id = gamification_awards.badge_id"
    " AND other.period = gamification_awards.period)",
    67,
)

FORGET = tuple(
    Statement(
        f"gamification.forget_{name}",
        f"DELETE FROM gamification_{name} WHERE merchant_id = $1 AND customer_id = $2",
        70,
    )
    for name in ("facts", "awards", "skips", "scores", "standings", "unlisted")
)
"""Everything that is kept of a customer."""

COUNT_DEFINITIONS = (
    "SELECT count(DISTINCT definition_id) FROM gamification_definitions"
    " WHERE merchant_id = $1 AND kind = $2"
)

HAS_DEFINITIONS = "SELECT 1 FROM gamification_definitions WHERE merchant_id = $1 LIMIT 1"

SELECT_DEFINITION = (
    "SELECT definition_id, version, terms, changed_at FROM gamification_definitions"
    " WHERE merchant_id = $1 AND kind = $2 AND definition_id = $3 ORDER BY version DESC LIMIT 1"
)

_IN_FORCE = (
    " d.version = (SELECT max(l.version) FROM gamification_definitions l"
    " WHERE l.merchant_id = d.merchant_id AND l.kind = d.kind"
    " AND l.definition_id = d.definition_id)"
)

LIST_DEFINITIONS = (
    "SELECT d.definition_id, d.version, d.terms, d.changed_at FROM gamification_definitions d"
    f" WHERE d.merchant_id = $1 AND d.kind = $2 AND d.definition_id > $3 AND{_IN_FORCE}"
    " ORDER BY d.definition_id LIMIT $4"
)

SELECT_ALL_DEFINITIONS = (
    "SELECT d.kind, d.definition_id, d.version, d.terms, d.changed_at"
    f" FROM gamification_definitions d WHERE d.merchant_id = $1 AND{_IN_FORCE}"
    " ORDER BY d.kind, d.definition_id"
)

SELECT_FACTS = (
    "SELECT fact_id, kind, occurred_at, amount, taken, void, currency, items"
    " FROM gamification_facts WHERE merchant_id = $1 AND customer_id = $2"
    " ORDER BY occurred_at DESC, fact_id DESC LIMIT $3"
)

SELECT_PLAYERS = (
    "SELECT DISTINCT customer_id FROM gamification_facts WHERE merchant_id = $1"
    " AND customer_id > $2 ORDER BY customer_id LIMIT $3"
)

_AWARD = (
    "badge_id, period, number, state, achievement_id, achievement_version, value, earned_at,"
    " revoked_at"
)

SELECT_AWARDS = (
    f"SELECT {_AWARD} FROM gamification_awards WHERE merchant_id = $1 AND customer_id = $2"
    " ORDER BY earned_at DESC, badge_id DESC, period DESC LIMIT $3"
)

LIST_AWARDS = (
    f"SELECT {_AWARD} FROM gamification_awards WHERE merchant_id = $1 AND customer_id = $2"
    " AND (earned_at, badge_id, period) < ($3, $4, $5)"
    " ORDER BY earned_at DESC, badge_id DESC, period DESC LIMIT $6"
)

SELECT_SKIPS = (
    "SELECT achievement_id, reason FROM gamification_skips"
    " WHERE merchant_id = $1 AND customer_id = $2"
)

SELECT_OLD_SKIPS = AcrossMerchants(
    "SELECT merchant_id, customer_id, achievement_id FROM gamification_skips"
    " WHERE skipped_at < $1 ORDER BY skipped_at, merchant_id, customer_id, achievement_id LIMIT $2"
)
