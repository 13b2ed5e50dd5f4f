CREATE TABLE campaign_broadcasts (
    merchant_id TEXT NOT NULL,
    campaign_id TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('broadcast', 'automation')),
    channel TEXT NOT NULL CHECK (channel IN ('email', 'sms', 'webhook')),
    version BIGINT NOT NULL CHECK (version >= 1),
    definition JSONB NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('running', 'paused', 'cancelled', 'completed')),
    gathered BOOLEAN NOT NULL,
    gathered_to TEXT NOT NULL,
    reserved BIGINT NOT NULL CHECK (reserved >= 0),
    step BIGINT NOT NULL CHECK (step >= 0),
    started_at TIMESTAMPTZ NOT NULL,
    ended_at TIMESTAMPTZ,
    PRIMARY KEY (merchant_id, campaign_id),
    CHECK ((state IN ('cancelled', 'completed')) = (ended_at IS NOT NULL)),
    CHECK (state <> 'completed' OR gathered)
);

CREATE TABLE campaign_steps (
    merchant_id TEXT NOT NULL,
    campaign_id TEXT NOT NULL,
    step BIGINT NOT NULL CHECK (step >= 1),
    kind TEXT NOT NULL CHECK (kind IN ('audience', 'send', 'recovery')),
    recipients BIGINT NOT NULL CHECK (recipients >= 0),
    begun_at TIMESTAMPTZ NOT NULL,
    ended_at TIMESTAMPTZ,
    outcome JSONB,
    PRIMARY KEY (merchant_id, campaign_id, step)
);

CREATE TABLE campaign_deliveries (
    merchant_id TEXT NOT NULL,
    delivery_id TEXT NOT NULL,
    campaign_id TEXT NOT NULL,
    customer_id TEXT NOT NULL CHECK (length(customer_id) BETWEEN 1 AND 64),
    occasion TEXT NOT NULL CHECK (length(occasion) <= 64),
    facts JSONB,
    channel TEXT NOT NULL CHECK (channel IN ('email', 'sms', 'webhook')),
    state TEXT NOT NULL CHECK (
        state IN ('pending', 'leased', 'sent', 'delivered', 'failed', 'suppressed', 'unknown')
    ),
    attempt BIGINT NOT NULL CHECK (attempt BETWEEN 0 AND 8),
    due_at TIMESTAMPTZ,
    lease BIGINT NOT NULL CHECK (lease >= 0),
    provider_id TEXT,
    reason TEXT,
    created_at TIMESTAMPTZ NOT NULL,
    changed_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (merchant_id, delivery_id),
    UNIQUE (merchant_id, campaign_id, customer_id, occasion),
    CHECK ((state = 'pending') = (due_at IS NOT NULL)),
    CHECK (state NOT IN ('failed', 'suppressed') OR reason IS NOT NULL)
);

CREATE INDEX campaign_deliveries_due
    ON campaign_deliveries (merchant_id, campaign_id, due_at, delivery_id)
    WHERE due_at IS NOT NULL;

CREATE INDEX campaign_deliveries_leased ON campaign_deliveries (merchant_id, campaign_id)
    WHERE state = 'leased';

CREATE INDEX campaign_deliveries_in_order
    ON campaign_deliveries (merchant_id, campaign_id, delivery_id);

CREATE INDEX campaign_steps_open ON campaign_steps (merchant_id, campaign_id)
    WHERE ended_at IS NULL;

CREATE INDEX campaign_broadcasts_running ON campaign_broadcasts (merchant_id, campaign_id)
    WHERE state = 'running';

CREATE INDEX campaign_deliveries_by_provider
    ON campaign_deliveries (merchant_id, channel, provider_id) WHERE provider_id IS NOT NULL;
