CREATE TABLE points_deferrals (
    merchant_id TEXT NOT NULL,
    deferral_id TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    idempotency_key TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('queued', 'applied', 'refused', 'dead')),
    attempts BIGINT NOT NULL CHECK (attempts >= 0),
    deferred_at TIMESTAMPTZ NOT NULL,
    finished_at TIMESTAMPTZ,
    result JSONB,
    PRIMARY KEY (merchant_id, deferral_id)
);

CREATE INDEX points_deferrals_finished
    ON points_deferrals (finished_at) WHERE finished_at IS NOT NULL;
