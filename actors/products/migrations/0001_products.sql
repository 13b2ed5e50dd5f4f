CREATE TABLE products (
    merchant_id TEXT NOT NULL,
    sku TEXT NOT NULL CHECK (length(sku) BETWEEN 3 AND 32),
    name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    kind TEXT NOT NULL CHECK (kind IN ('package', 'subscription')),
    price_minor BIGINT NOT NULL CHECK (price_minor BETWEEN 1 AND 1000000000),
    currency TEXT NOT NULL CHECK (length(currency) = 3),
    updated_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (merchant_id, sku)
);
