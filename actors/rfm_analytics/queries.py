"""The SQL of runs, scores and segments."""

from runtime.storage import AcrossMerchants, Statement

LIVE = "('queued', 'running')"

# Configurations and schedules

INSERT_CONFIG = Statement(
    "rfm.insert_config",
    "INSERT INTO rfm_configs (merchant_id, version, terms, changed_at) VALUES ($1, $2, $3, $4)",
    50,
)

SELECT_CONFIG = (
    "SELECT version, terms FROM rfm_configs WHERE merchant_id = $1 ORDER BY version DESC LIMIT 1"
)

ENSURE_SCHEDULE = Statement(
    "rfm.ensure_schedule",
    "INSERT INTO rfm_schedules (merchant_id, next_at) VALUES ($1, $2)"
    " ON CONFLICT (merchant_id) DO NOTHING",
    51,
)

PUT_SCHEDULE = Statement(
    "rfm.put_schedule",
    "INSERT INTO rfm_schedules (merchant_id, next_at) VALUES ($1, $2)"
    " ON CONFLICT (merchant_id) DO UPDATE SET next_at = excluded.next_at",
    51,
)

MOVE_SCHEDULE = Statement(
    "rfm.move_schedule",
    "UPDATE rfm_schedules SET next_at = $3 WHERE merchant_id = $1 AND next_at = $2",
    51,
    exact=True,
)

HASTEN_SCHEDULE = Statement(
    "rfm.hasten_schedule",
    "UPDATE rfm_schedules SET next_at = $2 WHERE merchant_id = $1 AND next_at > $2",
    52,
)

DATE_SCHEDULE = Statement(
    "rfm.date_schedule", "UPDATE rfm_schedules SET as_of = $2 WHERE merchant_id = $1", 52
)

SELECT_DUE = AcrossMerchants(
    "SELECT merchant_id, next_at FROM rfm_schedules WHERE next_at <= $1"
    " ORDER BY next_at, merchant_id LIMIT $2"
)

SELECT_NEXT_DUE = AcrossMerchants(
    "SELECT next_at FROM rfm_schedules WHERE next_at IS NOT NULL ORDER BY next_at LIMIT 1"
)

SELECT_OLDEST = AcrossMerchants(
    "SELECT as_of FROM rfm_schedules WHERE next_at IS NOT NULL AND as_of IS NOT NULL"
    " ORDER BY as_of LIMIT 1"
)

# Runs

RUN_COLUMNS = (
    "run_id, number, state, started_by, as_of, currency, config_version, terms, job_id, created_at,"
    " begun_at, published_at, ended_at, reason, attempts, step, cursor, compared_with, cuts,"
    " customers, scored, orders, revenue_minor, foreign_orders, told_to, kept"
)

INSERT_RUN = Statement(
    "rfm.insert_run",
    "INSERT INTO rfm_runs (merchant_id, run_id, number, state, started_by, as_of, currency,"
    " config_version, terms, job_id, created_at, ended_at, reason, compared_with, kept)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
    54,
)

SELECT_RUN = f"SELECT {RUN_COLUMNS} FROM rfm_runs WHERE merchant_id = $1 AND run_id = $2"

SELECT_LIVE_RUN = f"SELECT {RUN_COLUMNS} FROM rfm_runs WHERE merchant_id = $1 AND state IN {LIVE}"

SELECT_NUMBERED_RUN = f"SELECT {RUN_COLUMNS} FROM rfm_runs WHERE merchant_id = $1 AND number = $2"

SELECT_NEWEST_RUN = (
    f"SELECT {RUN_COLUMNS} FROM rfm_runs WHERE merchant_id = $1 AND published_at IS NOT NULL"
    " ORDER BY number DESC LIMIT 1"
)

SELECT_LAST_NUMBER = (
    "SELECT number FROM rfm_runs WHERE merchant_id = $1 ORDER BY number DESC LIMIT 1"
)

LIST_RUNS = (
    f"SELECT {RUN_COLUMNS} FROM rfm_runs WHERE merchant_id = $1 AND number < $2"
    " ORDER BY number DESC LIMIT $3"
)

BEGIN_ATTEMPT = Statement(
    "rfm.begin_attempt",
    "UPDATE rfm_runs SET state = 'running', begun_at = coalesce(begun_at, $4), attempts = $5"
    " WHERE merchant_id = $1 AND run_id = $2 AND step = $3 AND ended_at IS NULL",
    55,
    exact=True,
)

COLLECTED = Statement(
    "rfm.collected",
    "UPDATE rfm_runs SET step = step + 1, cursor = $4, customers = customers + $5,"
    " scored = scored + $6, orders = orders + $7, revenue_minor = revenue_minor + $8,"
    " foreign_orders = foreign_orders + $9"
    " WHERE merchant_id = $1 AND run_id = $2 AND step = $3 AND ended_at IS NULL",
    55,
    exact=True,
)

