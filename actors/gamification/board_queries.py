"""The SQL of leaderboards: scores, ranks, and cycles that are closed."""

from runtime.storage import AcrossMerchants, Statement

_LISTED = (
    " s.score > 0 AND NOT EXISTS (SELECT 1 FROM gamification_unlisted u"
    " WHERE u.merchant_id = s.merchant_id AND u.customer_id = s.customer_id)"
)

_CYCLE = " FROM gamification_scores s WHERE s.merchant_id = $1 AND s.board_id = $2 AND s.cycle = $3"

COUNT_PLAYERS = f"SELECT count(*){_CYCLE} AND{_LISTED}"

LIST_SCORES = (
    f"SELECT s.customer_id, s.score, s.reached_at{_CYCLE} AND{_LISTED}"
    " AND (s.score < $4 OR (s.score = $4 AND (s.reached_at > $5"
    " OR (s.reached_at = $5 AND s.customer_id > $6))))"
    " ORDER BY s.score DESC, s.reached_at, s.customer_id LIMIT $7"
)
"""The best first, behind the score, time and customer that came last."""

SELECT_SCORE = (
    f"SELECT s.customer_id, s.score, s.reached_at{_CYCLE} AND s.customer_id = $4 AND{_LISTED}"
)

COUNT_BETTER = (
    f"SELECT count(*){_CYCLE} AND{_LISTED}"
    " AND (s.score > $4 OR (s.score = $4 AND (s.reached_at < $5"
    " OR (s.reached_at = $5 AND s.customer_id < $6))))"
)

_SHOWN = (
    " FROM gamification_standings s WHERE s.merchant_id = $1 AND s.board_id = $2 AND s.cycle = $3"
    " AND NOT EXISTS (SELECT 1 FROM gamification_unlisted u"
    " WHERE u.merchant_id = s.merchant_id AND u.customer_id = s.customer_id)"
)

LIST_STANDINGS = (
    f"SELECT s.rank, s.customer_id, s.score, s.reached_at{_SHOWN} AND s.rank > $4"
    " ORDER BY s.rank LIMIT $5"
)
"""Ranks are as they were at the end: whoever left since is not shown, and nobody moves up."""

SELECT_STANDING = (
    f"SELECT s.rank, s.customer_id, s.score, s.reached_at{_SHOWN} AND s.customer_id = $4"
)

SELECT_CLOSED = (
    "SELECT closed_at, players FROM gamification_closed_cycles"
    " WHERE merchant_id = $1 AND board_id = $2 AND cycle = $3"
)

SELECT_UNLISTED = "SELECT 1 FROM gamification_unlisted WHERE merchant_id = $1 AND customer_id = $2"

INSERT_UNLISTED = Statement(
    "gamification.insert_unlisted",
    "INSERT INTO gamification_unlisted (merchant_id, customer_id, since) VALUES ($1, $2, $3)"
    " ON CONFLICT (merchant_id, customer_id) DO NOTHING",
    68,
)

DELETE_UNLISTED = Statement(
    "gamification.delete_unlisted",
    "DELETE FROM gamification_unlisted WHERE merchant_id = $1 AND customer_id = $2",
    69,
)

SELECT_CYCLES = (
    "SELECT DISTINCT cycle FROM gamification_scores WHERE merchant_id = $1 AND board_id = $2"
    " ORDER BY cycle LIMIT $3"
)

DELETE_STANDINGS = Statement(
    "gamification.delete_standings",
    "DELETE FROM gamification_standings WHERE merchant_id = $1 AND board_id = $2 AND cycle = $3",
    66,
)

INSERT_STANDING = Statement(
    "gamification.insert_standing",
    "INSERT INTO gamification_standings (merchant_id, board_id, cycle, rank, customer_id, score,"
    " reached_at) VALUES ($1, $2, $3, $4, $5, $6, $7)",
    67,
)

INSERT_CLOSED = Statement(
    "gamification.insert_closed",
    "INSERT INTO gamification_closed_cycles (merchant_id, board_id, cycle, closed_at, players)"
    " VALUES ($1, $2, $3, $4, $5)",
    68,
)

DELETE_SCORES = (
    "DELETE FROM gamification_scores WHERE merchant_id = $1 AND board_id = $2 AND cycle = $3"
    " AND customer_id IN (SELECT s.customer_id FROM gamification_scores s"
    " WHERE s.merchant_id = $1 AND s.board_id = $2 AND s.cycle = $3"
    " ORDER BY s.customer_id LIMIT $4) RETURNING customer_id"
)
"""Those of a closed cycle, some at a time: its standings have taken their place."""

SELECT_BOARDS = AcrossMerchants(
    "SELECT d.merchant_id, d.definition_id, d.version, d.terms, d.changed_at"
    " FROM gamification_definitions d WHERE d.kind = 'board'"
    " AND (d.merchant_id > $1 OR (d.merchant_id = $1 AND d.definition_id > $2))"
    " AND d.version = (SELECT max(l.version) FROM gamification_definitions l"
    " WHERE l.merchant_id = d.merchant_id AND l.kind = d.kind"
    " AND l.definition_id = d.definition_id) ORDER BY d.merchant_id, d.definition_id LIMIT $3"
)
"""The leaderboards of all merchants."""
