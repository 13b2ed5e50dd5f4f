CREATE TABLE audit_entries (
    merchant_id TEXT NOT NULL,
    sequence BIGINT NOT NULL CHECK (sequence >= 1),
    entry_id TEXT NOT NULL,
    happened_at TIMESTAMPTZ NOT NULL,
    subject TEXT NOT NULL,
    role TEXT NOT NULL,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    before JSONB,
    after JSONB,
    reason TEXT,
    trace_id TEXT,
    hash TEXT NOT NULL CHECK (length(hash) = 64),
    PRIMARY KEY (merchant_id, sequence)
);

CREATE UNIQUE INDEX audit_entries_once ON audit_entries (merchant_id, entry_id);

CREATE INDEX audit_entries_by_time ON audit_entries (happened_at, entry_id);

CREATE INDEX audit_entries_of_merchant ON audit_entries (merchant_id, happened_at, entry_id);
