CREATE TABLE rfm_configs (
    merchant_id TEXT NOT NULL,
    version BIGINT NOT NULL CHECK (version >= 1),
    terms JSONB NOT NULL,
    changed_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (merchant_id, version)
);

CREATE TABLE rfm_schedules (
    merchant_id TEXT NOT NULL,
    next_at TIMESTAMPTZ,
    as_of TIMESTAMPTZ,
    PRIMARY KEY (merchant_id)
);

CREATE INDEX rfm_schedules_due ON rfm_schedules (next_at) WHERE next_at IS NOT NULL;

CREATE INDEX rfm_schedules_by_age ON rfm_schedules (as_of)
    WHERE next_at IS NOT NULL AND as_of IS NOT NULL;

CREATE TABLE rfm_runs (
    merchant_id TEXT NOT NULL,
    run_id TEXT NOT NULL,
    number BIGINT NOT NULL CHECK (number >= 1),
    state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'published', 'failed', 'skipped')),
    started_by TEXT NOT NULL CHECK (started_by IN ('request', 'schedule', 'catch_up')),
    as_of TIMESTAMPTZ NOT NULL,
    currency TEXT NOT NULL CHECK (length(currency) = 3),
    config_version BIGINT NOT NULL CHECK (config_version >= 0),
    terms JSONB NOT NULL,
    job_id TEXT,
    created_at TIMESTAMPTZ NOT NULL,
    begun_at TIMESTAMPTZ,
    published_at TIMESTAMPTZ,
    ended_at TIMESTAMPTZ,
    reason TEXT,
    attempts BIGINT NOT NULL DEFAULT 0,
    step BIGINT NOT NULL DEFAULT 0,
    cursor TEXT NOT NULL DEFAULT '',
    compared_with BIGINT NOT NULL DEFAULT 0,
    cuts JSONB,
    customers BIGINT NOT NULL DEFAULT 0,
    scored BIGINT NOT NULL DEFAULT 0,
    orders BIGINT NOT NULL DEFAULT 0,
    revenue_minor BIGINT NOT NULL DEFAULT 0,
    foreign_orders BIGINT NOT NULL DEFAULT 0,
    told_to TEXT NOT NULL DEFAULT '',
    kept TEXT NOT NULL CHECK (kept IN ('all', 'going', 'gone')),
    PRIMARY KEY (merchant_id, run_id),
    UNIQUE (merchant_id, number),
    CHECK ((published_at IS NULL) = (state <> 'published')),
    CHECK ((ended_at IS NULL) = (state IN ('queued', 'running')))
);

CREATE UNIQUE INDEX rfm_runs_one_at_a_time ON rfm_runs (merchant_id)
    WHERE state IN ('queued', 'running');

CREATE INDEX rfm_runs_kept ON rfm_runs (merchant_id, number) WHERE kept <> 'gone';

CREATE INDEX rfm_runs_published ON rfm_runs (merchant_id, number) WHERE published_at IS NOT NULL;

CREATE TABLE rfm_scores (
    merchant_id TEXT NOT NULL,
    run BIGINT NOT NULL,
    customer_id TEXT NOT NULL,
    orders BIGINT NOT NULL CHECK (orders >= 0),
    last_ordered_at TIMESTAMPTZ,
    recency_days BIGINT CHECK (recency_days >= 0),
    monetary_minor BIGINT NOT NULL CHECK (monetary_minor >= 0),
    recency_score BIGINT CHECK (recency_score BETWEEN 1 AND 5),
    frequency_score BIGINT CHECK (frequency_score BETWEEN 1 AND 5),
    monetary_score BIGINT CHECK (monetary_score BETWEEN 1 AND 5),
    segment TEXT,
    rule BIGINT CHECK (rule >= 1),
    PRIMARY KEY (merchant_id, run, customer_id),
    CHECK ((orders = 0) = (recency_days IS NULL))
);

CREATE INDEX rfm_scores_by_segment ON rfm_scores (merchant_id, run, segment, customer_id)
    WHERE segment IS NOT NULL;

CREATE TABLE rfm_cells (
    merchant_id TEXT NOT NULL,
    run BIGINT NOT NULL,
    scoring TEXT NOT NULL CHECK (scoring IN ('quintile', 'threshold')),
    recency_score BIGINT NOT NULL CHECK (recency_score BETWEEN 1 AND 5),
    frequency_score BIGINT NOT NULL CHECK (frequency_score BETWEEN 1 AND 5),
    monetary_score BIGINT NOT NULL CHECK (monetary_score BETWEEN 1 AND 5),
    segment TEXT NOT NULL,
    rule BIGINT NOT NULL CHECK (rule >= 1),
    customers BIGINT NOT NULL DEFAULT 0 CHECK (customers >= 0),
    orders BIGINT NOT NULL DEFAULT 0 CHECK (orders >= 0),
    revenue_minor BIGINT NOT NULL DEFAULT 0 CHECK (revenue_minor >= 0),
    PRIMARY KEY (merchant_id, run, scoring, recency_score, frequency_score, monetary_score)
);

CREATE TABLE rfm_history (
    merchant_id TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    run BIGINT NOT NULL,
    previous_segment TEXT,
    segment TEXT NOT NULL,
    rule BIGINT,
    recency_score BIGINT,
    frequency_score BIGINT,
    monetary_score BIGINT,
    PRIMARY KEY (merchant_id, customer_id, run)
);

CREATE INDEX rfm_history_of_run ON rfm_history (merchant_id, run, customer_id);
