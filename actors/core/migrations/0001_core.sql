CREATE TABLE merchants (
    merchant_id TEXT NOT NULL,
    name TEXT NOT NULL,
    currency TEXT NOT NULL CHECK (length(currency) = 3),
    created_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (merchant_id)
);

CREATE TABLE customers (
    merchant_id TEXT NOT NULL REFERENCES merchants (merchant_id),
    customer_id TEXT NOT NULL CHECK (length(customer_id) BETWEEN 1 AND 64),
    display_name TEXT,
    created_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (merchant_id, customer_id)
);

CREATE TABLE orders (
    merchant_id TEXT NOT NULL,
    order_id TEXT NOT NULL CHECK (length(order_id) BETWEEN 1 AND 64),
    customer_id TEXT NOT NULL,
    ordered_at TIMESTAMPTZ NOT NULL,
    currency TEXT NOT NULL CHECK (length(currency) = 3),
    total_minor BIGINT NOT NULL CHECK (total_minor >= 0),
    items BIGINT NOT NULL CHECK (items >= 0),
    lines JSONB NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (merchant_id, order_id),
    FOREIGN KEY (merchant_id, customer_id) REFERENCES customers (merchant_id, customer_id)
);

CREATE INDEX orders_by_time ON orders (merchant_id, ordered_at, order_id);
CREATE INDEX orders_by_customer ON orders (merchant_id, customer_id, ordered_at, order_id);
