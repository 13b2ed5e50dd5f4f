CREATE TABLE points_accounts (
    merchant_id TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    asset TEXT NOT NULL DEFAULT 'points',
    sequence BIGINT NOT NULL CHECK (sequence >= 1),
    member BIGINT NOT NULL,
    hold BIGINT NOT NULL CHECK (hold >= 0),
    pending BIGINT NOT NULL CHECK (pending >= 0),
    head TEXT NOT NULL CHECK (length(head) = 64),
    recorded_at TIMESTAMPTZ NOT NULL,
    next_due_at TIMESTAMPTZ,
    PRIMARY KEY (merchant_id, customer_id, asset)
);

CREATE INDEX points_accounts_due ON points_accounts (next_due_at) WHERE next_due_at IS NOT NULL;

CREATE TABLE points_transactions (
    merchant_id TEXT NOT NULL,
    transaction_id TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    asset TEXT NOT NULL DEFAULT 'points',
    sequence BIGINT NOT NULL CHECK (sequence >= 1),
    kind TEXT NOT NULL,
    amount BIGINT NOT NULL CHECK (amount <> 0),
    reason TEXT NOT NULL,
    effective_at TIMESTAMPTZ NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    member BIGINT NOT NULL,
    hold BIGINT NOT NULL CHECK (hold >= 0),
    pending BIGINT NOT NULL CHECK (pending >= 0),
    lot_id TEXT,
    lot_amount BIGINT CHECK (lot_amount > 0),
    expires_at TIMESTAMPTZ,
    matures_at TIMESTAMPTZ,
    hold_id TEXT,
    order_id TEXT,
    reverses TEXT,
    business_key TEXT,
    idempotency_key TEXT,
    rule JSONB,
    hash TEXT NOT NULL CHECK (length(hash) = 64),
    PRIMARY KEY (merchant_id, transaction_id)
);

CREATE UNIQUE INDEX points_transactions_in_order
    ON points_transactions (merchant_id, customer_id, asset, sequence);
CREATE UNIQUE INDEX points_transactions_once
    ON points_transactions (merchant_id, business_key) WHERE business_key IS NOT NULL;
CREATE INDEX points_transactions_reversing
    ON points_transactions (merchant_id, reverses) WHERE reverses IS NOT NULL;

CREATE TABLE points_postings (
    merchant_id TEXT NOT NULL,
    transaction_id TEXT NOT NULL,
    account TEXT NOT NULL,
    points BIGINT NOT NULL CHECK (points <> 0),
    PRIMARY KEY (merchant_id, transaction_id, account)
);

CREATE TABLE points_lots (
    merchant_id TEXT NOT NULL,
    lot_id TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    asset TEXT NOT NULL DEFAULT 'points',
    transaction_id TEXT NOT NULL,
    sequence BIGINT NOT NULL CHECK (sequence >= 1),
    amount BIGINT NOT NULL CHECK (amount > 0),
    remaining BIGINT NOT NULL CHECK (remaining BETWEEN 0 AND amount),
    earned_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ,
    PRIMARY KEY (merchant_id, lot_id)
);

CREATE INDEX points_lots_open
    ON points_lots (merchant_id, customer_id, asset) WHERE remaining > 0;

CREATE TABLE points_lot_movements (
    merchant_id TEXT NOT NULL,
    transaction_id TEXT NOT NULL,
    lot_id TEXT NOT NULL,
    points BIGINT NOT NULL CHECK (points <> 0),
    position BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, transaction_id, lot_id)
);

CREATE TABLE points_holds (
    merchant_id TEXT NOT NULL,
    hold_id TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    asset TEXT NOT NULL DEFAULT 'points',
    amount BIGINT NOT NULL CHECK (amount > 0),
    expires_at TIMESTAMPTZ NOT NULL,
    placed_by TEXT NOT NULL,
    ended_by TEXT,
    PRIMARY KEY (merchant_id, hold_id)
);

CREATE INDEX points_holds_active
    ON points_holds (merchant_id, customer_id, asset) WHERE ended_by IS NULL;

CREATE TABLE points_pending (
    merchant_id TEXT NOT NULL,
    transaction_id TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    asset TEXT NOT NULL DEFAULT 'points',
    amount BIGINT NOT NULL CHECK (amount >= 0),
    matures_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ,
    PRIMARY KEY (merchant_id, transaction_id)
);

CREATE INDEX points_pending_open
    ON points_pending (merchant_id, customer_id, asset) WHERE amount > 0;

CREATE TABLE points_earn_rules (
    merchant_id TEXT NOT NULL,
    currency TEXT NOT NULL CHECK (length(currency) = 3),
    version BIGINT NOT NULL CHECK (version >= 1),
    points BIGINT NOT NULL CHECK (points >= 0),
    per_amount_minor BIGINT NOT NULL CHECK (per_amount_minor >= 1),
    expires_after_days BIGINT CHECK (expires_after_days >= 1),
    created_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (merchant_id, currency, version)
);