SET_CUTS = Statement(
    "rfm.set_cuts",
    "UPDATE rfm_runs SET step = step + 1, cursor = $4, cuts = $5"
    " WHERE merchant_id = $1 AND run_id = $2 AND step = $3 AND ended_at IS NULL",
    55,
    exact=True,
)

SCORED = Statement(
    "rfm.scored",
    "UPDATE rfm_runs SET step = step + 1, cursor = $4"
    " WHERE merchant_id = $1 AND run_id = $2 AND step = $3 AND ended_at IS NULL",
    55,
    exact=True,
)

PUBLISH = Statement(
    "rfm.publish",
    "UPDATE rfm_runs SET step = step + 1, state = 'published', published_at = $4, ended_at = $4"
    " WHERE merchant_id = $1 AND run_id = $2 AND step = $3 AND ended_at IS NULL",
    55,
    exact=True,
)

END_RUN = Statement(
    "rfm.end_run",
    "UPDATE rfm_runs SET state = $3, ended_at = $4, reason = $5"
    " WHERE merchant_id = $1 AND run_id = $2 AND ended_at IS NULL",
    53,
    exact=True,
)
"""Before a run is inserted, as there is one at a time."""

TOLD = Statement(
    "rfm.told",
    "UPDATE rfm_runs SET told_to = $4 WHERE merchant_id = $1 AND run_id = $2 AND told_to = $3",
    55,
    exact=True,
)

# Scores

INSERT_SCORES = Statement(
    "rfm.insert_scores",
    "INSERT INTO rfm_scores (merchant_id, run, customer_id, orders, last_ordered_at, recency_days,"
    " monetary_minor, segment) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    56,
)

OF_RUN = "FROM rfm_scores WHERE merchant_id = $1 AND run = $2 AND orders > 0"


def ranked(value: str) -> str:
    """The values at up to four ranks of the ascending ones of a run."""
    return (
        f"SELECT place, value FROM (SELECT {value} AS value,"
        f" row_number() OVER (ORDER BY {value}) AS place"
        f" {OF_RUN}) AS sorted WHERE place IN ($3, $4, $5, $6) ORDER BY place"
    )


RECENCY, FREQUENCY, MONETARY = "-recency_days", "orders", "monetary_minor"

INSERT_CELL = Statement(
    "rfm.insert_cell",
    "INSERT INTO rfm_cells (merchant_id, run, scoring, recency_score, frequency_score,"
    " monetary_score, segment, rule, customers, orders, revenue_minor)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    57,
)

FILL_CELL = Statement(
    "rfm.fill_cell",
    "UPDATE rfm_cells SET customers = $7, orders = $8, revenue_minor = $9 WHERE merchant_id = $1"
    " AND run = $2 AND scoring = $3 AND recency_score = $4 AND frequency_score = $5"
    " AND monetary_score = $6",
    57,
    exact=True,
)


def score_of(value: str, first: int) -> str:
    """The score of a value, whose four cut points are the parameters from `first`."""
    points = range(first, first + 4)
    return "1 + " + " + ".join(f"CASE WHEN {value} > ${p} THEN 1 ELSE 0 END" for p in points)


SCORE = Statement(
    "rfm.score",
    "UPDATE rfm_scores SET (recency_score, frequency_score, monetary_score, segment, rule) ="
    " (SELECT c.recency_score, c.frequency_score, c.monetary_score, c.segment, c.rule"
    " FROM rfm_cells AS c WHERE c.merchant_id = $1 AND c.run = $2 AND c.scoring = $5"
    f" AND c.recency_score = {score_of('-rfm_scores.recency_days', 6)}"
    f" AND c.frequency_score = {score_of('rfm_scores.orders', 10)}"
    f" AND c.monetary_score = {score_of('rfm_scores.monetary_minor', 14)})"
    " WHERE merchant_id = $1 AND run = $2 AND customer_id > $3 AND customer_id <= $4"
    " AND orders > 0",
    58,
)
"""A slice of a run, whose cells are there already. Here and below, subqueries rather than joins:
each looks up one row by its key, also where PostgreSQL has no statistics of new tables yet."""

BEFORE = (
    "FROM rfm_scores AS o WHERE o.merchant_id = $1 AND o.run = $5 AND o.customer_id = n.customer_id"
)

TELL_HISTORY = Statement(
    "rfm.tell_history",
    "INSERT INTO rfm_history (merchant_id, customer_id, run, previous_segment, segment, rule,"
    " recency_score, frequency_score, monetary_score)"
    f" SELECT n.merchant_id, n.customer_id, n.run, (SELECT o.segment {BEFORE}), n.segment, n.rule,"
    " n.recency_score, n.frequency_score, n.monetary_score FROM rfm_scores AS n"
    " WHERE n.merchant_id = $1 AND n.run = $2 AND n.customer_id > $3 AND n.customer_id <= $4"
    " AND coalesce((SELECT CASE WHEN o.segment = n.segment"
    " AND coalesce(o.rule, 0) = coalesce(n.rule, 0)"
    " AND coalesce(o.recency_score, 0) = coalesce(n.recency_score, 0)"
    " AND coalesce(o.frequency_score, 0) = coalesce(n.frequency_score, 0)"
    " AND coalesce(o.monetary_score, 0) = coalesce(n.monetary_score, 0)"
    f" THEN 1 ELSE 0 END {BEFORE}), 0) = 0",
    59,
)
"""Who of a slice has other scores, or another segment, than at the run before."""

