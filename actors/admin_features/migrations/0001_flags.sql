CREATE TABLE admin_flags (
    merchant_id TEXT NOT NULL,
    flag_key TEXT NOT NULL,
    version BIGINT NOT NULL CHECK (version >= 1),
    definition JSONB NOT NULL,
    changed_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (merchant_id, flag_key)
);

CREATE TABLE admin_flag_history (
    merchant_id TEXT NOT NULL,
    flag_key TEXT NOT NULL,
    version BIGINT NOT NULL CHECK (version >= 1),
    definition JSONB NOT NULL,
    changed_at TIMESTAMPTZ NOT NULL,
    changed_by TEXT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (merchant_id, flag_key, version)
);
