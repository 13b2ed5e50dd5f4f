CREATE TABLE campaigns (
    merchant_id TEXT NOT NULL,
    campaign_id TEXT NOT NULL,
    kind TEXT NOT NULL
        CHECK (kind IN ('multiplier', 'fixed_bonus', 'goal', 'broadcast', 'automation')),
    state TEXT NOT NULL
        CHECK (state IN ('draft', 'scheduled', 'running', 'paused', 'completed', 'cancelled')),
    version BIGINT NOT NULL CHECK (version >= 1),
    revision BIGINT NOT NULL CHECK (revision >= 1),
    starts_at TIMESTAMPTZ,
    ends_at TIMESTAMPTZ,
    started_at TIMESTAMPTZ,
    ended_at TIMESTAMPTZ,
    next_due_at TIMESTAMPTZ,
    held TEXT,
    audience_state TEXT NOT NULL DEFAULT 'open'
        CHECK (audience_state IN ('open', 'freezing', 'frozen')),
    audience_members BIGINT NOT NULL DEFAULT 0 CHECK (audience_members >= 0),
    audience_step BIGINT NOT NULL DEFAULT 0,
    audience_done BOOLEAN NOT NULL DEFAULT false,
    audience_after TEXT NOT NULL DEFAULT '',
    frozen_at TIMESTAMPTZ,
    source_run TEXT,
    source_as_of TIMESTAMPTZ,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (merchant_id, campaign_id),
    CHECK (starts_at IS NULL OR ends_at IS NULL OR starts_at < ends_at)
);

CREATE INDEX campaigns_by_time ON campaigns (merchant_id, created_at, campaign_id);

CREATE INDEX campaigns_by_state ON campaigns (merchant_id, state);

CREATE INDEX campaigns_due ON campaigns (next_due_at) WHERE next_due_at IS NOT NULL;

CREATE TABLE campaign_versions (
    merchant_id TEXT NOT NULL,
    campaign_id TEXT NOT NULL,
    version BIGINT NOT NULL CHECK (version >= 1),
    definition JSONB NOT NULL,
    created_by TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (merchant_id, campaign_id, version)
);

CREATE TABLE campaign_changes (
    merchant_id TEXT NOT NULL,
    campaign_id TEXT NOT NULL,
    revision BIGINT NOT NULL CHECK (revision >= 1),
    from_state TEXT NOT NULL,
    to_state TEXT NOT NULL,
    version BIGINT NOT NULL,
    changed_by TEXT NOT NULL,
    changed_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (merchant_id, campaign_id, revision)
);

CREATE TABLE campaign_runs (
    merchant_id TEXT NOT NULL,
    campaign_id TEXT NOT NULL,
    number BIGINT NOT NULL CHECK (number >= 1),
    version BIGINT NOT NULL,
    begins TIMESTAMPTZ NOT NULL,
    ends TIMESTAMPTZ,
    void BOOLEAN NOT NULL DEFAULT false,
    PRIMARY KEY (merchant_id, campaign_id, number),
    CHECK (ends IS NULL OR begins <= ends)
);

CREATE INDEX campaign_runs_by_end ON campaign_runs (merchant_id, ends);

CREATE TABLE campaign_rulebooks (
    merchant_id TEXT NOT NULL,
    version BIGINT NOT NULL CHECK (version >= 1),
    PRIMARY KEY (merchant_id)
);

CREATE TABLE campaign_members (
    merchant_id TEXT NOT NULL,
    campaign_id TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    PRIMARY KEY (merchant_id, campaign_id, customer_id)
);
