"""The SQL of the job queue."""

from functools import cache

from runtime.jobs.messages import RUNNER
from runtime.storage import AcrossMerchants, Dialect, Statement

LIVE = "finished_at IS NULL"
RUNNING = "leased_until IS NOT NULL"
WAITING = "finished_at IS NULL AND leased_until IS NULL"
"""What the schema keeps true of `state`. The partial indexes are made for these very words, and
a statement without literals can be written for many rows at once."""

COLUMNS = (
    "merchant_id, job_id, queue, name, key, unique_key, priority, payload, trace_id, state,"
    " attempt, due_at, run_at, created_at, lease, worker, leased_until, finished_at, errors,"
    " history"
)

INSERT_JOB = Statement(
    "jobs.insert",
    "INSERT INTO jobs (merchant_id, job_id, queue, name, key, unique_key, priority, payload,"
    " trace_id, state, attempt, due_at, run_at, created_at, lease, errors, history)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, $11, $11, $12, 0, $13, $14)"
    f" ON CONFLICT (merchant_id, queue, unique_key) WHERE {LIVE}"
    " AND unique_key IS NOT NULL DO NOTHING",
    75,
    concerns=RUNNER,
)
"""Behind the ends of other jobs, whose unique keys are free then."""

_END = (
    "UPDATE jobs SET state = $4, attempt = $5, run_at = $6, finished_at = $7, errors = $8,"
    " leased_until = NULL"
    f" WHERE merchant_id = $1 AND job_id = $2 AND lease = $3 AND {RUNNING}"
)

INSERT_DEAD = Statement(
    "jobs.insert_dead",
    "INSERT INTO jobs (merchant_id, job_id, queue, name, key, unique_key, priority, payload,"
    " trace_id, state, attempt, due_at, run_at, created_at, finished_at, lease, errors, history)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12, $12, $12, 0, $13, $14)",
    75,
)
"""A job that is born dead: work that was tried elsewhere, and failed for good."""

END_ATTEMPT = Statement("jobs.end_attempt", _END, 71, exact=True, concerns=RUNNER)
"""By the worker that has the lease."""

RESCUE = Statement("jobs.rescue", f"{_END} AND leased_until <= $9", 72, exact=True, concerns=RUNNER)
"""By another worker, after the lease ran out."""

PUT_BACK = Statement(
    "jobs.put_back",
    "UPDATE jobs SET state = 'available', attempt = 0, due_at = $3, run_at = $3,"
    " finished_at = NULL, history = $4, put_back_at = $3"
    " WHERE merchant_id = $1 AND job_id = $2 AND state = 'dead'",
    73,
    exact=True,
    concerns=RUNNER,
)

CANCEL = Statement(
    "jobs.cancel",
    "UPDATE jobs SET state = 'cancelled', finished_at = $3, leased_until = NULL, history = $4"
    f" WHERE merchant_id = $1 AND job_id = $2 AND {LIVE}",
    74,
    exact=True,
    concerns=RUNNER,
)

INSERT_RUN = Statement(
    "jobs.insert_run",
    "INSERT INTO job_schedule_runs (merchant_id, schedule, slot, scheduled_for, job_id,"
    " created_at) VALUES ($1, $2, $3, $4, $5, $6)",
    75,
)

SELECT_JOB = f"SELECT {COLUMNS} FROM jobs WHERE merchant_id = $1 AND job_id = $2"

SELECT_UNIQUE = (
    "SELECT job_id FROM jobs WHERE merchant_id = $1 AND queue = $2 AND unique_key = $3"
    f" AND {LIVE} AND unique_key IS NOT NULL"
)

SELECT_LETTER = AcrossMerchants(
    f"SELECT {COLUMNS} FROM jobs WHERE state = 'dead' AND job_id = $1"
    f" UNION ALL SELECT {COLUMNS} FROM jobs"
    " WHERE put_back_at IS NOT NULL AND job_id = $1 AND state <> 'dead'"
)

LIST_DEAD = AcrossMerchants(
    f"SELECT {COLUMNS} FROM jobs WHERE state = 'dead' AND (finished_at, job_id) < ($1, $2)"
    " ORDER BY finished_at DESC, job_id DESC LIMIT $3"
)

SELECT_EXPIRED = AcrossMerchants(
    f"SELECT {COLUMNS} FROM jobs WHERE queue = $1 AND {RUNNING} AND leased_until <= $2"
    " ORDER BY leased_until LIMIT $3"
)

QUEUES_WITH_EXPIRED = AcrossMerchants(
    f"SELECT DISTINCT queue FROM jobs WHERE {RUNNING} AND leased_until <= $1"
)
"""An index holds what runs, which is little, and nothing else."""

COUNT_UNFINISHED = AcrossMerchants(
    "SELECT queue, state, count(*) FROM jobs"
    " WHERE state IN ('available', 'running', 'retryable', 'dead') GROUP BY queue, state"
)

SELECT_OLDEST = AcrossMerchants(
    f"SELECT due_at FROM jobs WHERE queue = $1 AND {WAITING} ORDER BY due_at LIMIT 1"
)

