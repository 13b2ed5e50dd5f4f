CREATE TABLE gamification_definitions (
    merchant_id TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('badge', 'achievement', 'board', 'score')),
    definition_id TEXT NOT NULL,
    version BIGINT NOT NULL CHECK (version >= 1),
    terms JSONB NOT NULL,
    changed_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (merchant_id, kind, definition_id, version)
);

CREATE TABLE gamification_facts (
    merchant_id TEXT NOT NULL,
    fact_id TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('order', 'points', 'referral')),
    occurred_at TIMESTAMPTZ NOT NULL,
    amount BIGINT NOT NULL,
    taken BIGINT NOT NULL CHECK (taken >= 0),
    void BOOLEAN NOT NULL,
    currency TEXT,
    items JSONB,
    PRIMARY KEY (merchant_id, fact_id)
);

CREATE INDEX gamification_facts_of
    ON gamification_facts (merchant_id, customer_id, occurred_at);

CREATE TABLE gamification_awards (
    merchant_id TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    badge_id TEXT NOT NULL,
    period TEXT NOT NULL,
    number BIGINT NOT NULL CHECK (number >= 1),
    state TEXT NOT NULL CHECK (state IN ('awarded', 'revoked')),
    achievement_id TEXT NOT NULL,
    achievement_version BIGINT NOT NULL,
    value BIGINT NOT NULL,
    earned_at TIMESTAMPTZ NOT NULL,
    revoked_at TIMESTAMPTZ,
    PRIMARY KEY (merchant_id, customer_id, badge_id, period)
);

CREATE TABLE gamification_skips (
    merchant_id TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    achievement_id TEXT NOT NULL,
    reason TEXT NOT NULL,
    skipped_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (merchant_id, customer_id, achievement_id)
);

CREATE INDEX gamification_skips_by_age
    ON gamification_skips (skipped_at);

CREATE TABLE gamification_scores (
    merchant_id TEXT NOT NULL,
    board_id TEXT NOT NULL,
    cycle TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    score BIGINT NOT NULL,
    reached_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (merchant_id, board_id, cycle, customer_id)
);

CREATE INDEX gamification_scores_ranked
    ON gamification_scores (merchant_id, board_id, cycle, score DESC, reached_at, customer_id);

CREATE INDEX gamification_scores_of
    ON gamification_scores (merchant_id, customer_id);

CREATE TABLE gamification_standings (
    merchant_id TEXT NOT NULL,
    board_id TEXT NOT NULL,
    cycle TEXT NOT NULL,
    rank BIGINT NOT NULL CHECK (rank >= 1),
    customer_id TEXT NOT NULL,
    score BIGINT NOT NULL,
    reached_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (merchant_id, board_id, cycle, rank)
);

CREATE UNIQUE INDEX gamification_standings_of
    ON gamification_standings (merchant_id, customer_id, board_id, cycle);

CREATE TABLE gamification_closed_cycles (
    merchant_id TEXT NOT NULL,
    board_id TEXT NOT NULL,
    cycle TEXT NOT NULL,
    closed_at TIMESTAMPTZ NOT NULL,
    players BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, board_id, cycle)
);

CREATE TABLE gamification_unlisted (
    merchant_id TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    since TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (merchant_id, customer_id)
);
