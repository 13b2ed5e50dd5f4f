ALTER TABLE orders ADD COLUMN refunded_minor BIGINT NOT NULL DEFAULT 0
    CHECK (refunded_minor BETWEEN 0 AND total_minor);

ALTER TABLE orders ADD COLUMN cancelled_at TIMESTAMPTZ;

CREATE INDEX orders_by_recording ON orders (merchant_id, recorded_at, order_id);

CREATE TABLE refunds (
    merchant_id TEXT NOT NULL,
    order_id TEXT NOT NULL,
    refund_id TEXT NOT NULL CHECK (length(refund_id) BETWEEN 1 AND 64),
    amount_minor BIGINT NOT NULL CHECK (amount_minor >= 1),
    refunded_at TIMESTAMPTZ NOT NULL,
    reason TEXT,
    recorded_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (merchant_id, order_id, refund_id),
    FOREIGN KEY (merchant_id, order_id) REFERENCES orders (merchant_id, order_id)
);

CREATE TABLE reconciliations (
    merchant_id TEXT NOT NULL REFERENCES merchants (merchant_id),
    ran_at TIMESTAMPTZ NOT NULL,
    since TIMESTAMPTZ NOT NULL,
    until TIMESTAMPTZ NOT NULL,
    orders BIGINT NOT NULL CHECK (orders >= 0),
    missing BIGINT NOT NULL CHECK (missing BETWEEN 0 AND orders),
    missing_ids JSONB NOT NULL,
    PRIMARY KEY (merchant_id, ran_at)
);