SELECT_NEXT = AcrossMerchants(
    f"SELECT (SELECT leased_until FROM jobs WHERE {RUNNING} ORDER BY leased_until LIMIT 1)"
    f" AS leased_until, (SELECT due_at FROM jobs WHERE {WAITING} ORDER BY due_at LIMIT 1) AS due_at"
)
"""When the first lease of all that run ends, and when the job comes or came due that is or was the
first of all that wait."""

SELECT_LAST_SLOT = (
    "SELECT slot FROM job_schedule_runs WHERE merchant_id = $1 AND schedule = $2"
    " ORDER BY slot DESC LIMIT 1"
)

DATABASE_NOW = AcrossMerchants("SELECT now()")
"""PostgreSQL's clock, which all processes share."""

SKIP_LOCKED = {Dialect.SQLITE: "", Dialect.POSTGRESQL: " FOR UPDATE SKIP LOCKED"}
"""SQLite has one writer: there is nothing to skip."""

_SAME_LINE = (
    "SELECT 1 FROM jobs AS other WHERE other.merchant_id = jobs.merchant_id"
    " AND other.queue = jobs.queue AND other.key = jobs.key AND other.key IS NOT NULL"
)


def _each(sql: str) -> dict[Dialect, AcrossMerchants]:
    """The statement as each dialect takes it."""
    return {
        dialect: AcrossMerchants(sql.replace("{skip_locked}", clause))
        for dialect, clause in SKIP_LOCKED.items()
    }


_MAY_RUN = (
    f"{WAITING} AND due_at <= {{due}}"
    " AND run_at <= CASE WHEN lease = 0 THEN {due} ELSE {now} END"
    f" AND (key IS NULL OR (NOT EXISTS ({_SAME_LINE} AND other.leased_until IS NOT NULL)"
    f" AND NOT EXISTS ({_SAME_LINE} AND other.finished_at IS NULL"
    " AND (other.due_at, other.job_id) < (jobs.due_at, jobs.job_id))))"
)


@cache
def select_claimable(queues: int) -> AcrossMerchants:
    """Whether anything may be claimed now, for so many queues a column each: $1 is the time on the
    store's clock, $2 the later one of it and ours, then come the queues."""
    condition = _MAY_RUN.format(now="$1", due="$2")
    columns = (
        f"EXISTS (SELECT 1 FROM jobs WHERE queue = ${number} AND {condition}) AS due_{number}"
        for number in range(3, 3 + queues)
    )
    return AcrossMerchants(f"SELECT {', '.join(columns)}")


CLAIM = _each(
    "WITH chosen AS MATERIALIZED ("
    "SELECT merchant_id AS chosen_merchant, job_id AS chosen_job FROM jobs"
    f" WHERE queue = $1 AND {_MAY_RUN.format(now='$2', due='$6')}"
    " ORDER BY priority DESC, due_at, job_id LIMIT $3{skip_locked})"
    " UPDATE jobs SET state = 'running', attempt = attempt + 1, lease = lease + 1,"
    " worker = $4, leased_until = $5"
    " FROM chosen WHERE merchant_id = chosen_merchant AND job_id = chosen_job"
    f" RETURNING {COLUMNS}, EXISTS ({_SAME_LINE} AND other.finished_at IS NULL"
    " AND other.job_id <> jobs.job_id) AS followed"
)
"""What runs at the same time in one line is held back by a unique index as well, since a job
may become visible behind the back of this statement."""

BEAT = _each(
    "WITH held AS MATERIALIZED ("
    "SELECT merchant_id AS held_merchant, job_id AS held_job FROM jobs"
    f" WHERE queue = $1 AND {RUNNING} AND worker = $2{{skip_locked}})"
    " UPDATE jobs SET leased_until = $3"
    " FROM held WHERE merchant_id = held_merchant AND job_id = held_job"
    " RETURNING merchant_id, job_id, lease"
)
"""A job whose end is being committed keeps its lease as it is."""

_PRUNE = (
    "WITH old AS MATERIALIZED ("
    "SELECT merchant_id AS old_merchant, job_id AS old_job FROM jobs"
    " WHERE state IN ({states}) AND finished_at < $1"
    " ORDER BY finished_at LIMIT $2{{skip_locked}})"
    " DELETE FROM jobs WHERE (merchant_id, job_id) IN (SELECT old_merchant, old_job FROM old)"
    " RETURNING job_id"
)

PRUNE_JOBS = _each(_PRUNE.format(states="'succeeded', 'cancelled'"))

PRUNE_DEAD = _each(_PRUNE.format(states="'dead'"))
"""On PostgreSQL a job that is being put back is locked, and passed over."""

PRUNE_RUNS = _each(
    "WITH old AS MATERIALIZED ("
    "SELECT merchant_id AS old_merchant, schedule AS old_schedule, slot AS old_slot"
    " FROM job_schedule_runs WHERE created_at < $1 AND slot < (SELECT max(latest.slot)"
    " FROM job_schedule_runs AS latest WHERE latest.merchant_id = job_schedule_runs.merchant_id"
    " AND latest.schedule = job_schedule_runs.schedule)"
    " ORDER BY created_at LIMIT $2{skip_locked})"
    " DELETE FROM job_schedule_runs WHERE (merchant_id, schedule, slot)"
    " IN (SELECT old_merchant, old_schedule, old_slot FROM old) RETURNING slot"
)
"""The last run of a schedule is kept, since it says what comes next."""
