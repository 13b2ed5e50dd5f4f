ALTER TABLE products ADD COLUMN source_version BIGINT NOT NULL DEFAULT 0
    CHECK (source_version >= 0);

ALTER TABLE products ADD COLUMN earns_points BOOLEAN NOT NULL DEFAULT TRUE;

ALTER TABLE products ADD COLUMN search_name TEXT;

CREATE TABLE product_prices (
    merchant_id TEXT NOT NULL,
    sku TEXT NOT NULL,
    effective_from TIMESTAMPTZ NOT NULL,
    price_minor BIGINT NOT NULL CHECK (price_minor BETWEEN 1 AND 1000000000),
    currency TEXT NOT NULL CHECK (length(currency) = 3),
    planned BOOLEAN NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (merchant_id, sku, effective_from),
    FOREIGN KEY (merchant_id, sku) REFERENCES products (merchant_id, sku)
);

CREATE TABLE plans (
    merchant_id TEXT NOT NULL,
    plan_id TEXT NOT NULL CHECK (length(plan_id) BETWEEN 1 AND 64),
    sku TEXT NOT NULL,
    name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    interval_unit TEXT NOT NULL CHECK (interval_unit IN ('day', 'week', 'month', 'year')),
    interval_count BIGINT NOT NULL CHECK (interval_count BETWEEN 1 AND 365),
    trial_days BIGINT NOT NULL CHECK (trial_days BETWEEN 0 AND 365),
    pause_days_max BIGINT NOT NULL CHECK (pause_days_max BETWEEN 0 AND 365),
    source_version BIGINT NOT NULL CHECK (source_version >= 0),
    updated_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (merchant_id, plan_id),
    FOREIGN KEY (merchant_id, sku) REFERENCES products (merchant_id, sku)
);
