CREATE TABLE jobs (
    merchant_id TEXT NOT NULL,
    job_id TEXT NOT NULL,
    queue TEXT NOT NULL,
    name TEXT NOT NULL,
    key TEXT,
    unique_key TEXT,
    priority BIGINT NOT NULL,
    payload JSONB NOT NULL,
    trace_id TEXT,
    state TEXT NOT NULL CHECK (
        state IN ('available', 'running', 'succeeded', 'retryable', 'dead', 'cancelled')
    ),
    attempt BIGINT NOT NULL CHECK (attempt >= 0),
    due_at TIMESTAMPTZ NOT NULL,
    run_at TIMESTAMPTZ NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    lease BIGINT NOT NULL CHECK (lease >= 0),
    worker TEXT,
    leased_until TIMESTAMPTZ,
    finished_at TIMESTAMPTZ,
    errors JSONB NOT NULL,
    history JSONB NOT NULL,
    PRIMARY KEY (merchant_id, job_id),
    CHECK ((state = 'running') = (leased_until IS NOT NULL)),
    CHECK ((state IN ('succeeded', 'dead', 'cancelled')) = (finished_at IS NOT NULL))
);

CREATE INDEX jobs_to_claim ON jobs (queue, priority DESC, due_at, job_id)
    WHERE finished_at IS NULL AND leased_until IS NULL;

CREATE INDEX jobs_in_line ON jobs (merchant_id, queue, key, due_at, job_id)
    WHERE finished_at IS NULL AND key IS NOT NULL;

CREATE UNIQUE INDEX jobs_running_by_key ON jobs (merchant_id, queue, key)
    WHERE leased_until IS NOT NULL AND key IS NOT NULL;

CREATE UNIQUE INDEX jobs_unique ON jobs (merchant_id, queue, unique_key)
    WHERE finished_at IS NULL AND unique_key IS NOT NULL;

CREATE INDEX jobs_running ON jobs (queue, leased_until) WHERE leased_until IS NOT NULL;

CREATE INDEX jobs_unfinished ON jobs (queue, state)
    WHERE state IN ('available', 'running', 'retryable', 'dead');

CREATE INDEX jobs_dead ON jobs (finished_at, job_id) WHERE state = 'dead';

CREATE INDEX jobs_dead_by_id ON jobs (job_id) WHERE state = 'dead';

CREATE INDEX jobs_to_prune ON jobs (finished_at) WHERE state IN ('succeeded', 'cancelled');

CREATE TABLE job_schedule_runs (
    merchant_id TEXT NOT NULL,
    schedule TEXT NOT NULL,
    slot TEXT NOT NULL,
    scheduled_for TIMESTAMPTZ NOT NULL,
    job_id TEXT,
    created_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (merchant_id, schedule, slot)
);

CREATE INDEX job_schedule_runs_to_prune ON job_schedule_runs (created_at);
