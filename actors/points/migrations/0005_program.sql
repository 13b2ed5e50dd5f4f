CREATE TABLE points_transfers (
    merchant_id TEXT NOT NULL,
    transfer_id TEXT NOT NULL,
    from_customer_id TEXT NOT NULL,
    to_customer_id TEXT NOT NULL,
    amount BIGINT NOT NULL CHECK (amount > 0),
    reason TEXT NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (merchant_id, transfer_id),
    CHECK (from_customer_id <> to_customer_id)
);

CREATE TABLE points_transfer_parts (
    merchant_id TEXT NOT NULL,
    transfer_id TEXT NOT NULL,
    transaction_id TEXT NOT NULL,
    PRIMARY KEY (merchant_id, transaction_id)
);

CREATE INDEX points_transfer_parts_of
    ON points_transfer_parts (merchant_id, transfer_id);

CREATE TABLE points_refund_policies (
    merchant_id TEXT NOT NULL,
    version BIGINT NOT NULL CHECK (version >= 1),
    policy TEXT NOT NULL CHECK (policy IN ('only_pending', 'within_balance', 'unlimited')),
    created_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (merchant_id, version)
);

CREATE TABLE points_rewards (
    merchant_id TEXT NOT NULL,
    reward_id TEXT NOT NULL,
    name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    cost_points BIGINT NOT NULL CHECK (cost_points > 0),
    stock BIGINT CHECK (stock >= 0),
    taken BIGINT NOT NULL DEFAULT 0 CHECK (taken >= 0),
    per_customer_max BIGINT CHECK (per_customer_max > 0),
    valid_from TIMESTAMPTZ,
    valid_until TIMESTAMPTZ,
    active BOOLEAN NOT NULL,
    version BIGINT NOT NULL CHECK (version >= 1),
    updated_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (merchant_id, reward_id),
    CONSTRAINT points_rewards_in_stock CHECK (stock IS NULL OR taken <= stock)
);

CREATE TABLE points_redemptions (
    merchant_id TEXT NOT NULL,
    redemption_id TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    reward_id TEXT NOT NULL,
    quantity BIGINT NOT NULL CHECK (quantity > 0),
    cost_points BIGINT NOT NULL CHECK (cost_points > 0),
    reward_version BIGINT NOT NULL,
    transaction_id TEXT NOT NULL,
    redeemed_at TIMESTAMPTZ NOT NULL,
    cancelled_by TEXT,
    cancelled_at TIMESTAMPTZ,
    PRIMARY KEY (merchant_id, redemption_id)
);

CREATE INDEX points_redemptions_of_customer
    ON points_redemptions (merchant_id, customer_id, reward_id);

CREATE INDEX points_redemptions_by_time
    ON points_redemptions (merchant_id, redeemed_at, redemption_id);

CREATE TABLE points_tier_programs (
    merchant_id TEXT NOT NULL,
    version BIGINT NOT NULL CHECK (version >= 1),
    program JSONB NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (merchant_id, version)
);

CREATE TABLE points_tier_members (
    merchant_id TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    version BIGINT NOT NULL CHECK (version >= 1),
    tier_id TEXT,
    since TIMESTAMPTZ NOT NULL,
    kept_until TIMESTAMPTZ,
    next_check_at TIMESTAMPTZ,
    PRIMARY KEY (merchant_id, customer_id)
);

CREATE INDEX points_tier_members_due
    ON points_tier_members (next_check_at) WHERE next_check_at IS NOT NULL;

CREATE TABLE points_tier_changes (
    merchant_id TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    version BIGINT NOT NULL CHECK (version >= 1),
    from_tier TEXT,
    to_tier TEXT,
    qualifying BIGINT NOT NULL,
    program_version BIGINT NOT NULL,
    changed_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (merchant_id, customer_id, version)
);

ALTER TABLE points_earn_rules ADD COLUMN multiplier_percent BIGINT NOT NULL DEFAULT 100
    CHECK (multiplier_percent BETWEEN 1 AND 10000);

ALTER TABLE points_earn_rules ADD COLUMN rounding TEXT NOT NULL DEFAULT 'down_per_order'
    CHECK (rounding IN ('down_per_order', 'half_up', 'up'));
