CREATE TABLE late_deliveries (
    merchant_id TEXT NOT NULL,
    consumer TEXT NOT NULL,
    event_id TEXT NOT NULL,
    topic TEXT NOT NULL,
    key TEXT NOT NULL,
    payload JSONB NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    available_at TIMESTAMPTZ,
    failures BIGINT NOT NULL DEFAULT 0,
    attempts BIGINT NOT NULL DEFAULT 0,
    history JSONB NOT NULL,
    dead_at TIMESTAMPTZ,
    PRIMARY KEY (merchant_id, consumer, event_id)
);

CREATE INDEX late_deliveries_in_order ON late_deliveries
    (merchant_id, consumer, topic, key, event_id) WHERE dead_at IS NULL;

CREATE INDEX late_deliveries_due ON late_deliveries
    (consumer, available_at, event_id) WHERE available_at IS NOT NULL AND failures = 0;

CREATE INDEX late_deliveries_due_again ON late_deliveries
    (consumer, available_at, event_id) WHERE available_at IS NOT NULL AND failures > 0;

CREATE INDEX late_deliveries_oldest ON late_deliveries (created_at) WHERE dead_at IS NULL;

CREATE INDEX late_deliveries_of_event ON late_deliveries (merchant_id, event_id);

CREATE INDEX late_deliveries_dead ON late_deliveries (event_id, consumer)
    WHERE dead_at IS NOT NULL;

CREATE TABLE inbox (
    merchant_id TEXT NOT NULL,
    consumer TEXT NOT NULL,
    event_id TEXT NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (merchant_id, consumer, event_id)
);

CREATE INDEX inbox_by_age ON inbox (recorded_at);
