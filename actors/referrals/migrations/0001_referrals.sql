CREATE TABLE referral_programs (
    merchant_id TEXT NOT NULL,
    version BIGINT NOT NULL CHECK (version >= 1),
    program JSONB NOT NULL,
    changed_by TEXT NOT NULL,
    changed_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (merchant_id, version)
);

CREATE TABLE referral_links (
    merchant_id TEXT NOT NULL,
    advocate_id TEXT NOT NULL CHECK (length(advocate_id) BETWEEN 1 AND 64),
    code TEXT NOT NULL CHECK (length(code) BETWEEN 8 AND 16),
    signals JSONB NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (merchant_id, advocate_id)
);

CREATE UNIQUE INDEX referral_links_by_code ON referral_links (merchant_id, code);

CREATE TABLE referrals (
    merchant_id TEXT NOT NULL,
    referral_id TEXT NOT NULL,
    code TEXT NOT NULL CHECK (length(code) BETWEEN 8 AND 16),
    advocate_id TEXT NOT NULL CHECK (length(advocate_id) BETWEEN 1 AND 64),
    channel TEXT NOT NULL CHECK (channel IN ('sms', 'email', 'link')),
    state TEXT NOT NULL CHECK (state IN ('created', 'invited', 'claimed', 'qualified', 'rewarded',
        'expired', 'rejected', 'reversed')),
    review TEXT NOT NULL CHECK (review IN ('none', 'pending', 'approved')),
    reason TEXT,
    friend_key TEXT CHECK (length(friend_key) = 64),
    hidden BOOLEAN NOT NULL,
    friend_id TEXT CHECK (friend_id <> advocate_id),
    program JSONB NOT NULL,
    program_version BIGINT NOT NULL,
    signals JSONB NOT NULL,
    flags JSONB NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL,
    claimed_at TIMESTAMPTZ,
    order_id TEXT,
    confirm_at TIMESTAMPTZ,
    confirmed_at TIMESTAMPTZ,
    ended_at TIMESTAMPTZ,
    advocate_transaction TEXT,
    friend_transaction TEXT,
    PRIMARY KEY (merchant_id, referral_id),
    CHECK ((friend_id IS NULL) = (claimed_at IS NULL)),
    CHECK (confirmed_at IS NULL OR (confirmed_at >= confirm_at AND review <> 'pending')),
    CHECK (state NOT IN ('claimed', 'qualified', 'rewarded', 'reversed') OR friend_id IS NOT NULL),
    CHECK (state NOT IN ('qualified', 'rewarded', 'reversed')
        OR (order_id IS NOT NULL AND confirm_at IS NOT NULL)),
    CHECK (state NOT IN ('rewarded', 'reversed')
        OR (confirmed_at IS NOT NULL AND ended_at IS NOT NULL))
);

CREATE UNIQUE INDEX referrals_by_code ON referrals (merchant_id, code);

CREATE UNIQUE INDEX referrals_live_friend_key ON referrals (merchant_id, friend_key)
    WHERE state IN ('created', 'invited', 'claimed', 'qualified') AND NOT hidden;

CREATE UNIQUE INDEX referrals_friend_once ON referrals (merchant_id, friend_id)
    WHERE state IN ('claimed', 'qualified', 'rewarded', 'reversed');

CREATE INDEX referrals_newest ON referrals (merchant_id, created_at, referral_id);

CREATE INDEX referrals_of_advocate ON referrals (merchant_id, advocate_id, created_at, referral_id);

CREATE INDEX referrals_in_review ON referrals (merchant_id, created_at, referral_id)
    WHERE review = 'pending';

CREATE INDEX referrals_to_expire ON referrals (expires_at)
    WHERE state IN ('created', 'invited', 'claimed');

CREATE UNIQUE INDEX referrals_by_order ON referrals (merchant_id, order_id)
    WHERE order_id IS NOT NULL;

CREATE INDEX referrals_due ON referrals (confirm_at) WHERE state = 'qualified';

CREATE TABLE referral_steps (
    merchant_id TEXT NOT NULL,
    referral_id TEXT NOT NULL,
    state TEXT NOT NULL,
    at TIMESTAMPTZ NOT NULL,
    by TEXT NOT NULL,
    reason TEXT,
    PRIMARY KEY (merchant_id, referral_id, state),
    FOREIGN KEY (merchant_id, referral_id) REFERENCES referrals (merchant_id, referral_id)
);

CREATE TABLE referral_messages (
    merchant_id TEXT NOT NULL,
    message_id TEXT NOT NULL,
    referral_id TEXT NOT NULL,
    channel TEXT NOT NULL CHECK (channel IN ('sms', 'email')),
    state TEXT NOT NULL CHECK (state IN ('queued', 'sent', 'unknown', 'failed', 'undelivered',
        'opted_out', 'delivered')),
    rank BIGINT NOT NULL,
    friend_key TEXT NOT NULL,
    sealed TEXT,
    key_version BIGINT,
    provider_id TEXT,
    detail TEXT,
    created_at TIMESTAMPTZ NOT NULL,
    tried_at TIMESTAMPTZ,
    sent_at TIMESTAMPTZ,
    changed_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (merchant_id, message_id),
    FOREIGN KEY (merchant_id, referral_id) REFERENCES referrals (merchant_id, referral_id),
    CHECK (rank = CASE state WHEN 'queued' THEN 0 WHEN 'sent' THEN 1 WHEN 'unknown' THEN 2
        WHEN 'failed' THEN 3 WHEN 'undelivered' THEN 4 WHEN 'opted_out' THEN 5 ELSE 6 END),
    CHECK ((sealed IS NULL) = (key_version IS NULL))
);

CREATE UNIQUE INDEX referral_messages_by_provider_id
    ON referral_messages (merchant_id, provider_id) WHERE provider_id IS NOT NULL;

CREATE INDEX referral_messages_of ON referral_messages (merchant_id, referral_id);

CREATE INDEX referral_messages_opted_out ON referral_messages (merchant_id, friend_key)
    WHERE state = 'opted_out';

CREATE INDEX referral_messages_sent ON referral_messages (sent_at) WHERE sent_at IS NOT NULL;

CREATE INDEX referral_messages_sealed ON referral_messages (key_version)
    WHERE sealed IS NOT NULL;

CREATE TABLE text_statuses (
    merchant_id TEXT NOT NULL,
    provider_id TEXT NOT NULL CHECK (length(provider_id) BETWEEN 1 AND 64),
    status TEXT NOT NULL CHECK (length(status) BETWEEN 1 AND 32),
    state TEXT NOT NULL CHECK (state IN ('sent', 'failed', 'undelivered', 'opted_out',
        'delivered')),
    rank BIGINT NOT NULL,
    detail TEXT,
    received_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (merchant_id, provider_id, status),
    CHECK (rank = CASE state WHEN 'sent' THEN 1 WHEN 'failed' THEN 3 WHEN 'undelivered' THEN 4
        WHEN 'opted_out' THEN 5 ELSE 6 END)
);

CREATE INDEX text_statuses_by_age ON text_statuses (received_at);

CREATE TABLE referral_counts (
    merchant_id TEXT NOT NULL,
    day TEXT NOT NULL CHECK (length(day) = 10),
    what TEXT NOT NULL CHECK (what IN ('invitations', 'texts', 'advocate', 'address')),
    who TEXT NOT NULL,
    used BIGINT NOT NULL,
    most BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, day, what, who),
    CHECK (used <= most)
);

CREATE INDEX referral_counts_by_age ON referral_counts (day);
