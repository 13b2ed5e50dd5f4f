CREATE TABLE tracked_events (
    merchant_id TEXT NOT NULL,
    message_id TEXT NOT NULL CHECK (length(message_id) BETWEEN 1 AND 64),
    type TEXT NOT NULL CHECK (length(type) BETWEEN 1 AND 64),
    customer_id TEXT,
    occurred_at TIMESTAMPTZ NOT NULL,
    received_at TIMESTAMPTZ NOT NULL,
    digest TEXT NOT NULL,
    properties TEXT NOT NULL,
    PRIMARY KEY (merchant_id, message_id)
);

CREATE INDEX tracked_events_by_time
    ON tracked_events (merchant_id, occurred_at, message_id);

CREATE INDEX tracked_events_by_type
    ON tracked_events (merchant_id, type, occurred_at, message_id);

CREATE INDEX tracked_events_by_customer
    ON tracked_events (merchant_id, customer_id, occurred_at, message_id)
    WHERE customer_id IS NOT NULL;

CREATE TABLE event_hours (
    merchant_id TEXT NOT NULL,
    type TEXT NOT NULL,
    hour TIMESTAMPTZ NOT NULL,
    events BIGINT NOT NULL CHECK (events > 0),
    PRIMARY KEY (merchant_id, hour, type)
);

CREATE TABLE event_totals (
    merchant_id TEXT NOT NULL,
    accepted BIGINT NOT NULL CHECK (accepted >= 0),
    stored BIGINT NOT NULL CHECK (stored >= 0),
    deduplicated BIGINT NOT NULL CHECK (deduplicated >= 0),
    conflicts BIGINT NOT NULL CHECK (conflicts BETWEEN 0 AND deduplicated),
    dropped BIGINT NOT NULL CHECK (dropped >= 0),
    PRIMARY KEY (merchant_id),
    CHECK (accepted = stored + deduplicated + dropped)
);

CREATE TABLE event_drops (
    merchant_id TEXT NOT NULL,
    reason TEXT NOT NULL,
    events BIGINT NOT NULL CHECK (events > 0),
    PRIMARY KEY (merchant_id, reason)
);

CREATE TABLE event_customers_gone (
    merchant_id TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    merged_into TEXT,
    gone_at TIMESTAMPTZ NOT NULL,
    settled BOOLEAN NOT NULL,
    PRIMARY KEY (merchant_id, customer_id)
);

CREATE INDEX event_customers_unsettled
    ON event_customers_gone (merchant_id, customer_id)
    WHERE NOT settled;

CREATE INDEX event_customers_merged
    ON event_customers_gone (merchant_id, merged_into);

CREATE TABLE event_sources (
    source_id TEXT NOT NULL PRIMARY KEY,
    through BIGINT NOT NULL CHECK (through >= 0),
    used_at TIMESTAMPTZ NOT NULL
);
