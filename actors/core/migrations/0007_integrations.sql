CREATE TABLE integrations (
    merchant_id TEXT NOT NULL REFERENCES merchants (merchant_id),
    provider TEXT NOT NULL CHECK (provider IN ('shopify', 'twilio', 'smtp', 'webhook')),
    account TEXT NOT NULL CHECK (length(account) BETWEEN 1 AND 255),
    sealed TEXT NOT NULL,
    key_version BIGINT NOT NULL CHECK (key_version >= 1),
    former_sealed TEXT,
    former_key_version BIGINT,
    former_until TIMESTAMPTZ,
    created_at TIMESTAMPTZ NOT NULL,
    changed_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (merchant_id, provider),
    CHECK ((former_sealed IS NULL) = (former_until IS NULL)),
    CHECK ((former_sealed IS NULL) = (former_key_version IS NULL))
);

CREATE INDEX integrations_by_account ON integrations (provider, account);

CREATE TABLE webhook_receipts (
    merchant_id TEXT NOT NULL REFERENCES merchants (merchant_id),
    provider TEXT NOT NULL,
    webhook_id TEXT NOT NULL CHECK (length(webhook_id) BETWEEN 1 AND 128),
    topic TEXT NOT NULL,
    digest TEXT NOT NULL CHECK (length(digest) = 64),
    sealed TEXT,
    key_version BIGINT,
    state TEXT NOT NULL CHECK (state IN ('received', 'done', 'ignored', 'attention')),
    outcome TEXT,
    received_at TIMESTAMPTZ NOT NULL,
    finished_at TIMESTAMPTZ,
    PRIMARY KEY (merchant_id, provider, webhook_id),
    CHECK ((sealed IS NULL) = (key_version IS NULL))
);

CREATE UNIQUE INDEX webhook_receipts_once
    ON webhook_receipts (merchant_id, provider, topic, digest);

CREATE INDEX webhook_receipts_by_time ON webhook_receipts (merchant_id, provider, received_at);

CREATE INDEX webhook_receipts_by_age ON webhook_receipts (received_at);
