CREATE TABLE merchant_settings (
    merchant_id TEXT NOT NULL REFERENCES merchants (merchant_id),
    version BIGINT NOT NULL CHECK (version >= 1),
    settings JSONB NOT NULL,
    changed_by TEXT NOT NULL,
    changed_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (merchant_id, version)
);

CREATE TABLE subscriptions (
    merchant_id TEXT NOT NULL REFERENCES merchants (merchant_id),
    starts_at TIMESTAMPTZ NOT NULL,
    ends_at TIMESTAMPTZ CHECK (ends_at > starts_at),
    plan TEXT NOT NULL CHECK (plan IN ('starter', 'growth', 'scale', 'unlimited')),
    PRIMARY KEY (merchant_id, starts_at)
);

CREATE UNIQUE INDEX subscriptions_in_force ON subscriptions (merchant_id) WHERE ends_at IS NULL;

ALTER TABLE customers ADD COLUMN search_name TEXT;

ALTER TABLE customers ADD COLUMN merged_into TEXT CHECK (merged_into <> customer_id);

ALTER TABLE customers ADD COLUMN erased_at TIMESTAMPTZ
    CHECK (erased_at IS NULL OR (display_name IS NULL AND search_name IS NULL));

CREATE INDEX customers_merged ON customers (merchant_id, merged_into)
    WHERE merged_into IS NOT NULL;

CREATE TABLE customer_contacts (
    merchant_id TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('email', 'phone')),
    sealed TEXT NOT NULL,
    key_version BIGINT NOT NULL CHECK (key_version >= 1),
    blind_index TEXT NOT NULL CHECK (length(blind_index) = 64),
    PRIMARY KEY (merchant_id, customer_id, kind),
    FOREIGN KEY (merchant_id, customer_id) REFERENCES customers (merchant_id, customer_id)
);

CREATE UNIQUE INDEX customer_contacts_once ON customer_contacts (merchant_id, kind, blind_index);

CREATE INDEX customer_contacts_by_key ON customer_contacts (key_version);

CREATE TABLE customer_external_ids (
    merchant_id TEXT NOT NULL,
    source TEXT NOT NULL CHECK (length(source) BETWEEN 1 AND 64),
    external_id TEXT NOT NULL CHECK (length(external_id) BETWEEN 1 AND 128),
    customer_id TEXT NOT NULL,
    PRIMARY KEY (merchant_id, source, external_id),
    FOREIGN KEY (merchant_id, customer_id) REFERENCES customers (merchant_id, customer_id)
);

CREATE INDEX customer_external_ids_of ON customer_external_ids (merchant_id, customer_id);

CREATE TABLE customer_consents (
    merchant_id TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    channel TEXT NOT NULL CHECK (channel IN ('email', 'sms', 'push')),
    changed_at TIMESTAMPTZ NOT NULL,
    granted BOOLEAN NOT NULL,
    origin TEXT NOT NULL CHECK (length(origin) BETWEEN 1 AND 64),
    PRIMARY KEY (merchant_id, customer_id, channel, changed_at),
    FOREIGN KEY (merchant_id, customer_id) REFERENCES customers (merchant_id, customer_id)
);