END_OF_SLICE = (
    "SELECT customer_id FROM (SELECT customer_id FROM rfm_scores WHERE merchant_id = $1"
    " AND run = $2 AND customer_id > $3 ORDER BY customer_id LIMIT $4) AS slice"
    " ORDER BY customer_id DESC LIMIT 1"
)

COUNT_CELLS = (
    f"SELECT {score_of('-recency_days', 3)} AS r, {score_of('orders', 7)} AS f,"
    f" {score_of('monetary_minor', 11)} AS m, count(*) AS customers,"
    " CAST(sum(orders) AS BIGINT) AS orders, CAST(sum(monetary_minor) AS BIGINT) AS revenue"
    f" {OF_RUN} GROUP BY 1, 2, 3"
)

# Reading

SELECT_CELLS = (
    "SELECT recency_score, frequency_score, monetary_score, customers, orders, revenue_minor"
    " FROM rfm_cells WHERE merchant_id = $1 AND run = $2 AND scoring = $3 AND customers > 0"
)

SCORE_COLUMNS = (
    "customer_id, segment, rule, recency_score, frequency_score, monetary_score, recency_days,"
    " last_ordered_at, orders, monetary_minor"
)

LIST_OF_SEGMENT = (
    f"SELECT {SCORE_COLUMNS} FROM rfm_scores WHERE merchant_id = $1 AND run = $2 AND segment = $3"
    " AND customer_id > $4 ORDER BY customer_id LIMIT $5"
)

LIST_IDS_OF_SEGMENT = (
    "SELECT customer_id FROM rfm_scores WHERE merchant_id = $1 AND run = $2 AND segment = $3"
    " AND customer_id > $4 ORDER BY customer_id LIMIT $5"
)

SELECT_SCORES = (
    f"SELECT {SCORE_COLUMNS} FROM rfm_scores WHERE merchant_id = $1 AND run = $2"
    " AND customer_id = $3"
)

LIST_HISTORY = (
    "SELECT r.run_id, r.as_of, h.segment, h.previous_segment, h.rule, h.recency_score,"
    " h.frequency_score, h.monetary_score FROM rfm_history AS h JOIN rfm_runs AS r"
    " ON r.merchant_id = h.merchant_id AND r.number = h.run"
    " WHERE h.merchant_id = $1 AND h.customer_id = $2 AND h.run <= $3"
    " AND r.published_at IS NOT NULL ORDER BY h.run DESC LIMIT $4"
)

# Telling, and forgetting

LIST_MOVED = (
    "SELECT customer_id, previous_segment, segment FROM rfm_history WHERE merchant_id = $1"
    " AND run = $2 AND customer_id > $3 AND (previous_segment IS NULL"
    " OR previous_segment <> segment) ORDER BY customer_id LIMIT $4"
)

SELECT_WITH_ROWS = (
    "SELECT number, state, published_at, ended_at FROM rfm_runs WHERE merchant_id = $1"
    f" AND kept <> 'gone' AND state NOT IN {LIVE} ORDER BY number DESC"
)

SELECT_OLD_RUNS = (
    "SELECT number FROM rfm_runs WHERE merchant_id = $1 AND ended_at < $2 AND kept = 'gone'"
    " ORDER BY number LIMIT $3"
)

DELETE_SCORES = (
    "DELETE FROM rfm_scores WHERE merchant_id = $1 AND run = $2 AND customer_id IN"
    " (SELECT customer_id FROM rfm_scores WHERE merchant_id = $1 AND run = $2 LIMIT $3)"
    " RETURNING customer_id"
)

DELETE_HISTORY = (
    "DELETE FROM rfm_history WHERE merchant_id = $1 AND run = $2 AND customer_id IN"
    " (SELECT customer_id FROM rfm_history WHERE merchant_id = $1 AND run = $2 LIMIT $3)"
    " RETURNING customer_id"
)

DELETE_CELLS = Statement(
    "rfm.delete_cells", "DELETE FROM rfm_cells WHERE merchant_id = $1 AND run = $2", 57
)

LET_GO = Statement(
    "rfm.let_go", "UPDATE rfm_runs SET kept = $3 WHERE merchant_id = $1 AND number = $2", 58
)

DELETE_RUN = Statement(
    "rfm.delete_run", "DELETE FROM rfm_runs WHERE merchant_id = $1 AND number = $2", 58
)
